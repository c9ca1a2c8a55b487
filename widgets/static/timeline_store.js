// The spells of a timeline: columns of numbers as they came, and lanes of them by start,
// so that what a pixel shows is found by halving, however many there are.

const READERS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };
const OPEN_U32 = 0xffffffff;
const MOST_LANES = 200;
const [BUSY, RUNNABLE, ASLEEP] = [0, 1, 2];

// Buffers come at any offset; typed arrays want a round one.
function numbersOf(buffer, type) {
  const view = buffer.buffer ? buffer : new DataView(buffer);
  return new READERS[type](view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function grown(values, room) {
  if (values.length >= room) return values;
  const larger = new values.constructor(Math.max(room, 2 * values.length, 64));
  larger.set(values);
  return larger;
}

class Store {
  constructor() {
    this.names = {}; // by kind: [name, colour, order] of each value
    this.clear();
  }

  clear() {
    this.count = 0;
    this.total = 0;
    this.start = new Float64Array(0);
    this.duration = new Float64Array(0);
    this.depth = new Uint8Array(0);
    this.values = {}; // by kind: the number of each row's value, from 1 on; 0 is none
    for (const kind of Object.keys(this.names)) this.names[kind] = [];
    this.spent = {}; // by kind: busy nanoseconds of each value
    this.first = Infinity;
    this.newest = -Infinity;
    this.marked = null;
    this.pickedCount = 0;
    this.markVersion = 0;
    this.running = 0;
    this.levels = [];
    this.forgetLanes();
  }

  forgetLanes() {
    this.lanes = [];
    this.laneOf = []; // by value; null of those not shown
    this.hidden = 0;
  }

  levelOf(row) {
    return this.running ? (this.levels[this.values.state[row]] ?? BUSY) : BUSY;
  }

  learn(names) {
    for (const [kind, [first, entries]] of Object.entries(names)) {
      const known = (this.names[kind] ??= []);
      entries.forEach((entry, at) => (known[first + at] = entry));
    }
    const states = (this.names.state ?? []).map(([name]) => name);
    this.running = states.indexOf("running") + 1;
    this.levels = [BUSY, ...states.map((name) => (name === "running" ? BUSY : name === "runnable" ? RUNNABLE : ASLEEP))];
  }

  // Rows from the kernel; those that are here already are passed over. Says whether any were new.
  take({ start, count, base, columns, names, total }, buffers, placed = true) {
    this.learn(names);
    this.total = total;
    const skip = this.count - start;
    if (skip < 0 || skip >= count) return false;
    const end = start + count;
    this.start = grown(this.start, end);
    this.duration = grown(this.duration, end);
    this.depth = grown(this.depth, end);
    columns.forEach(([name, type], at) => {
      const numbers = numbersOf(buffers[at], type);
      if (name === "start") for (let row = this.count; row < end; row++) this.start[row] = base + numbers[row - start];
      else if (name === "duration") for (let row = this.count; row < end; row++) this.duration[row] = type === "u4" && numbers[row - start] === OPEN_U32 ? NaN : numbers[row - start];
      else if (name === "depth") this.depth.set(numbers.subarray(skip), this.count);
      else {
        this.values[name] = grown(this.values[name] ?? new Uint32Array(0), end);
        this.values[name].set(numbers.subarray(skip), this.count);
      }
    });
    const first = this.count;
    this.count = end;
    this.weigh(first, end);
    if (placed) for (let row = first; row < end; row++) this.place(row);
    return true;
  }

  // From when to when there is something, and how long each value was busy.
  weigh(first, last) {
    for (let row = first; row < last; row++) {
      const start = this.start[row];
      const duration = this.duration[row];
      if (start < this.first) this.first = start;
      const end = duration === duration ? start + duration : start;
      if (end > this.newest) this.newest = end;
    }
    for (const [kind, values] of Object.entries(this.values)) {
      const spent = (this.spent[kind] = grown(this.spent[kind] ?? new Float64Array(0), this.names[kind].length + 1));
      for (let row = first; row < last; row++) {
        const duration = this.duration[row];
        if (duration === duration && this.depth[row] === 0 && this.levelOf(row) === BUSY) spent[values[row]] += duration;
      }
    }
  }

  ended(rows, durations) {
    rows.forEach((row, at) => {
      if (row >= this.count) return;
      this.duration[row] = durations[at];
      this.weigh(row, row + 1);
      const lane = this.laneOf[this.values[this.kind]?.[row]];
      lane?.tracks[this.depth[row]]?.ended(row);
    });
  }

  keep(count) {
    if (count >= this.count) return;
    this.count = count;
    this.first = Infinity;
    this.newest = -Infinity;
    this.spent = {};
    this.weigh(0, count);
    this.lay(this.kind);
  }

  mark(first, count, bits) {
    if (!this.marked || first === 0 || this.marked.length < first) {
      this.marked = new Uint8Array(first + count);
      this.markVersion += 1;
    } else this.marked = grown(this.marked.subarray(0, first), first + count);
    if (first === 0) this.pickedCount = 0;
    for (let at = 0; at < count; at++) {
      const mark = (bits[at >> 3] >> (at & 7)) & 1;
      this.marked[first + at] = mark;
      this.pickedCount += mark;
    }
  }

  unmark() {
    this.marked = null;
    this.pickedCount = 0;
    this.markVersion += 1;
  }

  // Lanes for a column: by number where it has one, else the one with most time first.
  lay(kind) {
    this.kind = kind;
    this.forgetLanes();
    const spent = this.spent[kind] ?? [];
    const present = new Set();
    for (let row = 0; row < this.count; row++) if (this.values[kind]) present.add(this.values[kind][row]);
    present.delete(0);
    const order = (value) => this.names[kind][value - 1][2];
    const wanted = [...present].sort((a, b) => (order(a) !== null && order(b) !== null ? order(a) - order(b) : (spent[b] ?? 0) - (spent[a] ?? 0)));
    for (const value of wanted) this.newLane(value);
    for (let row = 0; row < this.count; row++) this.place(row);
  }

  newLane(value) {
    if (this.lanes.length >= MOST_LANES) {
      this.hidden += 1;
      this.laneOf[value] = null;
      return null;
    }
    const [name, , order] = this.names[this.kind][value - 1];
    const lane = { value, name, order, tracks: [] };
    this.laneOf[value] = lane;
    this.lanes.push(lane);
    // A CPU that shows up late still stands where its number says.
    for (let at = this.lanes.length - 1; at && order !== null && this.lanes[at - 1].order > order; at--)
      [this.lanes[at - 1], this.lanes[at]] = [this.lanes[at], this.lanes[at - 1]];
    return lane;
  }

  place(row) {
    const value = this.values[this.kind]?.[row];
    if (!value) return;
    const known = this.laneOf[value];
    const lane = known === undefined ? this.newLane(value) : known;
    if (lane === null) return;
    const depth = this.depth[row];
    while (lane.tracks.length <= depth) lane.tracks.push(new Track(this));
    lane.tracks[depth].push(row);
  }

  nameOf(kind, row) {
    const value = this.values[kind]?.[row];
    return value ? this.names[kind][value - 1][0] : "";
  }
}
