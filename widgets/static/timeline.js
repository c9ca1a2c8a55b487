// The timeline: lanes of spells on a canvas of our own. The page has all spells; it asks for
// those it lacks when it has drawn what it got.

const GUTTER_PX = 168;
const MOST_HEIGHT = 420;
const MOST_PICKED = 5000;
const KEYS = "wheel with Ctrl, + and - zoom; arrows left and right pan, up and down change the lane; n and N go to the next and the previous spell; Enter picks, Escape clears; Home and End; drag on the ruler for a window of time";

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const channel = openChannel(model);
  const store = new Store();
  const camera = new Camera();
  const painter = new Painter(store, camera);
  const pointer = new Pointer(store, camera, painter);
  el.classList.add("ktrace-timeline");
  const giveKeysBack = ownKeys(el);
  const parts = layOutParts(el);
  const { laneBox, colourBox, frame, canvas, below } = parts;

  let number = 0; // of the frame; another may take its place
  let begun = false; // everything there was at first has come
  let cursor = -1; // the row the keyboard is at
  let current = null; // the lane it is in
  let pointed = null; // what the mouse is at
  let pointerX = null;
  let mine = []; // the rows that were picked here
  let dragged = null; // a window that is being drawn
  let due = 0;
  let alive = true;

  const about = () => model.get("about");
  function say(content) {
    void channel.send({ view, number, ...content });
  }
  function ask() {
    const names = Object.fromEntries(Object.entries(store.names).map(([kind, entries]) => [kind, entries.length]));
    say({ have: store.count, names });
  }

  // Drawing, at most once a frame.
  function later() {
    due ||= requestAnimationFrame(draw);
  }
  let timer = 0;
  function twice() {
    later();
    clearTimeout(timer);
    timer = setTimeout(later, 300);
  }
  function act(change) {
    change();
    later();
  }
  function draw() {
    due = 0;
    const width = frame.clientWidth;
    if (!width) return;
    const begin = performance.now();
    const lanesTall = store.lanes.reduce((sum, lane) => sum + laneHeight(lane) + BETWEEN_PX, BETWEEN_PX);
    const height = Math.min(RULER_PX + Math.max(lanesTall, 44), MOST_HEIGHT);
    frame.style.height = `${height}px`;
    below.style.height = `${Math.max(0, RULER_PX + lanesTall - height)}px`;
    const scale = (window.devicePixelRatio || 1) * (canvas.currentCSSZoom ?? 1);
    const [wide, tall] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== wide || canvas.height !== tall) {
      [canvas.width, canvas.height] = [wide, tall];
      canvas.style.height = `${height}px`;
    }
    camera.width = Math.max(1, width - GUTTER_PX);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const look = looks();
    painter.paint(context, { ...look, width, height, scroll: frame.scrollTop });
    canvas.dataset.faint = look.faint;
    canvas.dataset.paintMs = (performance.now() - begin).toFixed(2);
    canvas.dataset.from = camera.from;
    canvas.dataset.to = camera.to;
    canvas.dataset.follow = camera.follow;
    canvas.dataset.spells = store.count;
    canvas.dataset.lanes = store.lanes.length;
    canvas.dataset.picked = store.pickedCount;
    canvas.setAttribute("aria-label", `timeline: ${counted(store.count, noun(store))} in ${counted(store.lanes.length, "lane")}, ${momentText(camera.from)} to ${momentText(camera.to)}`);
    showTold();
  }
  function looks() {
    const style = getComputedStyle(el);
    const look = { font: `12px ${style.fontFamily}`, gutter: GUTTER_PX };
    for (const name of ["ink", "faint", "line", "paper", "accent", "rest"]) look[name] = style.getPropertyValue(`--kl-${name}`).trim();
    const colourKind = colourBox.value;
    const window = dragged ?? about().window?.map((at) => at * NS_PER_S) ?? null;
    return {
      ...look,
      window,
      colourKind,
      colours: [look.rest, ...(store.names[colourKind] ?? []).map(([, colour]) => colour)],
      labelKind: store.values.function ? "function" : store.kind === "task" ? "cpu" : "task",
      marked: store.marked,
      pointed: pointed?.rows.length === 1 ? pointed.rows[0] : cursor,
      current,
      pointerX,
    };
  }

  function showTold() {
    const found = pointed ?? (cursor >= 0 ? { rows: [cursor], lane: current } : null);
    writeLines(parts.tell, pointer.tell(found), !found);
  }
  function showFoot() {
    writeFoot(parts.foot, store, camera.whole, about().remark);
    el.classList.toggle("ktrace-timeline-empty", !store.lanes.length);
  }
  function showAll() {
    showFoot();
    writeLegend(parts.legend, store, colourBox.value);
    later();
  }

  function fit() {
    store.lay(laneBox.value);
    camera.fit();
    showFoot();
  }
  function showLane(lane) {
    if (!lane) return;
    const top = pointer.topOf(lane);
    const seen = frame.clientHeight - RULER_PX;
    if (top - BETWEEN_PX < frame.scrollTop) frame.scrollTop = top - BETWEEN_PX;
    else if (top + laneHeight(lane) > frame.scrollTop + seen) frame.scrollTop = top + laneHeight(lane) + BETWEEN_PX - seen;
  }
  function goTo(row) {
    if (!(row >= 0)) return;
    cursor = row;
    pointed = null;
    current = pointer.placeOfRow(row)?.lane ?? null;
    camera.show(store.start[row], pointer.endOf(row));
    showLane(current);
    later();
  }
  function changeLane(by) {
    const { lanes } = store;
    if (!lanes.length) return;
    const time = cursor >= 0 ? (store.start[cursor] + pointer.endOf(cursor)) / 2 : (camera.from + camera.to) / 2;
    const next = current ? lanes.indexOf(current) + by : 0;
    const lane = lanes[Math.min(Math.max(next, 0), lanes.length - 1)];
    const row = pointer.nearest(lane, time);
    if (row >= 0) goTo(row);
    current = lane;
    showLane(lane);
  }
  function pick(rows, add) {
    const chosen = rows.slice(0, MOST_PICKED);
    const again = chosen.length > 0 && store.marked && chosen.every((row) => store.marked[row]);
    if (add) mine = again ? mine.filter((row) => !chosen.includes(row)) : [...new Set([...mine, ...chosen])];
    else mine = again ? [] : chosen;
    say({ pick: mine });
  }
  function clear() {
    cursor = -1;
    current = null;
    mine = [];
    say({ pick: [] });
    if (about().window) say({ window: null });
    later();
  }

  listenToMouse({
    canvas,
    frame,
    camera,
    pointer,
    later,
    point: (spell, x) => ([pointed, pointerX] = [spell, x]),
    draw: (window) => (dragged = window),
    setWindow: (window) => say({ window: window && window.map((at) => at / NS_PER_S) }),
    choose: (spell, add) => {
      if (spell) current = spell.lane;
      if (!spell?.rows.length) return;
      [cursor] = spell.rows;
      pick(spell.rows, add);
    },
  });
  frame.addEventListener("scroll", later);

  // The keyboard.
  const keys = {
    ArrowLeft: () => camera.pan(-camera.width / 8),
    ArrowRight: () => camera.pan(camera.width / 8),
    ArrowUp: () => changeLane(-1),
    ArrowDown: () => changeLane(1),
    "+": () => camera.zoom(1 / 1.6, middle()),
    "=": () => camera.zoom(1 / 1.6, middle()),
    "-": () => camera.zoom(1.6, middle()),
    0: fit,
    n: () => goTo(pointer.beside(cursor, 1, current ?? store.lanes[0])),
    N: () => goTo(pointer.beside(cursor, -1, current ?? store.lanes[0])),
    Enter: () => cursor >= 0 && pick([cursor], false),
    Escape: clear,
    Home: () => {
      camera.from = camera.first;
      camera.settle();
    },
    End: () => camera.toEnd(),
  };
  // Zooming by keys is about what the cursor is at, if it is seen.
  function middle() {
    const x = cursor < 0 ? -1 : camera.xOf((store.start[cursor] + pointer.endOf(cursor)) / 2);
    return x >= 0 && x <= camera.width ? x : camera.width / 2;
  }
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    event.stopPropagation();
    if (event.target !== canvas || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    act(() => keys[event.key]());
  });

  // The tools.
  parts.outButton.onclick = () => act(() => camera.zoom(1.6, middle()));
  parts.inButton.onclick = () => act(() => camera.zoom(1 / 1.6, middle()));
  parts.fitButton.onclick = () => act(fit);
  laneBox.onchange = () => {
    store.lay(laneBox.value);
    current = cursor >= 0 ? (pointer.placeOfRow(cursor)?.lane ?? null) : null;
    pointed = null;
    frame.scrollTop = 0;
    showAll();
  };
  colourBox.onchange = () => showAll();

  // What comes in.
  function learn() {
    const now = about();
    if (parts.title.textContent !== now.title) parts.title.textContent = now.title;
    if (now.window) el.dataset.window = now.window.join(" ");
    else delete el.dataset.window;
    offer(laneBox, now.lanes, now.lane);
    offer(colourBox, now.colours, now.colours[0]?.[0]);
    if (store.kind !== laneBox.value) store.lay(laneBox.value);
    showAll();
  }
  function restart(next) {
    number = next;
    cursor = -1;
    current = pointed = null;
    mine = [];
    begun = false;
    store.clear();
    store.kind = laneBox.value;
    camera.fit();
    showAll();
    ask();
  }
  function take(content, buffers) {
    if (content.start > store.count) return ask(); // something went missing on the way
    // At first all lanes are laid at once, when all that came together is here.
    const took = store.take(content, buffers, begun);
    if (took) camera.reach(store.first, store.newest, begun);
    if (!content.last) return undefined;
    if (!begun) store.lay(laneBox.value);
    begun ||= store.count >= store.total;
    showAll();
    // When this has been drawn: a slow page gets more at a time, a hidden one nothing.
    // One that is gone has said so, and must not be waited for again.
    requestAnimationFrame(() => requestAnimationFrame(() => alive && ask()));
    return undefined;
  }
  const onMessage = (content, buffers) => {
    if (content.number === undefined) return;
    if (content.number !== number) {
      restart(content.number);
      return;
    }
    if (content.keep !== undefined) {
      store.keep(content.keep);
      cursor = cursor < content.keep ? cursor : -1;
      pointed = null;
      current = store.lanes.find((lane) => lane.value === current?.value) ?? null;
    }
    if (content.ended !== undefined) {
      store.ended(numbersOf(buffers[0], "u4"), numbersOf(buffers[1], "f8"));
      camera.reach(store.first, store.newest, begun);
    }
    if (content.marked === null) {
      store.unmark();
      mine = [];
    } else if (content.marked) store.mark(...content.marked, numbersOf(buffers[0], "u1"));
    if (content.start !== undefined) take(content, buffers);
    else showAll();
  };
  model.on("msg:custom", onMessage);
  model.on("change:about", learn);
  const sizes = new ResizeObserver(later);
  sizes.observe(frame);
  // What was out of sight while something changed.
  const sights = new IntersectionObserver(twice);
  sights.observe(frame);
  // Another theme has other colours; those of a cell that was out of sight come a little later.
  const themes = new MutationObserver(twice);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  learn();
  ask();
  return () => {
    alive = false;
    giveKeysBack();
    model.off("msg:custom", onMessage);
    model.off("change:about", learn);
    sizes.disconnect();
    themes.disconnect();
    sights.disconnect();
    cancelAnimationFrame(due);
    clearTimeout(timer);
    void channel.send({ view, bye: true });
  };
}

export default { render };
