// What stands in the cells of a health board: lamps, bands and short lines, drawn of numbers.

const SVG = "http://www.w3.org/2000/svg";
// Told apart by shape as well as by colour; each has its word beside it.
const LAMPS = {
  ok: "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0 -12Z",
  low: "M1.5 3H14.5L8 14.5Z",
  high: "M1.5 13H14.5L8 1.5Z",
  drift: "M8 .8L15.2 8L8 15.2L.8 8Z",
};
const OFF = "M3 3H13V13H3Z";
const LINE_WIDTH = 132;
const LINE_HEIGHT = 24;
const BAND_WIDTH = 92;

function shape(tag, parent, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

function picture(parent, width, height, className) {
  const viewBox = `0 0 ${width} ${height}`;
  // Where it is narrower its lines stay as wide as they are.
  const fit = { preserveAspectRatio: "none", "aria-hidden": "true" };
  return shape("svg", parent, { width, height, viewBox, class: className, ...fit });
}

function makeLamp(cell) {
  const light = shape("path", picture(cell, 16, 16, "ktrace-lamp"), {});
  const word = element("span", "", cell);
  return (state) => {
    light.setAttribute("d", LAMPS[state] ?? OFF);
    word.textContent = state;
    cell.dataset.state = state in LAMPS ? state : "unknown";
  };
}

// The band is filled, the scale goes on a little beyond it, the number is a mark.
function makeBand(cell) {
  const drawn = picture(cell, BAND_WIDTH, 14, "ktrace-band");
  shape("rect", drawn, { x: 0, y: 6, width: BAND_WIDTH, height: 2, class: "ktrace-band-scale" });
  const inside = shape("rect", drawn, { y: 3, height: 8, rx: 2, class: "ktrace-band-inside" });
  const mark = shape("rect", drawn, { y: 0, width: 4, height: 14, rx: 1, class: "ktrace-band-mark" });
  const text = element("span", "ktrace-band-text", cell);
  return ({ band, bandText }) => {
    drawn.toggleAttribute("hidden", !band);
    text.textContent = bandText;
    if (!band) return;
    const [start, end, at] = band;
    inside.setAttribute("x", start * BAND_WIDTH);
    inside.setAttribute("width", Math.max(2, (end - start) * BAND_WIDTH));
    mark.setAttribute("x", at * (BAND_WIDTH - 4));
    mark.classList.toggle("ktrace-band-out", at < start || at > end);
  };
}

// Steps: each rate is the mean since the moment before. The highest of them fills the height.
function stepsOf(at, rates, seconds) {
  const end = at[at.length - 1];
  const x = (moment) => Math.max(0, LINE_WIDTH * (1 - (end - moment) / seconds)).toFixed(1);
  const most = rates.reduce((highest, rate) => Math.max(highest, rate ?? 0), 0);
  const y = (rate) => (LINE_HEIGHT - 1.5 - (most > 0 ? Math.max(0, rate) / most : 0) * (LINE_HEIGHT - 3)).toFixed(1);
  let line = "";
  let drawing = false;
  for (let place = 1; place < rates.length; place += 1) {
    if (rates[place] === null || rates[place] === undefined) {
      drawing = false;
      continue;
    }
    line += drawing ? `V${y(rates[place])}` : `M${x(at[place - 1])} ${y(rates[place])}`;
    line += `H${x(at[place])}`;
    drawing = true;
  }
  return line;
}

function makeLine(cell) {
  const drawn = picture(cell, LINE_WIDTH, LINE_HEIGHT, "ktrace-spark");
  shape("path", drawn, { d: `M0 ${LINE_HEIGHT - 0.5}H${LINE_WIDTH}`, class: "ktrace-spark-ground" });
  const line = shape("path", drawn, { class: "ktrace-spark-line" });
  return (at, rates, seconds) => line.setAttribute("d", stepsOf(at, rates, seconds));
}
