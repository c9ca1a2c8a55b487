// The first place in sorted values, from `low` on, whose value is not below (or, `after`, is above).
function placeOf(values, value, low, high, after = false) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (after ? values[middle] <= value : values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Spells of one lane at one depth, by start.
class Track {
  constructor(store) {
    this.store = store;
    this.count = 0;
    this.rows = new Int32Array(0);
    this.start = new Float64Array(0);
    this.end = new Float64Array(0); // NaN of what has not ended
    this.top = new Float64Array(0); // the latest end up to here
    this.sum = new Float64Array(1); // busy nanoseconds before
    this.picked = new Uint32Array(1); // picked spells before
    this.pickedVersion = -1;
    this.pickedCount = 0;
    this.sorted = true;
  }

  push(row) {
    const at = this.count;
    if (at >= this.rows.length) for (const name of ["rows", "start", "end", "top"]) this[name] = grown(this[name], at + 1);
    this.rows[at] = row;
    this.start[at] = this.store.start[row];
    this.end[at] = this.store.start[row] + this.store.duration[row];
    this.count = at + 1;
    if (at && this.start[at] < this.start[at - 1]) this.sorted = false;
    else this.add(at, this.count);
  }

  // What is summed up from the left, again from a place on.
  add(first, last) {
    this.sum = grown(this.sum, last + 1);
    for (let at = first; at < last; at++) {
      const end = this.end[at];
      const known = end === end;
      const reach = known ? end : this.start[at];
      this.top[at] = at && this.top[at - 1] > reach ? this.top[at - 1] : reach;
      const busy = known && this.store.levelOf(this.rows[at]) === BUSY;
      this.sum[at + 1] = this.sum[at] + (busy ? end - this.start[at] : 0);
    }
  }

  settle() {
    if (this.sorted) return;
    const order = Array.from({ length: this.count }, (_, at) => at).sort((a, b) => this.start[a] - this.start[b] || a - b);
    for (const name of ["rows", "start", "end"]) {
      const old = this[name].slice(0, this.count);
      order.forEach((from, to) => (this[name][to] = old[from]));
    }
    this.sorted = true;
    this.pickedVersion = -1;
    this.add(0, this.count);
  }

  ended(row) {
    this.settle();
    let at = placeOf(this.start, this.store.start[row], 0, this.count);
    while (at < this.count && this.rows[at] !== row) at++;
    if (at === this.count) return;
    this.end[at] = this.start[at] + this.store.duration[row];
    this.add(at, this.count);
  }

  // When a spell ends; one that has not, when the next begins or the last known moment is.
  endAt(at) {
    const end = this.end[at];
    if (end === end) return end;
    return Math.max(this.start[at], at + 1 < this.count ? Math.min(this.start[at + 1], this.store.newest) : this.store.newest);
  }

  // The first spell that may be seen from a moment on.
  firstSeen(from) {
    const at = placeOf(this.top, from, 0, this.count, true);
    return at && this.end[at - 1] !== this.end[at - 1] ? at - 1 : at;
  }

  // The spell at a moment, or the nearest within `slack`; -1 if there is none.
  at(time, slack) {
    this.settle();
    let best = -1;
    let least = slack;
    for (let at = this.firstSeen(time - slack); at < this.count && this.start[at] <= time + slack; at++) {
      const away = Math.max(this.start[at] - time, time - this.endAt(at), 0);
      if (away < least || (away === least && best >= 0) || (away === 0 && least >= 0)) {
        best = at;
        least = away;
      }
    }
    return best;
  }

  pickedBetween(first, last) {
    const { marked, markVersion } = this.store;
    if (this.pickedVersion !== markVersion) {
      this.pickedCount = 0;
      this.pickedVersion = markVersion;
    }
    if (this.pickedCount < this.count) {
      this.picked = grown(this.picked, this.count + 1);
      for (let at = this.pickedCount; at < this.count; at++) this.picked[at + 1] = this.picked[at] + (marked[this.rows[at]] ?? 0);
      this.pickedCount = this.count;
    }
    return this.picked[last] - this.picked[first];
  }
}
