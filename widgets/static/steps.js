// The steps of a trace as the page holds them: entries and returns of calls in columns,
// paired, and which of them are lines to be seen.

const [ENTRY, FAILED, UNSEEN] = [0, 2, 3]; // kinds of steps; 1 is a plain return
const KIND_SHIFT = 30; // of a step's "who": the kind above, the thread's number below
const THREAD_MASK = 2 ** KIND_SHIFT - 1;
const DEEPEST = 255; // deeper calls say so too
const FIRST_ROOM = 65536;

const COLUMNS = {
  at: Float64Array, // nanoseconds since the first step
  functions: Uint16Array,
  threads: Uint32Array,
  kinds: Uint8Array,
  depths: Uint8Array,
  mates: Int32Array, // of an entry its return and the other way round, -1 if there is none
  parents: Int32Array, // the entry of the call it was made from, of a return its own entry; -1 outermost
  orders: Uint32Array, // how many calls of its thread were entered before
  folded: Uint8Array, // what is below an entry is not shown
};

// What arrives is aligned to nothing.
function numbers(view, Kind) {
  return new Kind(new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer);
}

class Steps {
  constructor() {
    this.room = 0;
    this.leaves = false; // a call that made no other is one line
    this.foldNew = 0;
    this.lines = new Uint32Array(0);
    this.found = new Uint32Array(0);
    this.clear();
  }

  // Forget all steps and what they refer to.
  clear() {
    this.count = 0;
    this.names = [];
    this.tasks = [];
    this.calls = 0;
    this.failed = 0;
    this.unseen = 0;
    this.deepest = 0;
    this.open = []; // per thread, the entries that have not returned
    this.entered = []; // per thread, how many calls it has entered
    this.only = -1; // the thread whose steps are shown, -1 for all
    this.lineCount = 0;
    this.hiding = []; // per thread, the entry that hides what follows, -1 if none
    this.wanted = null; // per function, whether it is searched for
    this.foundCount = 0;
  }

  grow(count) {
    if (count <= this.room) return;
    this.room = Math.max(count, this.room * 2, FIRST_ROOM);
    for (const [name, Kind] of Object.entries(COLUMNS)) {
      const column = new Kind(this.room);
      if (this[name]) column.set(this[name].subarray(0, this.count));
      this[name] = column;
    }
    for (const name of ["lines", "found"]) {
      const column = new Uint32Array(this.room);
      column.set(this[name]);
      this[name] = column;
    }
  }

  // Take steps from number `start` on; those that are there already are passed over.
  append(start, count, buffers) {
    const from = this.count;
    if (start > from || start + count <= from) return;
    this.grow(start + count);
    const times = numbers(buffers[0], Uint32Array);
    const high = new Int32Array(times.buffer); // times may lie before the first step's
    const functions = numbers(buffers[1], Uint16Array);
    const who = numbers(buffers[2], Uint32Array);
    const depths = numbers(buffers[3], Uint8Array);
    for (let row = from; row < start + count; row++) {
      const index = row - start;
      this.at[row] = high[2 * index + 1] * 2 ** 32 + times[2 * index];
      this.functions[row] = functions[index];
      this.threads[row] = who[index] & THREAD_MASK;
      this.kinds[row] = who[index] >>> KIND_SHIFT;
      this.depths[row] = depths[index];
    }
    this.count = start + count;
    this.folded.fill(this.foldNew, from, this.count);
    this.pair(from);
    this.search(this.wanted, from);
    this.lay(from);
  }

  // An entry's return is the next one of its thread at its depth.
  pair(from) {
    const { kinds, threads, depths, mates, parents, orders } = this;
    for (let row = from; row < this.count; row++) {
      const thread = threads[row];
      const depth = depths[row];
      const open = (this.open[thread] ??= []);
      this.entered[thread] ??= 0;
      this.hiding[thread] ??= -1;
      mates[row] = -1;
      if (kinds[row] === ENTRY) {
        while (open.length && depth < DEEPEST && depths[open[open.length - 1]] >= depth) open.pop();
        parents[row] = open.length ? open[open.length - 1] : -1;
        orders[row] = this.entered[thread]++;
        open.push(row);
        this.calls += 1;
        if (depth > this.deepest) this.deepest = depth;
        continue;
      }
      while (open.length && depths[open[open.length - 1]] > depth) open.pop();
      orders[row] = this.entered[thread];
      parents[row] = -1;
      if (open.length && depths[open[open.length - 1]] === depth) {
        const entry = open.pop();
        mates[row] = parents[row] = entry;
        mates[entry] = row;
      }
      if (kinds[row] === FAILED) this.failed += 1;
      if (kinds[row] === UNSEEN) this.unseen += 1;
    }
  }

