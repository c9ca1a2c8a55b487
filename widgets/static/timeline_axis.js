// Times as text, ticks of the axis of time, and where the view is on it.

const NS_PER_S = 1e9;
const UNITS = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// A duration to three digits in the unit that suits it.
function durationText(ns) {
  if (ns === 0) return "0";
  const [size, unit] = UNITS.find(([least]) => ns >= least * 0.9995) ?? UNITS[3];
  const value = ns / size;
  if (value >= 1000) return `${Math.round(value).toLocaleString("en")} ${unit}`;
  return `${Number(value.toPrecision(3))} ${unit}`;
}

// A moment, to the nanosecond.
function momentText(ns) {
  return `${(ns / NS_PER_S).toFixed(9)} s`;
}

function shareText(share) {
  const percent = 100 * share;
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : percent >= 1 ? percent.toFixed(1) : percent >= 0.005 ? percent.toFixed(2) : "<0.01"} %`;
}

// Round moments between two, not nearer to each other than `least`; with their labels.
function ticks(from, to, least) {
  let step = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  step *= [1, 2, 5, 10].find((factor) => step * factor >= least);
  const [size, unit] = UNITS.find(([smallest]) => Math.max(Math.abs(from), Math.abs(to)) >= smallest) ?? UNITS[3];
  const decimals = Math.max(0, Math.round(Math.log10(size) - Math.floor(Math.log10(step) + 1e-9)));
  const found = [];
  for (let at = Math.ceil(from / step - 1e-9) * step; at <= to && found.length < 200; at += step) {
    const value = at / size;
    const text = Math.abs(value) < 1e-12 ? "0" : value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    found.push([at, text === "0" ? "0" : `${text} ${unit}`]);
  }
  return found;
}

// What part of the time is looked at: `from` nanoseconds at the left end, `perPx` for each pixel.
class Camera {
  constructor() {
    this.from = 0;
    this.width = 1;
    this.first = 0; // of everything
    this.last = 1;
    this.follow = "all"; // "all", "end", or "" once the reader has gone elsewhere
    this.span = 1;
  }

  get perPx() {
    return this.span / this.width;
  }
  get to() {
    return this.from + this.span;
  }
  get whole() {
    return Math.max(this.last - this.first, 1);
  }
  timeAt(x) {
    return this.from + x * this.perPx;
  }
  xOf(time) {
    return (time - this.from) / this.perPx;
  }

  // There is more, or less, to look at.
  reach(first, last, growing) {
    this.first = first;
    this.last = Math.max(last, first + 1);
    // A long trace that still runs: its last half minute, so that something is seen to move.
    if (this.follow === "all" && growing && this.whole > 30 * NS_PER_S) {
      this.follow = "end";
      this.span = 30 * NS_PER_S;
    }
    if (this.follow === "all") this.fit();
    else if (this.follow === "end") this.from = this.last - this.span;
  }
  fit() {
    this.follow = "all";
    this.from = this.first;
    this.span = this.whole;
  }
  zoom(factor, x = this.width / 2) {
    const time = this.timeAt(x);
    this.span = Math.min(Math.max(this.span * factor, Math.min(20, this.whole)), this.whole);
    this.from = time - x * this.perPx;
    this.settle();
  }
  pan(px) {
    this.from += px * this.perPx;
    this.settle();
  }
  show(from, to) {
    if (from >= this.from && to <= this.to) return;
    const span = Math.max(this.span, Math.min((to - from) * 1.2, this.whole));
    this.span = span;
    this.from = (from + to) / 2 - span / 2;
    this.settle();
  }
  toEnd() {
    this.follow = this.span >= this.whole ? "all" : "end";
    this.from = this.last - this.span;
  }
  settle() {
    this.follow = "";
    this.from = Math.min(Math.max(this.from, this.first), this.last - this.span);
  }
}
