// What pictures of boxes and arrows have in common: SVG made element by element, so that a name is
// never taken for markup, scaled by buttons and moved by dragging.

const SVG = "http://www.w3.org/2000/svg";
const SCALES = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2];
const LEAST_SCALE = 0.7; // smaller can hardly be read

function make(tag, parent, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

// The buttons − + fit; `whole` gives the width and height of what is drawn.
function scaleButtons(bar) {
  const button = (textContent, ariaLabel) => element("button", "", bar, { type: "button", textContent, ariaLabel });
  return { smaller: button("−", "smaller"), larger: button("+", "larger"), fit: button("fit", "fit") };
}

function scaled(frame, picture, whole, { smaller, larger, fit }) {
  let scale = null; // of itself as wide as the page, if that can be read; 0 is as wide as the page anyway

  function size() {
    const [width, height] = whole();
    const fitting = Math.min(1, frame.clientWidth / Math.max(width, 1));
    const now = scale || (scale === 0 ? fitting : Math.max(fitting, LEAST_SCALE));
    picture.setAttribute("width", Math.max(width * now, 1));
    picture.setAttribute("height", Math.max(height * now, 1));
    return now;
  }

  function rescale(direction) {
    const now = size();
    const next = direction > 0 ? SCALES.find((step) => step > now * 1.01) : SCALES.findLast((step) => step < now * 0.99);
    if (next) scale = next;
    size();
  }

  // Scrolls the picture alone: scrollIntoView would move the page as well.
  function reveal(node) {
    const now = size();
    const [x, y, halfWide, halfHigh] = [node.x, node.y, node.width / 2, node.height / 2].map((length) => length * now);
    frame.scrollLeft = Math.min(Math.max(frame.scrollLeft, x + halfWide - frame.clientWidth), x - halfWide);
    frame.scrollTop = Math.min(Math.max(frame.scrollTop, y + halfHigh - frame.clientHeight), y - halfHigh);
  }

  // Dragging moves the picture; a click is a press that moved nothing.
  let grip = null;
  picture.onpointerdown = (event) => {
    if (event.button === 0) grip = { x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop, moved: false };
  };
  picture.onpointermove = (event) => {
    if (!grip || !(event.buttons & 1)) return;
    // Where the page is enlarged, pointers move in its pixels and pictures in theirs.
    const zoom = frame.currentCSSZoom ?? 1;
    const [x, y] = [(event.clientX - grip.x) / zoom, (event.clientY - grip.y) / zoom];
    grip.moved ||= Math.hypot(x, y) > 4;
    if (grip.moved) frame.scrollTo(grip.left - x, grip.top - y);
  };
  smaller.onclick = () => rescale(-1);
  larger.onclick = () => rescale(1);
  fit.onclick = () => {
    scale = 0;
    size();
  };
  const sizes = new ResizeObserver(size);
  sizes.observe(frame);
  return { size, rescale, reveal, dragged: () => Boolean(grip?.moved), stop: () => sizes.disconnect() };
}
