// A histogram over time on two canvases: one has the cells, the other all that is drawn over them.
//
// Python sends the counts of columns that are new. Colours, pointing and the keyboard need no
// answer; what is picked and the window come back from Python, for other views share them.

const ROW_PX = 12;
const [LEAST_PX, MOST_PX] = [168, 336];
const DRAG_PX = 4;

function render({ model, el }) {
  const channel = openChannel(model);
  const cells = new Cells();
  el.classList.add("ktrace-heatmap");
  const giveKeysBack = ownKeys(el);
  const title = made("div", "", el, { className: "ktrace-title", textContent: model.get("title") });
  const bar = made("div", "bar", el);
  const legend = made("div", "legend", bar);
  const kindLabel = made("label", "kind", bar, { textContent: "colour " });
  const kindBox = made("select", "", kindLabel);
  for (const [value, textContent] of [["log", "logarithmic"], ["sqrt", "square root"], ["linear", "linear"]])
    made("option", "", kindBox, { value, textContent });
  const frame = made("div", "frame", el);
  const picture = new Picture(made("canvas", "cells", frame));
  const canvas = made("canvas", "over", frame, { tabIndex: 0 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-description", KEYS);
  const tell = made("div", "tell", el);
  tell.setAttribute("aria-live", "polite");
  const foot = made("div", "", el, { className: "ktrace-foot" });
  const drawn = new Drawn(canvas, el);

  let end = 0; // of the axis of time, which reaches further than the cells while these come in
  let scale = null;
  let colours = null;
  let marks = new Set();
  let window_ = null;
  let pointed = null; // the cell under the mouse
  let cursor = null; // where the keyboard is: {at, low}, a moment and a lowest value
  let anchor = null; // where a rectangle began, likewise
  let drag = null;
  let fresh = Infinity; // columns from here on have to be painted
  let pending = 0;

  const write = (node, text) => node.textContent !== text && (node.textContent = text);
  const say = (data) => void channel.send(data);
  const ask = () => say({ have: [cells.grid, cells.columns] });

  function receive(message, buffers) {
    if (message.grid === undefined) return;
    const taken = [...buffers];
    if (message.axis) {
      cells.take(message.axis, message.grid);
      end = 0;
    } else if (message.grid !== cells.grid || message.from > cells.columns) return ask();
    if (message.from !== undefined) {
      const [edges, counts] = [numbers(taken.shift(), Float64Array), numbers(taken.shift(), BigUint64Array)];
      const before = cells.columns;
      cells.set(message.from, message.columns, edges, counts);
      fresh = Math.min(fresh, message.from);
      stretch(message.from === 0 && before === 0);
    }
    if (message.marks !== undefined) marks = new Set(numbers(taken.shift(), Uint32Array));
    if (message.window !== undefined) window_ = message.window;
    if (message.foot !== undefined) write(foot, message.foot);
    later();
  }

  // While columns come in the axis has room for some more, so that it moves now and then, not always.
  function stretch(first) {
    if (first || !(end > cells.from)) end = cells.to;
    else if (cells.to > end || cells.to < cells.from + (end - cells.from) / 2) {
      const step = roundUp((cells.to - cells.from) / 16);
      end = Math.ceil(cells.to / step + 0.5) * step;
    } else return;
    fresh = 0;
  }

  function later() {
    pending ||= requestAnimationFrame(draw);
  }
  const ratioNow = () => (window.devicePixelRatio || 1) * (el.currentCSSZoom ?? 1);

  function draw() {
    pending = 0;
    const width = frame.clientWidth;
    const some = cells.columns > 0 && cells.rows > 0;
    for (const node of [frame, bar, tell]) node.hidden = !some;
    if (!some || !width) return;
    const plotHeight = Math.max(LEAST_PX, Math.min(MOST_PX, cells.rows * ROW_PX));
    drawn.place(cells, end, width, plotHeight);
    const ratio = ratioNow();
    fit(canvas, width, TOP + plotHeight + BOTTOM, ratio);
    if (fit(picture.canvas, drawn.plotWidth, plotHeight, ratio)) fresh = 0;
    const wanted = cells.scale(kindBox.value);
    if (!wanted.same(scale) || !colours) {
      scale = wanted;
      const style = getComputedStyle(el);
      colours = pixelsOf([0, 1, 2, 3, 4, 5].map((stop) => style.getPropertyValue(`--kh-${stop}`).trim()));
      fresh = 0;
      legend.replaceChildren(...legendOf(scale));
    }
    if (fresh < Infinity) {
      picture.paint(cells, Math.min(fresh, cells.columns - 1), { scale, colours, end, ratio });
      canvas.dataset.columns = cells.columns;
      canvas.dataset.rows = cells.rows;
      showLabel();
    }
    fresh = Infinity;
    canvas.dataset.picked = marks.size;
    drawn.draw(ratio, { window: drag?.window ?? window_, marks, framed: drag?.cells ?? framed(), pointed: pointed && !drag ? one(pointed) : null });
    showTell();
  }

  function fit(node, width, height, ratio) {
    const [wide, tall] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (node.width === wide && node.height === tall) return false;
    [node.width, node.height] = [wide, tall];
    [node.style.width, node.style.height] = [`${width}px`, `${height}px`];
    return true;
  }

  function showLabel() {
    const best = cells.peak();
    const values = `${cells.axis.bounds[0]} up to ${cells.axis.bounds[cells.rows - 1]}`;
    const most = best ? `; most ${cells.tell(best.column, best.column, best.row, best.row)}` : "";
    const label = `${title.textContent || "heat map"}: ${foot.textContent}; ${values}${most}`;
    if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
  }

  // --- cells and rectangles ---------------------------------------------------------------

  const one = ({ column, row }) => ({ first: column, last: column, low: row, high: row });
  const between = (a, b) => ({
    first: Math.min(a.column, b.column),
    last: Math.max(a.column, b.column),
    low: Math.min(a.row, b.row),
    high: Math.max(a.row, b.row),
  });
  // A place is kept as a moment and a value, so that it stays when columns are added up or rows come to it.
  const kept = ({ column, row }) => ({ at: (cells.edges[column] + cells.edges[column + 1]) / 2, low: cells.axis.lows[row] });
  const found = ({ at, low }) => ({ column: cells.columnAt(at), row: Math.max(0, cells.axis.lows.indexOf(low)) });

  function framed() {
    if (!cursor) return null;
    return between(found(cursor), found(anchor ?? cursor));
  }

  function showTell() {
    const shown = drag?.cells ?? (pointed && !drag ? one(pointed) : framed());
    let text = shown ? cells.tell(shown.first, shown.last, shown.low, shown.high) : HELP;
    if (drag?.window) {
      const width = cells.edges[1] - cells.edges[0];
      text = `window from ${momentText(drag.window[0], width)} to ${momentText(drag.window[1], width)}`;
    }
    tell.classList.toggle("ktrace-heat-idle", text === HELP);
    write(tell, text);
  }

  function isMarked({ first, last, low, high }) {
    for (let column = first; column <= last; column++)
      for (let row = low; row <= high; row++) if (!marks.has(column * cells.rows + row)) return false;
    return true;
  }

  // Told so that it means the same when it arrives twice.
  function pick(box, adding) {
    const marked = isMarked(box);
    const { first, last, low, high } = box;
    if (!adding && (marked || (first === last && low === high && !cells.counts[first * cells.rows + low]))) {
      say({ pick: null });
      return;
    }
    say({
      pick: {
        from: cells.edges[first],
        to: cells.edges[last + 1],
        low: cells.axis.lows[low],
        high: cells.axis.highs[high],
        how: !adding ? "only" : marked ? "remove" : "add",
      },
    });
  }

  function setWindow(wanted) {
    window_ = wanted;
    say({ window: wanted });
    later();
  }

  // --- the mouse --------------------------------------------------------------------------

  // In the canvas's own pixels, whatever the page or the panel is scaled by.
  function placeOf(event) {
    const bounds = canvas.getBoundingClientRect();
    const scaled = canvas.clientWidth / bounds.width;
    return [(event.clientX - bounds.left) * scaled, (event.clientY - bounds.top) * scaled];
  }

  // JupyterLab would take Shift and a click for a selection of cells.
  canvas.onmousedown = (event) => event.shiftKey && event.preventDefault();
  canvas.onpointerdown = (event) => {
    if (event.button !== 0 || !cells.columns) return;
    canvas.focus({ preventScroll: true });
    const [x, y] = placeOf(event);
    if (drawn.isOver(x, y)) drag = { from: [x, y], cell: drawn.cellAt(x, y), moved: false };
    else if (drawn.isAxis(x, y)) drag = { from: [x, y], along: true, moved: false };
    if (drag) canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = (event) => {
    const [x, y] = placeOf(event);
    const over = cells.columns > 0 && drawn.isOver(x, y);
    canvas.style.cursor = cells.columns && drawn.isAxis(x, y) ? "col-resize" : over ? "crosshair" : "";
    pointed = over ? drawn.cellAt(x, y) : null;
    if (drag) {
      drag.moved ||= Math.hypot(x - drag.from[0], y - drag.from[1]) >= DRAG_PX;
      if (drag.moved && drag.along) {
        const columns = [drag.from[0], x].map((place) => cells.columnAt(drawn.seconds(place)));
        drag.window = [cells.edges[Math.min(...columns)], cells.edges[Math.max(...columns) + 1]];
      } else if (drag.moved) drag.cells = between(drag.cell, drawn.cellAt(x, y));
    }
    later();
  };
  canvas.onpointerup = (event) => {
    const done = drag;
    drag = null;
    if (!done) return;
    const adding = event.shiftKey || event.ctrlKey || event.metaKey;
    if (done.window) setWindow(done.window);
    else if (done.cell) {
      cursor = kept(done.cell);
      anchor = null;
      pick(done.cells ?? one(done.cell), adding);
    }
    later();
  };
  canvas.onpointercancel = () => {
    drag = null;
    later();
  };
  canvas.onpointerleave = () => {
    pointed = null;
    later();
  };
  canvas.ondblclick = () => window_ && setWindow(null);

  // --- the keyboard -----------------------------------------------------------------------

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], PageUp: [-10, 0], PageDown: [10, 0], Home: [-Infinity, 0], End: [Infinity, 0] };

  function move([columns, rows], extend) {
    const at = cursor ? found(cursor) : null;
    if (extend && at) anchor ??= cursor;
    else if (!extend) anchor = null;
    const within = (value, most) => Math.max(0, Math.min(most - 1, value));
    // The first arrow goes to the peak: from there the reader looks around.
    const next = at ? { column: within(at.column + columns, cells.columns), row: within(at.row + rows, cells.rows) } : (cells.peak() ?? { column: 0, row: 0 });
    cursor = kept(next);
    pointed = null;
    later();
  }

  function edge(key) {
    if (!cursor) return;
    const { column } = found(cursor);
    let [from, to] = window_ ?? [cells.from, cells.to];
    if (key === "[") from = cells.edges[column];
    else to = cells.edges[column + 1];
    if (from >= to) [from, to] = key === "[" ? [from, cells.to] : [cells.from, to];
    setWindow([from, to]);
  }

  canvas.onkeydown = (event) => {
    const { key } = event;
    if (!cells.columns || event.altKey || event.metaKey || (event.ctrlKey && key !== " ")) return;
    let taken = true;
    if (STEPS[key]) move(STEPS[key], event.shiftKey);
    else if ((key === " " || key === "Enter") && cursor) pick(framed(), event.ctrlKey || event.shiftKey);
    else if (key === "[" || key === "]") edge(key);
    else if (key === "p" || key === "P") {
      cursor = anchor = null;
      move([0, 0], false);
    } else if (key === "Escape") {
      if (drag) drag = null;
      else if (marks.size) say({ pick: null });
      else if (window_) setWindow(null);
      else cursor = anchor = null;
      later();
    } else taken = false;
    if (!taken) return;
    event.preventDefault();
    event.stopPropagation();
  };

  const repaint = () => {
    fresh = 0;
    colours = null;
    later();
  };
  kindBox.onchange = repaint;
  const sizes = new ResizeObserver(later);
  sizes.observe(frame);
  sizes.observe(el);
  // Another theme has other colours.
  const themes = new MutationObserver(repaint);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  model.on("msg:custom", receive);
  later();
  ask();
  return () => {
    model.off("msg:custom", receive);
    sizes.disconnect();
    themes.disconnect();
    cancelAnimationFrame(pending);
    giveKeysBack();
  };
}

export default { render };
