// Painting a timeline: a ruler, a band for the window of time, and bars. Spells narrower than
// a pixel become a shade: the darker, the more of the pixel's time was busy, in the
// colour of what took most of it.

const RULER_PX = 28;
const LANE_PX = 22;
const NESTED_PX = 17;
const BETWEEN_PX = 6;
const LABEL_LEAST_PX = 34;
const SAMPLES = 12; // spells that are asked for the colour of a pixel
const LEVELS = 6; // shades

function laneHeight(lane) {
  return lane.tracks.length > 1 ? lane.tracks.length * NESTED_PX : LANE_PX;
}

function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#10151a" : "#ffffff";
}

function shadeText(context, text, room) {
  const wide = context.measureText(text).width;
  if (wide <= room) return text;
  const letters = Math.floor((text.length * room) / wide) - 1;
  return letters >= 2 ? `${text.slice(0, letters)}…` : "";
}

class Painter {
  constructor(store, camera) {
    this.store = store;
    this.camera = camera;
    this.inks = new Map();
    this.sums = new Float64Array(64); // of the values in a pixel, all 0 in between
    this.asked = new Int32Array(SAMPLES + 1);
  }

  // Paint everything. `look` has the theme's colours, sizes, and what is chosen.
  paint(context, look) {
    const { store, camera } = this;
    const { width, height, gutter, scroll } = look;
    context.clearRect(0, 0, width, height);
    context.font = look.font;
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(0, RULER_PX, width, height - RULER_PX);
    context.clip();
    let y = RULER_PX + BETWEEN_PX - scroll;
    const at = ticks(camera.from, camera.to, 90 * camera.perPx);
    this.gridLines(context, look, at);
    for (const lane of store.lanes) {
      const tall = laneHeight(lane);
      if (y + tall > RULER_PX && y < height) {
        this.laneName(context, look, lane, y, tall);
        context.save();
        context.beginPath();
        context.rect(gutter, RULER_PX, width - gutter, height);
        context.clip();
        context.translate(gutter, 0);
        lane.tracks.forEach((track, depth) => {
          const nested = lane.tracks.length > 1;
          track.settle();
          this.track(context, look, track, y + (nested ? depth * NESTED_PX : 0), nested ? NESTED_PX - 1 : LANE_PX);
        });
        context.restore();
        context.globalAlpha = 1;
        context.fillStyle = look.line;
        context.fillRect(0, Math.round(y + tall + BETWEEN_PX / 2) - 0.5, width, 0.5);
      }
      y += tall + BETWEEN_PX;
    }
    this.pointer(context, look);
    context.restore();
    this.band(context, look);
    this.ruler(context, look, at);
  }

  gridLines(context, { gutter, height, line }, at) {
    context.fillStyle = line;
    context.globalAlpha = 0.6;
    for (const [time] of at) context.fillRect(gutter + Math.round(this.camera.xOf(time)), RULER_PX, 1, height);
    context.globalAlpha = 1;
  }

  laneName(context, { gutter, ink, faint, font, current }, lane, y, tall) {
    const { store } = this;
    const middle = y + Math.min(tall, LANE_PX) / 2 + 0.5;
    const share = shareText((store.spent[store.kind]?.[lane.value] ?? 0) / this.camera.whole);
    context.font = lane === current ? `600 ${font}` : font;
    context.fillStyle = faint;
    context.textAlign = "right";
    const room = gutter - 22 - context.measureText(share).width;
    context.fillText(share, gutter - 8, middle);
    context.fillStyle = ink;
    context.textAlign = "left";
    context.fillText(shadeText(context, lane.name, room), 4, middle);
    context.font = font;
  }

  track(context, look, track, y, tall) {
    const { camera, store } = this;
    const { colourKind, marked } = look;
    const [from, to, perPx] = [camera.from, camera.to, camera.perPx];
    const values = store.values[colourKind];
    const colours = look.colours;
    let run = null; // pixels of the same look, painted together
    const flush = () => {
      if (!run) return;
      context.globalAlpha = run.alpha;
      context.fillStyle = run.colour;
      context.fillRect(run.x, run.level === ASLEEP ? y + tall - 3 : y, run.wide, run.level === ASLEEP ? 3 : tall);
      if (run.picked) {
        context.globalAlpha = 1;
        context.fillStyle = look.accent;
        context.fillRect(run.x, y, run.wide, 3);
      }
      run = null;
    };
    for (let at = track.firstSeen(from); at < track.count; ) {
      const start = track.start[at];
      if (start >= to) break;
      const end = track.endAt(at);
      const left = (start - from) / perPx;
      const right = (end - from) / perPx;
      if (right - left >= 1) {
        flush();
        if (end > from) this.bar(context, look, track, at, Math.max(left, -2), Math.min(right, camera.width + 2), y, tall);
        at += 1;
        continue;
      }
      if (end < from) {
        at += 1;
        continue;
      }
      const px = Math.max(0, Math.floor(left));
      const next = this.pixelEnd(track, at, from + (px + 1) * perPx);
      const shade = this.shade(track, at, next, values, colours);
      const picked = marked && track.pickedBetween(at, next) > 0;
      const alpha = marked && !picked ? 0.3 * shade.alpha : shade.alpha;
      if (run && run.x + run.wide === px && run.colour === shade.colour && run.alpha === alpha && run.level === shade.level && run.picked === picked) run.wide += 1;
      else {
        flush();
        run = { x: px, wide: 1, ...shade, alpha, picked };
      }
      at = next;
    }
    flush();
  }

