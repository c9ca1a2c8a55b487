// The heading of a histogram, and what makes its bars answer: pointing at one says its
// bounds and count, a click picks it, a drag or shift and the arrows pick a range.
//
// bqplot draws the bars; the counts are read from its models, so that a tick of the
// kernel carries each number once.

const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

function render({ model, el }) {
  const channel = openChannel(model);
  el.classList.add("ktrace-bars-head");
  const title = part(el, "div", "ktrace-title");
  const name = part(title, "span", "ktrace-of");
  title.append(" ");
  const total = part(title, "span", "ktrace-total");
  const said = part(el, "div", "ktrace-pointed");
  said.setAttribute("aria-hidden", "true");
  const told = part(el, "div", "ktrace-spoken");
  told.setAttribute("role", "status");

  // Its marks are the bars, chart by chart.
  const view = followFigures(model, el, {
    selector: ".ktrace-histogram",
    wanted: ({ bars }) => ({ ids: bars, count: bars.length }),
    traits: ["exact", "picked"],
    listeners: {
      pointermove: point,
      pointerdown: press,
      pointerleave: leave,
      focusin: enter,
      focusout: exit,
      keydown: key,
    },
    draw,
  });
  const drag = makeDrag(pull, release); // holds a cursor with { adds, figure }
  let cursor = null; // { chart, anchor, at, keys }: what is pointed at

  const figures = () => [...(view.root?.querySelectorAll(".bqplot") ?? [])];
  const range = ({ anchor, at }) => [Math.min(anchor, at), Math.max(anchor, at)];
  const counts = (chart) => view.marks[chart]?.get("y") ?? [];
  const number = (value) => value.toLocaleString("en-US");

  // A front end may keep its models to itself: then nothing is known of the counts.
  const isKnown = (chart) => Boolean(view.marks[chart]);

  // How much is in some bars, in words; where a page's own numbers are not exact, Python sent them.
  function countText(chart, from, to = from) {
    const exact = model.get("exact")[chart]?.counts;
    const values = exact?.map(BigInt) ?? counts(chart);
    let inside = exact ? 0n : 0;
    for (let bar = from; bar <= to; bar += 1) if (values[bar]) inside += values[bar];
    return number(inside);
  }

  function sum(chart) {
    return counts(chart).reduce((all, one) => all + one, 0);
  }

  function totalText(chart) {
    if (!isKnown(chart)) return "";
    const exact = model.get("exact")[chart]?.total;
    return `total ${number(exact ? BigInt(exact) : sum(chart))}`;
  }

  function bounds(bar) {
    const { labels, unit } = model.get("layout_of");
    return `${labels[bar] ?? ""}${unit && " "}${unit}`;
  }

  const words = (chart, bar) => `${bounds(bar)}: ${countText(chart, bar)}`;

  function share(part, whole) {
    if (!whole) return "";
    const percent = (100 * part) / whole;
    return ` (${percent && percent < 1 ? percent.toPrecision(1) : percent.toFixed(percent < 10 ? 1 : 0)} %)`;
  }

  // What is pointed at in words: a bar, or how much is in several.
  function cursorText() {
    if (!cursor) return "";
    const { chart } = cursor;
    const [from, to] = range(cursor);
    const key = model.get("layout_of").titles[chart];
    const where = from === to ? bounds(from) : `${bounds(from)} to ${bounds(to)}`;
    const head = `${key ? `${key} · ` : ""}${where}`;
    if (!isKnown(chart)) return head;
    const values = counts(chart);
    let inside = 0;
    for (let bar = from; bar <= to; bar += 1) inside += values[bar] ?? 0;
    return `${head}: ${countText(chart, from, to)}${share(inside, sum(chart))}`;
  }

  // A figure in words: its total, where most of it is, and from where to where it goes.
  function summary(chart) {
    const { name, titles } = model.get("layout_of");
    const head = [name, titles[chart]].filter(Boolean).join(", ") || "histogram";
    const values = counts(chart);
    let [first, last, most] = [-1, -1, 0];
    values.forEach((value, bar) => {
      if (!value) return;
      if (first < 0) first = bar;
      last = bar;
      if (value > values[most]) most = bar;
    });
    if (!isKnown(chart)) return head;
    if (first < 0) return `${head}: nothing counted yet`;
    const picked = model.get("picked")[chart]?.length ?? 0;
    const words_ = [`${head}: ${totalText(chart)}`, `most in ${words(chart, most)}`];
    words_.push(`from ${bounds(first)} to ${bounds(last)}`);
    if (picked) words_.push(`${picked} picked`);
    return words_.join("; ");
  }

  function showCursor() {
    for (const [chart, figure] of figures().entries()) {
      if (chart !== cursor?.chart) {
        takeOff(figure, "ktrace-over");
        continue;
      }
      const bars = model.get("layout_of").labels.length;
      const [from, to] = range(cursor);
      layOver(figure, "ktrace-over", from / bars, (to + 1) / bars);
    }
    write(said, cursorText());
  }

  function draw() {
    const { name: text, titles } = model.get("layout_of");
    write(name, text);
    const alone = titles.length === 1 && !titles[0];
    write(total, alone ? totalText(0) : "");
    title.hidden = !text && !alone;
    for (const [chart, figure] of figures().entries()) {
      const heading = figure.querySelector(".mainheading");
      if (titles[chart] && heading) write(heading, [titles[chart], totalText(chart)].filter(Boolean).join(" · "));
      describe(figure, summary(chart));
    }
    el.closest(".ktrace-histogram")?.classList.toggle("ktrace-pickable", model.get("layout_of").pickable);
    if (cursor) showCursor();
  }

  // --- picking ---

  function pick({ chart, anchor, at }, adds) {
    const { titles, labels, pickable } = model.get("layout_of");
    if (!pickable) return;
    const [from, to] = range({ anchor, at });
    const values = counts(chart);
    const wanted = [];
    for (let bar = from; bar <= to; bar += 1) if (values[bar] || !isKnown(chart)) wanted.push(bar);
    if (!wanted.length) {
      if (!adds) clear();
      return;
    }
    const now = model.get("picked")[chart] ?? [];
    const others = model.get("picked").some((bars, other) => other !== chart && bars.length);
    const all = wanted.every((bar) => now.includes(bar));
    const parts = wanted.map((bar) => [titles[chart], labels[bar]]);
    if (adds) void channel.send({ how: all ? "drop" : "add", parts });
    else if (all && now.length === wanted.length && !others) clear();
    else void channel.send({ how: "only", parts });
  }

  function clear() {
    void channel.send({ how: "only", parts: [] });
  }

  const isPicked = () => model.get("picked").some((bars) => bars.length);

  // The chart and bar under a pointer; a bar is as high as the plot, for small ones are hard to hit.
  function under(event) {
    const figure = event.target.closest?.(".bqplot");
    const across = figure && shareAt(figure, event);
    if (across === null || across === undefined) return null;
    const chart = figures().indexOf(figure);
    const at = Math.floor(across * model.get("layout_of").labels.length);
    return { chart, anchor: at, at, keys: false };
  }

  function tip({ chart, at }) {
    const bar = figures()[chart]?.querySelectorAll(".bar")[at];
    if (!bar) return;
    const text = bar.querySelector("title") ?? bar.appendChild(document.createElementNS(SVG, "title"));
    write(text, counts(chart)[at] ? words(chart, at) : "");
  }

  function point(event) {
    if (drag.held) return;
    const found = under(event);
    if (!found && !cursor) return;
    // What the keyboard points at stays until the pointer points at something.
    if (!found && cursor?.keys) return;
    cursor = found;
    if (found) tip(found);
    showCursor();
  }

  function press(event) {
    const figure = event.target.closest?.(".bqplot");
    if (event.button !== 0 || !figure) return;
    const found = under(event);
    if (!found) {
      if (isPicked()) clear();
      return;
    }
    const adds = event.shiftKey || event.ctrlKey || event.metaKey;
    // Shift and a click would make JupyterLab select cells, or text.
    if (adds) event.preventDefault();
    figure.focus({ preventScroll: true });
    drag.begin({ ...found, adds, figure });
    cursor = found;
    showCursor();
  }

  function pull(event) {
    const { held } = drag;
    if (!held) return;
    const bars = model.get("layout_of").labels.length;
    const across = shareAt(held.figure, event, { clamp: true });
    if (across === null) return;
    held.at = Math.min(bars - 1, Math.floor(across * bars));
    cursor = { chart: held.chart, anchor: held.anchor, at: held.at, keys: false };
    showCursor();
  }

  function release(event) {
    pull(event);
    const { held } = drag;
    if (held) {
      pick(held, held.adds);
      cursor = { chart: held.chart, anchor: held.at, at: held.at, keys: true };
    }
    drag.end();
    showCursor();
  }

  function leave() {
    if (drag.held || cursor?.keys) return;
    cursor = null;
    showCursor();
  }

  // --- keyboard ---

  function enter({ target }) {
    const chart = figures().indexOf(target);
    if (chart < 0 || drag.held) return;
    if (cursor?.chart !== chart) {
      const values = [...counts(chart)];
      const at = Math.max(0, values.indexOf(Math.max(...values)));
      cursor = { chart, anchor: at, at, keys: true };
    }
    cursor.keys = true;
    if (target.matches(":focus-visible")) showCursor();
  }

  function exit({ target, relatedTarget }) {
    if (figures().indexOf(target) < 0 || figures().includes(relatedTarget) || drag.held) return;
    cursor = null;
    showCursor();
    write(told, "");
  }

  function key(event) {
    const chart = figures().indexOf(event.target);
    if (chart < 0) return;
    const bars = model.get("layout_of").labels.length;
    cursor ??= { chart, anchor: 0, at: 0, keys: true };
    if (event.key in KEYS && !event.altKey && !event.ctrlKey && !event.metaKey) {
      const at = Math.min(bars - 1, Math.max(0, cursor.at + KEYS[event.key]));
      cursor = { chart, anchor: event.shiftKey ? cursor.anchor : at, at, keys: true };
    } else if (event.key === " " || event.key === "Enter") {
      pick({ ...cursor, chart }, event.ctrlKey || event.metaKey);
    } else if (event.key === "Escape" && (isPicked() || cursor.anchor !== cursor.at)) {
      cursor.anchor = cursor.at;
      if (isPicked()) clear();
    } else return;
    event.preventDefault();
    event.stopPropagation();
    showCursor();
    write(told, cursorText());
  }

  return () => {
    view.stop();
    drag.end();
  };
}

export default { render };
