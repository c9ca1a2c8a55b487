// A number with its unit to three digits, as units.py writes them.

const SECONDS = { ns: 1e-9, us: 1e-6, "µs": 1e-6, usecs: 1e-6, ms: 1e-3, msecs: 1e-3, s: 1, sec: 1 };
const TIME_STEPS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const SI_STEPS = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

function digitsText(value) {
  if (!value) return "0";
  const size = Math.abs(value);
  if (size < 0.1) return String(Number(value.toPrecision(3)));
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toPrecision(3);
}

function bytesText(value) {
  let power = 0;
  while (Math.abs(value) >= (power ? 1023.5 : 1024) && power < IEC.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${power || !Number.isInteger(value) ? digitsText(value) : value} ${IEC[power]}`;
}

function quantityText(value, unit) {
  if (!Number.isFinite(value)) return "-";
  if (unit in SECONDS) {
    const seconds = value * SECONDS[unit];
    if (!seconds) return "0";
    const step = TIME_STEPS.find(([size]) => Math.abs(seconds) >= size * 0.9995) ?? TIME_STEPS.at(-1);
    return `${Number((seconds / step[0]).toPrecision(3)).toLocaleString("en-US")} ${step[1]}`;
  }
  if (unit === "bytes") return bytesText(value);
  if (unit === "kb") return bytesText(value * 1024);
  if (unit === "bytes_per_s") return `${bytesText(value)}/s`;
  if (unit === "share") return `${digitsText(value * 100)} %`;
  if (unit === "per_s") {
    const [size, prefix] = SI_STEPS.find(([least]) => Math.abs(value) >= least * 0.9995) ?? [1, ""];
    return `${digitsText(value / size)}${prefix}/s`;
  }
  const plain = value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) >= 1000 ? 1 : 3 });
  return unit ? `${plain} ${unit}` : plain;
}
