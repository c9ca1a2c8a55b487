// What is at a place of the timeline, what to say of it, and where the keyboard goes from it.

class Pointer {
  constructor(store, camera, painter) {
    this.store = store;
    this.camera = camera;
    this.painter = painter;
  }

  // The lane at a height below the ruler, and its track.
  laneAt(y) {
    let top = BETWEEN_PX;
    for (const lane of this.store.lanes) {
      const tall = laneHeight(lane);
      if (y < top + tall + BETWEEN_PX / 2) {
        const depth = lane.tracks.length > 1 ? Math.min(Math.max(Math.floor((y - top) / NESTED_PX), 0), lane.tracks.length - 1) : 0;
        return { lane, depth };
      }
      top += tall + BETWEEN_PX;
    }
    return null;
  }

  topOf(wanted) {
    let top = BETWEEN_PX;
    for (const lane of this.store.lanes) {
      if (lane === wanted) return top;
      top += laneHeight(lane) + BETWEEN_PX;
    }
    return 0;
  }

  // The spell at a place, or those that share its pixel.
  spellAt(x, y) {
    const found = this.laneAt(y);
    if (!found || x < 0) return null;
    const track = found.lane.tracks[found.depth];
    const { camera } = this;
    const at = track?.at(camera.timeAt(x), 2 * camera.perPx) ?? -1;
    if (at < 0) return { ...found, rows: [] };
    if (track.endAt(at) - track.start[at] >= camera.perPx) return { ...found, rows: [track.rows[at]] };
    const px = Math.max(0, Math.floor(camera.xOf(track.start[at])));
    const from = camera.from + px * camera.perPx;
    let first = Math.min(at, placeOf(track.start, from, 0, track.count));
    while (first < at && track.endAt(first) - track.start[first] >= camera.perPx) first += 1;
    const last = this.painter.pixelEnd(track, first, from + camera.perPx);
    if (last - first === 1) return { ...found, rows: [track.rows[first]] };
    const busy = Math.min(1, (track.sum[last] - track.sum[first]) / camera.perPx);
    return { ...found, rows: Array.from(track.rows.subarray(first, last)), busy };
  }

  placeOfRow(row) {
    const { store } = this;
    const lane = store.laneOf[store.values[store.kind]?.[row]];
    const track = lane?.tracks[store.depth[row]];
    if (!track) return null;
    track.settle();
    let at = placeOf(track.start, store.start[row], 0, track.count);
    while (at < track.count && track.rows[at] !== row) at += 1;
    return at < track.count ? { lane, track, at, depth: store.depth[row] } : null;
  }

  // The spell before or after one in its lane; without one, the first that is seen.
  beside(row, direction, lane) {
    const found = row < 0 ? null : this.placeOfRow(row);
    if (!found) {
      const track = lane?.tracks[0];
      if (!track?.count) return -1;
      track.settle();
      return track.rows[Math.min(track.firstSeen(this.camera.from), track.count - 1)];
    }
    const next = found.at + direction;
    return found.track.rows[Math.min(Math.max(next, 0), found.track.count - 1)];
  }

  // The spell of a lane that is nearest to a moment.
  nearest(lane, time) {
    const track = lane.tracks.find((one) => one.count);
    if (!track) return -1;
    track.settle();
    const at = track.at(time, Infinity);
    return at < 0 ? track.rows[track.count - 1] : track.rows[at];
  }

  // Two lines: which spell, and when.
  tell(found) {
    const { store } = this;
    if (!found) return ["point at a bar, or move with the arrows, n and N", ""];
    if (!found.rows.length) return [`${found.lane.name}: nothing here`, ""];
    if (found.rows.length > 1) {
      const [first, last] = [found.rows[0], found.rows[found.rows.length - 1]];
      const share = found.busy === undefined ? "" : `, ${shareText(found.busy)} of it busy`;
      return [`${found.lane.name} · ${counted(found.rows.length, noun(store))} in this pixel${share}; zoom in to tell them apart`, `${momentText(store.start[first])} to ${momentText(this.endOf(last))}`];
    }
    const [row] = found.rows;
    const kinds = ["task", "function", "cpu", "state", ...Object.keys(store.values)];
    const words = [...new Set(kinds)].map((kind) => store.nameOf(kind, row)).filter((word) => word);
    const duration = store.duration[row];
    const open = duration !== duration;
    return [
      `${words.join(" · ")} · ${open ? "not ended" : durationText(duration)}`,
      open ? `from ${momentText(store.start[row])} on` : `${momentText(store.start[row])} to ${momentText(store.start[row] + duration)}${duration >= 1000 ? ` (${duration.toLocaleString("en")} ns)` : ""}`,
    ];
  }

  endOf(row) {
    const duration = this.store.duration[row];
    return duration === duration ? this.store.start[row] + duration : this.store.newest;
  }
}