  // The first spell after `at` that does not belong to the pixel that ends at a moment.
  pixelEnd(track, at, moment) {
    let step = 1;
    while (at + step < track.count && track.start[at + step] < moment) step *= 2;
    let next = placeOf(track.start, moment, at + (step >> 1), Math.min(at + step, track.count));
    next = Math.max(next, at + 1);
    // A wide one that begins in it is a bar of its own.
    if (next - 1 > at && track.endAt(next - 1) - track.start[next - 1] >= this.camera.perPx) next -= 1;
    return next;
  }

  shade(track, first, last, values, colours) {
    const { store, camera } = this;
    const busy = Math.min(1, (track.sum[last] - track.sum[first]) / camera.perPx);
    const stride = Math.max(1, Math.ceil((last - first) / SAMPLES));
    if (this.sums.length < colours.length) this.sums = new Float64Array(2 * colours.length);
    const { sums, asked } = this;
    let count = 0;
    let level = ASLEEP;
    for (let at = first; at < last; at += stride) {
      const row = track.rows[at];
      const own = store.levelOf(row);
      if (own > level) continue;
      if (own < level) {
        level = own;
        while (count) sums[asked[--count]] = 0;
      }
      const value = values ? values[row] : 0;
      sums[value] += track.endAt(at) - track.start[at];
      asked[count++] = value;
    }
    let winner = asked[0];
    for (let at = 1; at < count; at++) if (sums[asked[at]] > sums[winner]) winner = asked[at];
    while (count) sums[asked[--count]] = 0;
    const alpha = level === BUSY ? 0.25 + (0.75 * Math.ceil(busy * LEVELS)) / LEVELS : 0.5;
    return { colour: colours[winner], alpha: Math.min(1, alpha), level: level === ASLEEP ? ASLEEP : BUSY };
  }

  bar(context, look, track, at, left, right, y, tall) {
    const { store } = this;
    const row = track.rows[at];
    const level = store.levelOf(row);
    const byState = look.colourKind === "state";
    const own = look.colours[store.values[look.colourKind]?.[row] ?? 0];
    const colour = level === ASLEEP && !byState ? look.rest : own;
    const picked = look.marked && look.marked[row];
    const wide = Math.max(1, right - left - (right - left > 4 ? 1 : 0));
    const high = level === BUSY ? tall : level === RUNNABLE ? Math.round(tall / 2) : 3;
    const top = y + tall - high;
    const open = track.end[at] !== track.end[at];
    context.globalAlpha = (look.marked && !picked ? 0.28 : 1) * (level === RUNNABLE && !byState ? 0.5 : 1);
    context.fillStyle = colour;
    context.fillRect(left, top, wide, high);
    if (open && wide > 6) {
      // It goes on: its right end is not the end.
      context.fillStyle = look.paper;
      for (let notch = 0; notch < high; notch += 6) context.fillRect(left + wide - 3, top + notch, 3, 3);
    }
    if (level !== ASLEEP && high >= 14 && wide >= LABEL_LEAST_PX) {
      const text = shadeText(context, store.nameOf(look.labelKind, row), wide - 8);
      if (text) {
        if (!this.inks.has(colour)) this.inks.set(colour, inkOn(colour));
        const dim = look.marked && !picked;
        context.globalAlpha = 1;
        context.fillStyle = dim ? look.faint : this.inks.get(colour);
        context.fillText(text, Math.max(left, 0) + 4, top + high / 2 + 0.5);
      }
    }
    context.globalAlpha = 1;
    if (picked) {
      context.strokeStyle = look.accent;
      context.lineWidth = 2;
      context.strokeRect(left + 1, top + (high > 3 ? 1 : -1), Math.max(wide - 2, 1), high > 3 ? high - 2 : 5);
    }
    if (row === look.pointed) {
      context.strokeStyle = look.ink;
      context.lineWidth = 2;
      context.strokeRect(left - 1, y - 1, wide + 2, tall + 2);
    }
  }

  pointer(context, { pointerX, gutter, height, faint }) {
    if (pointerX === null) return;
    context.fillStyle = faint;
    context.globalAlpha = 0.5;
    context.fillRect(gutter + Math.round(pointerX), RULER_PX, 1, height);
    context.globalAlpha = 1;
  }

  // The window of time: what is outside it is veiled.
  band(context, { window, gutter, width, height, paper, accent }) {
    if (!window) return;
    const [left, right] = window.map((at) => Math.min(Math.max(this.camera.xOf(at), 0), width - gutter) + gutter);
    context.globalAlpha = 0.62;
    context.fillStyle = paper;
    context.fillRect(gutter, RULER_PX, left - gutter, height);
    context.fillRect(right, RULER_PX, width - right, height);
    context.globalAlpha = 1;
    context.fillStyle = accent;
    context.fillRect(left, RULER_PX - 7, Math.max(right - left, 1), 6);
    context.fillRect(left - 0.5, RULER_PX - 7, 1, height);
    context.fillRect(right - 0.5, RULER_PX - 7, 1, height);
  }

  ruler(context, { gutter, width, ink, faint, line }, at) {
    context.fillStyle = line;
    context.fillRect(gutter, RULER_PX - 1, width - gutter, 1);
    context.fillStyle = faint;
    context.textAlign = "left";
    context.fillText("time", 4, RULER_PX / 2 - 2);
    context.fillStyle = ink;
    context.textAlign = "center";
    for (const [time, text] of at) {
      const x = gutter + this.camera.xOf(time);
      context.fillRect(Math.round(x), RULER_PX - 6, 1, 6);
      const half = context.measureText(text).width / 2;
      // At the ends a label keeps inside.
      context.fillText(text, Math.min(Math.max(x, gutter + half), width - half), RULER_PX / 2 - 3);
    }
    context.textAlign = "left";
  }
}
