// What is written beside the cells of a heat map: how it is used, and what the colours mean.

const HELP = "drag to pick cells, drag along the time to pick a window; arrows move, Space picks";
const KEYS =
  "Arrow keys move the cursor, Page Up and Down by ten columns, Home and End to the first and last. Shift and an " +
  "arrow frames a rectangle, Space picks it, Control Space adds it. [ and ] begin and end the window at the cursor. " +
  "P goes to the peak. Escape clears what is picked, then the window.";

function made(tag, name, parent, properties = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  if (name) node.className = `ktrace-heat-${name}`;
  parent?.append(node);
  return node;
}

// The colours from least to most, and numbers below them.
function legendOf(scale) {
  const ticks = made("div", "ticks");
  for (const rate of scale.ticks()) {
    const tick = made("span", "", ticks, { textContent: shortNumber(rate) });
    tick.style.left = `${100 * Math.max(0, Math.min(1, scale.share(rate)))}%`;
  }
  const ramp = made("div", "ramp");
  ramp.append(made("div", "colours"), ticks);
  return [made("span", "", null, { textContent: "count per second" }), ramp];
}
