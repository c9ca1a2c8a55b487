// The counts of a heat map as the page holds them, and the picture of its cells.

const FIRST_COLUMNS = 64;
const GAP_FROM = 9; // pixels; cells that are larger have gaps between them

// What arrives is aligned to nothing.
function numbers(view, Kind) {
  return new Kind(new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer);
}

class Cells {
  constructor() {
    this.grid = 0; // the number of the axis of values
    this.columns = 0;
    this.take({ lows: [], highs: [], bounds: [], ticks: [], label: "" }, 0);
  }

  // Another axis of values: all that is known is of the one before.
  take(axis, grid) {
    this.grid = grid;
    this.axis = axis;
    this.rows = axis.lows.length;
    this.columns = 0;
    this.room = 0;
    this.grow(FIRST_COLUMNS);
  }

  grow(columns) {
    if (columns <= this.room) return;
    const keep = (old, Kind, length) => {
      const made = new Kind(length);
      if (old && this.columns) made.set(old.subarray(0, made.length));
      return made;
    };
    this.room = Math.max(columns, 2 * this.room);
    this.edges = keep(this.edges, Float64Array, this.room + 1);
    this.counts = keep(this.counts, BigUint64Array, this.room * this.rows);
    this.rates = keep(this.rates, Float64Array, this.room * this.rows);
  }

  // Columns from one on are new. The rates on the scale only come to more, so that colours stay
  // what they are, unless all is new.
  set(first, columns, edges, counts) {
    this.grow(columns);
    this.columns = columns;
    this.edges.set(edges, first);
    this.counts.set(counts, first * this.rows);
    if (first === 0) [this.least, this.most] = [Infinity, 0];
    for (let column = first; column < columns; column++) {
      const seconds = this.edges[column + 1] - this.edges[column];
      for (let at = column * this.rows; at < (column + 1) * this.rows; at++) {
        const rate = Number(this.counts[at]) / seconds;
        this.rates[at] = rate;
        if (rate > this.most) this.most = rate;
        if (rate > 0 && rate < this.least) this.least = rate;
      }
    }
  }

  scale(kind) {
    if (!(this.most > 0)) return new Scale(kind, 1, 10);
    const high = roundUp(this.most);
    // Less than a millionth of the most is as good as nothing.
    return new Scale(kind, Math.max(Math.min(roundDown(this.least), high / 10), high / 1e6), high);
  }

  get from() {
    return this.edges[0];
  }
  get to() {
    return this.edges[this.columns];
  }

  // The column of a moment, the first or the last if it lies outside.
  columnAt(seconds) {
    let [low, high] = [0, this.columns - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.edges[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  peak() {
    let best = -1;
    for (let at = 0; at < this.columns * this.rows; at++) if (this.rates[at] > (best < 0 ? 0 : this.rates[best])) best = at;
    return best < 0 ? null : { column: Math.floor(best / this.rows), row: best % this.rows };
  }

  // From when to when, which values, how many and how fast: of a rectangle all of its cells.
  tell(first, last, low, high) {
    const [from, to] = [this.edges[first], this.edges[last + 1]];
    let count = 0n;
    for (let column = first; column <= last; column++)
      for (let row = low; row <= high; row++) count += this.counts[column * this.rows + row];
    const width = Math.min(this.edges[first + 1] - from, to - this.edges[last]);
    const values = low === high ? this.axis.bounds[low] : `${this.axis.bounds[low]} up to ${this.axis.bounds[high]}`;
    const text = `${momentText(from, width)} to ${momentText(to, width)} · ${values} · ${count.toLocaleString("en")} counted`;
    return count === 0n ? text : `${text} · ${rateText(Number(count) / (to - from))} per second`;
  }
}

// The cells as pixels of a canvas. What did not change is not painted again.
class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.image = null;
    this.painted = 0; // columns of pixels, for tests
  }

  // Paint cells from a column on.
  paint(cells, first, { scale, colours, end, ratio }) {
    const { width, height } = this.canvas;
    const { rows, columns } = cells;
    if (!width || !height || !rows) return;
    if (this.image?.width !== width || this.image?.height !== height) {
      this.image = new ImageData(width, height);
      this.shades = new Uint8Array(0);
      first = 0;
    }
    if (this.shades.length !== width * rows) {
      this.shades = new Uint8Array(width * rows);
      first = 0;
    }
    const x = (seconds) => Math.round(((seconds - cells.from) / (end - cells.from)) * width);
    const left = Math.min(x(cells.edges[first]), width - 1);
    this.shades.fill(0, left * rows);
    // A column that shares its pixel with the one before must not hide it.
    const start = first > 0 && x(cells.edges[first]) === x(cells.edges[first - 1]) ? cells.columnAt(cells.from + ((left - 1) / width) * (end - cells.from)) : first;
    const gapped = height / rows >= GAP_FROM * ratio;
    for (let column = start; column < columns; column++) {
      const begin = Math.max(x(cells.edges[column]), left);
      const next = x(cells.edges[column + 1]);
      const gap = gapped && next - begin >= GAP_FROM * ratio ? Math.round(ratio) : 0;
      for (let row = 0; row < rows; row++) {
        const shade = scale.shade(cells.rates[column * rows + row]);
        if (!shade) continue;
        for (let at = begin; at < Math.min(Math.max(next - gap, begin + 1), width); at++) {
          const place = at * rows + row;
          if (shade > this.shades[place]) this.shades[place] = shade;
        }
      }
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    const narrow = x(cells.to) / columns < GAP_FROM * ratio;
    const rowGap = gapped && !narrow ? Math.round(ratio) : 0;
    for (let row = 0; row < rows; row++) {
      const top = Math.round(height * (1 - (row + 1) / rows));
      const bottom = Math.round(height * (1 - row / rows));
      for (let y = top; y < bottom; y++) {
        const line = y * width;
        if (y < top + rowGap) pixels.fill(0, line + left, line + width);
        else for (let at = left; at < width; at++) pixels[line + at] = colours[this.shades[at * rows + row]];
      }
    }
    this.painted += width - left;
    this.context.putImageData(this.image, 0, 0, left, 0, width - left, height);
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.image = null;
  }
}
