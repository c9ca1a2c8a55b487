// Pointing into the figures of bqplot: where in the plot, a drag along it, a mark laid over it;
// and how a heading comes to the figures that are drawn below it.
//
// Places are shares of the plot's width, which hold however the page is zoomed.

const SVG = "http://www.w3.org/2000/svg";

const plotOf = (figure) => figure?.querySelector(".plotarea_events") ?? null;

// How far right in the plot a pointer is, 0 to 1; null outside of it.
function shareAt(figure, event, { clamp = false } = {}) {
  const box = plotOf(figure)?.getBoundingClientRect();
  if (!box?.width) return null;
  const across = (event.clientX - box.left) / box.width;
  if (clamp) return Math.min(1, Math.max(0, across));
  const down = (event.clientY - box.top) / box.height;
  return across >= 0 && across < 1 && down >= 0 && down <= 1 ? across : null;
}

// A rectangle over the whole height of a plot, from one share of its width to another.
function layOver(figure, name, from, to) {
  const plot = plotOf(figure);
  if (!plot) return;
  const rect = figure.querySelector(`.${name}`) ?? document.createElementNS(SVG, "rect");
  rect.setAttribute("class", name);
  if (rect.previousSibling !== plot) plot.after(rect);
  const width = Number(plot.getAttribute("width"));
  rect.setAttribute("x", from * width);
  rect.setAttribute("width", Math.max(0, to - from) * width);
  rect.setAttribute("y", 0);
  rect.setAttribute("height", plot.getAttribute("height"));
}

const takeOff = (root, name) => root.querySelectorAll(`.${name}`).forEach((rect) => rect.remove());

// bqplot asks for its size in pixels of the screen and draws in those of the page: under a
// CSS zoom (.ktrace-big) the picture would be as much too large. It is told those of the page.
function unzoom(figure) {
  if (Object.hasOwn(figure, "getBoundingClientRect") || (figure.currentCSSZoom ?? 1) === 1) return;
  figure.getBoundingClientRect = () => {
    const box = Element.prototype.getBoundingClientRect.call(figure);
    const zoom = figure.currentCSSZoom;
    return new DOMRect(box.x / zoom, box.y / zoom, box.width / zoom, box.height / zoom);
  };
  // A change of its size, too small to be seen, makes it draw anew.
  figure.style.paddingBottom = "0.1px";
}

// The models of bqplot's marks by their ids, as far as the front end gives them.
async function marksOf(model, ids) {
  const manager = model.widget_manager;
  return Promise.all(ids.map((id) => manager?.get_model?.(id).catch(() => null) ?? null));
}

// Calls show() when the plots of a view have another size: what is laid over them moves along.
function whenResized(root, show) {
  const watcher = new MutationObserver(show);
  for (const plot of root.querySelectorAll(".bqplot .plotarea_events"))
    watcher.observe(plot, { attributeFilter: ["width", "height"] });
  return () => watcher.disconnect();
}

// Calls show() once per frame at most, when it is asked for.
function oncePerFrame(show) {
  let asked = 0;
  const ask = () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      show();
    });
  };
  ask.cancel = () => cancelAnimationFrame(asked);
  return ask;
}

// Listens to several kinds of events; returns what ends it.
function listenTo(node, listeners) {
  const all = Object.entries(listeners);
  for (const [kind, act] of all) node.addEventListener(kind, act);
  return () => {
    for (const [kind, act] of all) node.removeEventListener(kind, act);
  };
}

// Holds what is dragged until the button is let go, wherever the pointer goes meanwhile.
function makeDrag(pull, release) {
  let stopListening = () => {};
  const drag = {
    held: null,
    begin(held) {
      drag.held = held;
      stopListening = listenTo(document, { pointermove: pull, pointerup: release, pointercancel: drag.end });
    },
    end() {
      drag.held = null;
      stopListening();
    },
  };
  return drag;
}

// Calls ready() when the figures of a view are drawn: they come after its heading.
function whenDrawn(el, selector, count, ready) {
  let alive = true;
  const look = () => {
    if (!alive) return;
    const root = el.closest(selector);
    const figures = [...(root?.querySelectorAll(".bqplot") ?? [])];
    figures.forEach(unzoom);
    if (root && figures.length >= count && figures.every(plotOf)) ready(root);
    else setTimeout(look, 50);
  };
  look();
  return () => {
    alive = false;
  };
}

// The view with its figures (root, null until they are drawn) and bqplot's models of their marks,
// which come and go with the layout. What is wanted of a layout: ids of marks, count of figures.
function followFigures(model, el, { selector, wanted, traits, listeners, draw }) {
  const show = oncePerFrame(draw);
  const view = { root: null, marks: [], stop };
  let stopWaiting = () => {};
  let stopResizing = () => {};
  let stopListening = () => {};
  let giveKeysBack = () => {};

  let listening = 0;
  async function listen() {
    const turn = ++listening;
    const { ids, count } = wanted(model.get("layout_of"));
    const found = await marksOf(model, ids);
    if (turn !== listening) return;
    view.marks.forEach((mark) => mark?.off("change:y", show));
    view.marks = found;
    view.marks.forEach((mark) => mark?.on("change:y", show));
    stopWaiting();
    stopWaiting = whenDrawn(el, selector, count, (root) => {
      if (!view.root) {
        view.root = root;
        giveKeysBack = ownKeys(root);
        stopListening = listenTo(root, listeners);
      }
      stopResizing();
      stopResizing = whenResized(view.root, show);
      show();
    });
    show();
  }

  function stop() {
    listening = -1;
    stopWaiting();
    stopResizing();
    stopListening();
    giveKeysBack();
    show.cancel();
    model.off("change:layout_of", listen);
    for (const trait of traits) model.off(`change:${trait}`, show);
    view.marks.forEach((mark) => mark?.off("change:y", show));
  }

  model.on("change:layout_of", listen);
  for (const trait of traits) model.on(`change:${trait}`, show);
  void listen();
  return view;
}

// A figure for who cannot see it, and for the keyboard.
function describe(figure, summary) {
  figure.setAttribute("role", "img");
  figure.setAttribute("tabindex", "0");
  if (figure.getAttribute("aria-label") !== summary) figure.setAttribute("aria-label", summary);
}

function part(parent, tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  parent.append(node);
  return node;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
