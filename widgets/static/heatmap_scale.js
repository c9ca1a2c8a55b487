// Numbers in words, round numbers on axes, and the colours of a heat map.

const SHADES = 255; // 0 is a cell in which nothing was counted: it has no colour

// The smallest of 1, 2 and 5 times a power of ten that is not less.
function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(number) + 1e-9);
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= number * (1 - 1e-9)) ?? 10 * power;
}

function roundDown(number) {
  const power = 10 ** Math.floor(Math.log10(number) + 1e-9);
  return [5, 2, 1].map((factor) => factor * power).find((step) => step <= number * (1 + 1e-9)) ?? power;
}

// A rate in three digits, with a decimal prefix where it is long.
function shortNumber(number) {
  if (number === 0) return "0";
  for (const [size, prefix] of [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (number >= size * 0.9995) return `${Number((number / size).toPrecision(3))}${prefix}`;
  return String(Number(number.toPrecision(3)));
}

function rateText(rate) {
  return rate >= 99.95 ? Math.round(rate).toLocaleString("en") : String(Number(rate.toPrecision(3)));
}

// A moment told as finely as columns of a width tell it.
function momentText(seconds, width) {
  const decimals = Math.max(0, Math.min(9, Math.ceil(1 - Math.log10(width))));
  return `${Number(seconds.toFixed(decimals)).toLocaleString("en", { maximumFractionDigits: decimals })} s`;
}

const CLOCK_STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// Round moments on the axis of time, and their labels.
function timeTicks(from, to, most) {
  const wanted = (to - from) / Math.max(most, 1);
  const step = wanted <= 1 ? roundUp(wanted) : (CLOCK_STEPS.find((one) => one >= wanted) ?? 86400 * roundUp(wanted / 86400));
  const [size, unit] = [[3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"]].find(([one]) => step >= one * 0.999) ?? [1e-9, "ns"];
  const found = [];
  for (let count = Math.ceil(from / step - 1e-9); count * step <= to + step * 1e-9; count++) {
    const value = Number(((count * step) / size).toPrecision(9));
    found.push([count * step, count === 0 ? "0" : `${value.toLocaleString("en", { maximumFractionDigits: 9 })} ${unit}`]);
  }
  return found;
}

// From a rate to a share of the scale, 0 to 1, and where its numbers are.
class Scale {
  constructor(kind, low, high) {
    this.kind = kind;
    this.low = kind === "log" ? low : 0;
    this.high = high;
  }

  same(other) {
    return other && this.kind === other.kind && this.low === other.low && this.high === other.high;
  }

  share(rate) {
    if (this.kind === "log") return Math.log(rate / this.low) / Math.log(this.high / this.low);
    return this.kind === "sqrt" ? Math.sqrt(rate / this.high) : rate / this.high;
  }

  // The number of a colour; of what was counted at all never 0.
  shade(rate) {
    if (!(rate > 0)) return 0;
    return 1 + Math.round(Math.max(0, Math.min(1, this.share(rate))) * (SHADES - 1));
  }

  ticks() {
    if (this.kind !== "log") return [0, 0.25, 0.5, 1].map((part) => part * this.high);
    const decades = [];
    for (let at = 10 ** Math.ceil(Math.log10(this.low) - 1e-9); at <= this.high * 1.001; at *= 10) decades.push(at);
    const every = Math.ceil(decades.length / 5);
    return decades.length < 2 ? [this.low, this.high] : decades.filter((_, place) => place % every === 0);
  }
}

// As many colours as there are shades, between those of the theme, as pixels of an ImageData (little-endian).
function pixelsOf(colours) {
  const stops = colours.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  const pixels = new Uint32Array(SHADES + 1);
  for (let shade = 1; shade <= SHADES; shade++) {
    const at = ((shade - 1) / (SHADES - 1)) * (stops.length - 1);
    const stop = Math.min(Math.floor(at), stops.length - 2);
    const [red, green, blue] = stops[stop].map((part, index) => Math.round(part + (stops[stop + 1][index] - part) * (at - stop)));
    pixels[shade] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return pixels;
}