  // Lay out the lines, from a step on or all of them.
  lay(from = 0) {
    const { kinds, threads, mates, orders, folded, lines, only, leaves, hiding } = this;
    if (!from) {
      this.lineCount = 0;
      hiding.fill(-1);
    }
    let count = this.lineCount;
    for (let row = from; row < this.count; row++) {
      const thread = threads[row];
      if (only >= 0 && thread !== only) continue;
      const mate = mates[row];
      if (hiding[thread] >= 0) {
        if (mate === hiding[thread]) hiding[thread] = -1;
        continue;
      }
      if (kinds[row] === ENTRY) {
        if (folded[row] || (leaves && mate >= 0 && orders[mate] - orders[row] === 1)) hiding[thread] = row;
      } else if (mate >= 0 && this.isClosed(mate)) continue;
      lines[count++] = row;
    }
    this.lineCount = count;
  }

  entryOf(row) {
    return this.kinds[row] === ENTRY ? row : this.mates[row];
  }

  // Calls made below an entry, directly or not.
  below(row) {
    const end = this.mates[row];
    return (end < 0 ? this.entered[this.threads[row]] : this.orders[end]) - this.orders[row] - 1;
  }

  isLeaf(row) {
    return this.mates[row] >= 0 && this.orders[this.mates[row]] - this.orders[row] === 1;
  }

  // Whether an entry stands for its return as well.
  isClosed(row) {
    return this.folded[row] === 1 || (this.leaves && this.isLeaf(row));
  }

  // How an entry's call ended: the kind of its last step, ENTRY while it is open.
  ending(row) {
    return this.mates[row] < 0 ? ENTRY : this.kinds[this.mates[row]];
  }

  // Nanoseconds, -1 if not known.
  duration(row) {
    const end = this.mates[row];
    return end < 0 || this.kinds[end] === UNSEEN ? -1 : this.at[end] - this.at[row];
  }

  // The first line that is not before a step.
  lineOf(row) {
    let [low, high] = [0, this.lineCount];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle] < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Fold or unfold a call; with `all`, everything below it too.
  fold(row, folded, all = false) {
    const thread = this.threads[row];
    const end = this.mates[row] < 0 ? this.count : this.mates[row];
    if (all) {
      for (let each = row; each < end; each++) if (this.threads[each] === thread) this.folded[each] = folded;
    }
    this.folded[row] = folded;
    this.lay();
  }

  foldAll(folded) {
    this.foldNew = folded;
    this.folded?.fill(folded, 0, this.count);
    this.lay();
  }

  // Make sure that a step, or the entry that stands for it, is a line; return its number.
  reveal(row) {
    let changed = this.only >= 0 && this.only !== this.threads[row];
    if (changed) this.only = -1;
    for (let up = this.parents[this.entryOf(row)] ?? -1; up >= 0; up = this.parents[up]) {
      changed ||= this.folded[up] === 1;
      this.folded[up] = 0;
    }
    if (changed) this.lay();
    const entry = this.entryOf(row);
    return this.lineOf(entry !== row && entry >= 0 && this.isClosed(entry) ? entry : row);
  }

  // Note the entries of the wanted functions, from a step on or all of them.
  search(wanted, from = 0) {
    this.wanted = wanted;
    if (!from) this.foundCount = 0;
    if (!wanted) return;
    const { kinds, functions, threads, found, only } = this;
    let count = this.foundCount;
    for (let row = from; row < this.count; row++)
      if (kinds[row] === ENTRY && wanted[functions[row]] && (only < 0 || threads[row] === only)) found[count++] = row;
    this.foundCount = count;
  }

  // How many of what was found come before a step.
  foundBefore(row) {
    let [low, high] = [0, this.foundCount];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.found[middle] < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The next entry of a failed call in a direction, round the end; -1 if there is none.
  nextFailed(row, step) {
    for (let far = 1; far <= this.count; far++) {
      const next = (row + step * far + 2 * this.count) % this.count;
      const shown = this.only < 0 || this.threads[next] === this.only;
      if (shown && this.kinds[next] === ENTRY && this.ending(next) === FAILED) return next;
    }
    return -1;
  }

  // The call that took longest after the one given, in the order of their durations.
  slower(last) {
    const limit = last < 0 ? Infinity : this.duration(last);
    let [best, longest] = [-1, -1];
    for (let row = 0; row < this.count; row++) {
      if (this.kinds[row] !== ENTRY || (this.only >= 0 && this.threads[row] !== this.only)) continue;
      const duration = this.duration(row);
      const after = duration < limit || (duration === limit && row > last);
      if (after && duration > longest) [best, longest] = [row, duration];
    }
    return best;
  }
}
