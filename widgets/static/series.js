// The heading and legend of numbers over time, and what makes the lines answer: pointing
// tells every line's number at that moment, a drag picks a window of time, a click on a
// line or its legend picks its key.

const NEAR_PX = 9;

function render({ model, el }) {
  const channel = openChannel(model);
  el.classList.add("ktrace-series-head");
  const line = part(el, "div", "ktrace-bars-head");
  const title = part(line, "div", "ktrace-title");
  const pointed = part(line, "div", "ktrace-pointed");
  pointed.setAttribute("aria-hidden", "true");
  const legend = part(el, "div", "ktrace-legend");
  legend.setAttribute("role", "group");
  legend.setAttribute("aria-label", "lines");
  const spoken = part(el, "div", "ktrace-spoken");
  spoken.setAttribute("role", "status");

  // Its marks are the lines and, if there are any, the bands.
  const view = followFigures(model, el, {
    selector: ".ktrace-series",
    wanted: ({ lines, bands, titles }) => ({ ids: [lines, bands].filter(Boolean), count: titles.length ? 1 : 0 }),
    traits: ["latest", "picked", "window"],
    listeners: {
      pointermove: point,
      pointerdown: press,
      pointerleave: leave,
      dblclick: twice,
      focusout: exit,
      keydown: key,
    },
    draw,
  });
  const drag = makeDrag(pull, release); // holds { from, to, adds, moved, x }: seconds, and where it began
  let cursor = null; // { at, anchor, keys }: moments by their number

  const layout = () => model.get("layout_of");
  const figure = () => view.root?.querySelector(".bqplot") ?? null;
  const lines = () => view.marks[0];
  const moments = () => lines()?.get("x") ?? [];
  const share = (at) => (at - layout().span[0]) / (layout().span[1] - layout().span[0]);
  const moment = (share_) => layout().span[0] + share_ * (layout().span[1] - layout().span[0]);
  const secondsText = (at) => `${Number(at.toPrecision(6))} s`;

  // The numbers of a line: bqplot has one flat array of a single one.
  function rows(mark) {
    const y = mark?.get("y") ?? [];
    if (!y.length) return [];
    return typeof y[0] === "number" ? [y] : [...y];
  }

  const valueText = (value, number) => quantityText(value, layout().units[number]);

  // --- the legend ---

  function entry(number) {
    const button = part(legend, "button", "ktrace-entry");
    button.innerHTML = '<svg width="34" height="10" aria-hidden="true"><path d="M1 5H33"/></svg>';
    const path = button.querySelector("path");
    path.style.stroke = `var(--kt-line-${number + 1})`;
    path.style.strokeDasharray = layout().dashes[number] || "none";
    part(button, "span", "ktrace-entry-name");
    part(button, "span", "ktrace-entry-value");
    // Shift and a click would make JupyterLab select cells.
    button.onpointerdown = (event) => event.shiftKey && event.preventDefault();
    button.onclick = (event) => pick(number, event.shiftKey || event.ctrlKey || event.metaKey);
    return button;
  }

  function showLegend() {
    const { titles, pickable } = layout();
    while (legend.children.length > titles.length) legend.lastChild.remove();
    const values = rows(lines());
    titles.forEach((name, number) => {
      const button = legend.children[number] ?? entry(number);
      write(button.querySelector(".ktrace-entry-name"), name);
      const here = cursor ? valueText(values[number]?.[cursor.at] ?? NaN, number) : model.get("latest")[number];
      write(button.querySelector(".ktrace-entry-value"), here ?? "");
      button.disabled = !pickable;
      const picked = model.get("picked");
      button.setAttribute("aria-pressed", String(picked.includes(number)));
      button.classList.toggle("ktrace-faded", picked.length > 0 && !picked.includes(number));
    });
  }

  // --- the figure ---

  // The figure in words: from when to when, and each line's latest, least and greatest number.
  function summary() {
    const { name, titles, bands: banded } = layout();
    const at = moments();
    // A front end may keep its models to itself: then nothing is known of the numbers.
    if (!lines()) return name || "series";
    if (!at.length) return `${name || "series"}: nothing measured yet`;
    const [means, ends] = [rows(lines()), banded ? rows(view.marks[1]) : []];
    const said = titles.map((line_, number) => {
      const [high, low] = banded ? [ends[2 * number], ends[2 * number + 1]] : [means[number], means[number]];
      const known = (values) => [...(values ?? [])].filter(Number.isFinite);
      if (!known(means[number]).length) return `${line_}: no numbers`;
      const least = valueText(known(low).reduce((a, b) => Math.min(a, b)), number);
      const most = valueText(known(high).reduce((a, b) => Math.max(a, b)), number);
      return `${line_}: last ${model.get("latest")[number]}, from ${least} to ${most}`;
    });
    const window_ = model.get("window");
    const head = `${name || "series"}: ${secondsText(at[0])} to ${secondsText(at[at.length - 1])}`;
    const looked = window_.length ? [`window ${secondsText(window_[0])} to ${secondsText(window_[1])}`] : [];
    return [head, ...said, ...looked].join("; ");
  }

  function showOver() {
    const plot = figure();
    if (!plot) return;
    const { held } = drag;
    const window_ = held?.moved ? [Math.min(held.from, held.to), Math.max(held.from, held.to)] : model.get("window");
    if (window_.length) {
      const [from, to] = window_.map((at) => Math.min(1, Math.max(0, share(at))));
      layOver(plot, "ktrace-window", from, to);
    } else takeOff(plot, "ktrace-window");
    const at = cursor && moments()[cursor.at];
    if (cursor && at !== undefined) {
      const other = moments()[cursor.anchor] ?? at;
      const half = cursor.at === cursor.anchor ? 0.0008 : 0;
      layOver(plot, "ktrace-over", share(Math.min(at, other)) - half, share(Math.max(at, other)) + half);
    } else takeOff(plot, "ktrace-over");
    let text = "";
    if (held?.moved) text = `${secondsText(window_[0])} to ${secondsText(window_[1])}`;
    else if (at !== undefined && at !== null) text = secondsText(at);
    else if (window_.length) text = `window ${secondsText(window_[0])} to ${secondsText(window_[1])}`;
    write(pointed, text);
  }

  function draw() {
    write(title, layout().name);
    title.hidden = !layout().name;
    showLegend();
    const plot = figure();
    if (plot) describe(plot, summary());
    view.root?.classList.toggle("ktrace-windowed", layout().windowed);
    showOver();
  }

  // --- picking ---

  function pick(number, adds) {
    const { titles, pickable } = layout();
    if (!pickable) return;
    const picked = model.get("picked");
    const is = picked.includes(number);
    const parts = [[titles[number], ""]];
    if (adds) void channel.send({ how: is ? "drop" : "add", parts });
    else if (is && picked.length === 1) clear();
    else void channel.send({ how: "only", parts });
  }

  const clear = () => void channel.send({ how: "only", parts: [] });

  function setWindow(window_) {
    if (layout().windowed) void channel.send({ window: window_ });
  }

  // The moment that is nearest to a share of the plot's width.
  function nearest(across) {
    const wanted = moment(across);
    const at = moments();
    let best = -1;
    at.forEach((one, number) => {
      if (best < 0 || Math.abs(one - wanted) < Math.abs(at[best] - wanted)) best = number;
    });
    return best;
  }

  // The line that is nearest to a pointer, if any is near.
  function lineUnder(event) {
    const box = plotOf(figure())?.getBoundingClientRect();
    const scale = lines() && figure() ? figure().querySelectorAll(".curve > .line") : [];
    let [best, least] = [-1, NEAR_PX];
    if (!box) return best;
    const plot = plotOf(figure());
    const [width, height] = [Number(plot.getAttribute("width")), Number(plot.getAttribute("height"))];
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    const curves = [...scale].slice(-layout().titles.length);
    curves.forEach((curve, number) => {
      const length = curve.getTotalLength?.() ?? 0;
      const steps = Math.min(2000, Math.ceil(length / 4));
      for (let step = 0; step <= steps; step += 1) {
        const point = curve.getPointAtLength((step / (steps || 1)) * length);
        const far = Math.hypot(point.x - x, point.y - y);
        if (far < least) [best, least] = [number, far];
      }
    });
    return best;
  }

  function point(event) {
    if (drag.held) return;
    const plot = figure();
    const across = plot && plot.contains(event.target) ? shareAt(plot, event) : null;
    if (across === null && (!cursor || cursor.keys)) return;
    const at = across === null ? -1 : nearest(across);
    cursor = at < 0 ? null : { at, anchor: at, keys: false };
    showLegend();
    showOver();
  }

  function press(event) {
    const plot = figure();
    if (event.button !== 0 || !plot?.contains(event.target)) return;
    const across = shareAt(plot, event);
    if (across === null) return;
    const adds = event.shiftKey || event.ctrlKey || event.metaKey;
    if (adds) event.preventDefault();
    plot.focus({ preventScroll: true });
    drag.begin({ from: moment(across), to: moment(across), adds, moved: false, x: event.clientX });
  }

  function pull(event) {
    const across = shareAt(figure(), event, { clamp: true });
    const { held } = drag;
    if (!held || across === null) return;
    held.moved ||= Math.abs(event.clientX - held.x) > 4 && layout().windowed;
    held.to = moment(across);
    if (held.moved) showOver();
  }

  function release(event) {
    pull(event);
    const done = drag.held;
    drag.end();
    if (done?.moved && done.from !== done.to)
      setWindow([Math.min(done.from, done.to), Math.max(done.from, done.to)]);
    else if (done) {
      const number = lineUnder(event);
      if (number >= 0) pick(number, done.adds);
      else if (model.get("picked").length && !done.adds) clear();
    }
    showOver();
  }

  function leave() {
    if (drag.held || cursor?.keys) return;
    cursor = null;
    showLegend();
    showOver();
  }

  function twice(event) {
    if (figure()?.contains(event.target) && model.get("window").length) setWindow(null);
  }

  // --- keyboard ---

  function exit({ target }) {
    if (target !== figure() || drag.held) return;
    cursor = null;
    showLegend();
    showOver();
    write(spoken, "");
  }

  function key(event) {
    if (event.key === "Escape" && (model.get("window").length || model.get("picked").length)) {
      if (model.get("window").length) setWindow(null);
      if (model.get("picked").length) clear();
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (event.target !== figure()) {
      if (legend.contains(event.target) && [" ", "Enter"].includes(event.key)) event.stopPropagation();
      return;
    }
    const count = moments().length;
    const ways = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key in ways && count && !event.altKey && !event.ctrlKey && !event.metaKey) {
      const before = cursor ?? { at: count - 1, anchor: count - 1 };
      const at = Math.min(count - 1, Math.max(0, before.at + ways[event.key]));
      cursor = { at, anchor: event.shiftKey ? before.anchor : at, keys: true };
    } else if ((event.key === "Enter" || event.key === " ") && cursor && cursor.at !== cursor.anchor) {
      const ends = [moments()[cursor.at], moments()[cursor.anchor]];
      setWindow([Math.min(...ends), Math.max(...ends)]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    showLegend();
    showOver();
    if (!cursor) return;
    const values = rows(lines());
    const said = layout().titles.map((name, number) => `${name} ${valueText(values[number]?.[cursor.at] ?? NaN, number)}`);
    write(spoken, `${secondsText(moments()[cursor.at])}: ${said.join(", ")}`);
  }

  return () => {
    view.stop();
    drag.end();
  };
}

export default { render };
