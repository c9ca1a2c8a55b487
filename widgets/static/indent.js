// The indent view: every entry and return of the calls of a trace, a line each. The
// page has all steps; it asks for those it lacks when it has drawn what it got.

const MOST_COPIED = 100_000;
const BEFORE_CALL_PX = 396; // time, thread and duration
const NAME_PX = 25 * CHARACTER_PX;

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const channel = openChannel(model);
  const steps = new Steps();
  el.classList.add("ktrace-indent");
  el.dataset.colour = "duration";
  // JupyterLab's own keys (cut, run, delete a cell) are not for this element.
  ownKeys(el);
  part(el, "div", "title").textContent = model.get("title");
  const toolbar = part(el, "div", "toolbar");
  toolbar.innerHTML = TOOLBAR;
  const control = (name) => toolbar.querySelector(`[data-do="${name}"]`);
  const matches = toolbar.querySelector(".ktrace-matches");
  const heads = part(el, "div", "heads");
  heads.setAttribute("aria-hidden", "true");
  for (const name of ["seconds", "thread", "duration", "call"]) part(heads, "span", "head").textContent = name;
  const grid = part(el, "div", "grid");
  grid.tabIndex = 0;
  grid.setAttribute("role", "treegrid");
  grid.setAttribute("aria-label", `${model.get("title")}: calls by time`);
  grid.setAttribute("aria-description", KEYS);
  grid.setAttribute("aria-multiselectable", "true");
  const across = part(grid, "div", "across");
  const bar = part(grid, "div", "scrollbar");
  bar.tabIndex = -1; // what the keyboard does there it does in the grid
  const detail = part(el, "div", "detail");
  detail.setAttribute("aria-live", "polite");
  const foot = part(el, "div", "foot");
  const rows = new Rows(part(across, "div", "steps"), steps, `kt-${view}`);
  for (const node of [across, bar, rows.frame]) node.setAttribute("role", "presentation");
  const told = new Told(steps, detail, (call) => say({ tell: call }));
  const scroller = new Scroller(grid, bar, part(bar, "div", "scrolled"), () => steps.lineCount, draw, moved);

  let cursor = -1; // the step the keyboard is at
  let anchor = -1; // where the selection began
  let hovered = -1;
  let awaited = -1; // a step to go to as soon as it is there
  let slowest = -1;
  let total = 0;
  let feed = 0; // which feed the steps are of; another one may take its place
  const live = model.get("follow");
  let following = live;

  function say(content) {
    void channel.send({ view, feed, ...content });
  }
  const range = () => (anchor < 0 ? [-1, -2] : [Math.min(anchor, cursor), Math.max(anchor, cursor)]);

  // Drawing, at most once a frame.
  let due = 0;
  function draw() {
    due ||= requestAnimationFrame(() => {
      due = 0;
      const { top } = scroller;
      const [first, last] = range();
      const count = Math.min(Math.ceil(grid.clientHeight / ROW_PX), steps.lineCount - top);
      rows.draw(top, count, { cursor, first, last });
      grid.setAttribute("aria-rowcount", steps.lineCount);
      const active = rows.of(cursor)?.node.id;
      if (active) grid.setAttribute("aria-activedescendant", active);
      else grid.removeAttribute("aria-activedescendant");
    });
  }
  function tell() {
    told.point(hovered >= 0 ? hovered : cursor);
  }

  // Following the end, until the reader goes elsewhere.
  function follow(wanted) {
    following = control("follow").checked = wanted;
    if (wanted) scroller.to(scroller.lowest);
  }
  function moved() {
    if (live || following) following = control("follow").checked = scroller.atEnd;
  }

  // After the lines have been laid out anew, the cursor's or the first stays where it was.
  function relay(change) {
    const first = steps.lines[scroller.top] ?? 0;
    const line = cursor < 0 ? -1 : steps.lineOf(cursor);
    const keep = scroller.shows(line) ? line - scroller.top : -1;
    change();
    if (following) scroller.to(scroller.lowest);
    else scroller.to(keep < 0 ? steps.lineOf(first) : steps.lineOf(cursor) - keep);
    tell();
    showFoot();
  }

  function goTo(row, { extend = false } = {}) {
    if (!(row >= 0 && row < steps.count)) return;
    const line = steps.reveal(row);
    if (Number(control("thread").value) !== steps.only) {
      control("thread").value = steps.only;
      steps.search(steps.wanted);
    }
    cursor = steps.lines[line] ?? row;
    if (!extend || anchor < 0) anchor = cursor;
    if (scroller.shows(line)) scroller.place();
    else scroller.to(line - Math.floor(scroller.fitting / 3));
    following = control("follow").checked = following && line === steps.lineCount - 1;
    showAcross(cursor);
    const [first, last] = range();
    say({ select: [first, last, steps.only] });
    showMatches();
    showFoot();
    tell();
    draw();
  }
  // Deep calls begin far to the right.
  function showAcross(row) {
    const left = BEFORE_CALL_PX + steps.depths[row] * LEVEL_PX;
    const seen = left - across.scrollLeft;
    if (seen < BEFORE_CALL_PX || seen > across.clientWidth - NAME_PX)
      across.scrollLeft = left > across.clientWidth - NAME_PX ? left - across.clientWidth / 2 : 0;
  }
  function move(lines, extend) {
    if (!steps.lineCount) return;
    const { top, fitting } = scroller;
    const at = cursor < 0 ? top - Math.sign(lines) : steps.lineOf(cursor);
    const next = Math.max(0, Math.min(steps.lineCount - 1, at + lines));
    if (next < top) scroller.to(next);
    else if (next >= top + fitting) scroller.to(next - fitting + 1);
    if (live && next === steps.lineCount - 1) following = true;
    goTo(steps.lines[next], { extend });
  }

  // Folding.
  function toggle(row, all) {
    const entry = row < 0 ? -1 : steps.entryOf(row);
    if (entry < 0) return;
    relay(() => steps.fold(entry, steps.folded[entry] ? 0 : 1, all));
    if (steps.kinds[row] !== ENTRY) goTo(entry);
  }
  function foldAll(folded) {
    relay(() => {
      steps.foldAll(folded);
      // The cursor goes to what is left of its call.
      for (let up = cursor; folded && up >= 0; up = steps.parents[up]) cursor = anchor = up;
    });
  }

  // Searching.
  function search() {
    const text = control("search").value.trim().toLowerCase();
    const has = (name) => Number(name.toLowerCase().includes(text));
    steps.search(text ? Uint8Array.from(steps.names, has) : null);
    showMatches();
    draw();
  }
  function showMatches() {
    const at = steps.foundBefore(cursor);
    const here = at < steps.foundCount && steps.found[at] === cursor ? `${(at + 1).toLocaleString("en")} of ` : "";
    const count = steps.foundCount ? `${here}${steps.foundCount.toLocaleString("en")}` : "no match";
    write(matches, steps.wanted ? count : "");
  }
  function nextMatch(direction) {
    const count = steps.foundCount;
    if (!count) return;
    const at = steps.foundBefore(cursor < 0 ? (steps.lines[scroller.top] ?? 0) : cursor);
    const here = cursor >= 0 && steps.found[at] === cursor;
    const next = direction > 0 ? at + (here ? 1 : 0) : at - 1;
    goTo(steps.found[(next + count) % count]);
  }
  function nextFailed(direction) {
    const from = cursor < 0 ? -1 : Math.max(0, steps.entryOf(cursor));
    goTo(steps.nextFailed(from < 0 && direction < 0 ? 0 : from, direction));
  }
  function nextSlowest() {
    slowest = steps.slower(slowest);
    if (slowest < 0) slowest = steps.slower(-1);
    goTo(slowest);
  }

  // The mouse.
  const stepAt = (event) => {
    const node = event.target.closest(".ktrace-step");
    return rows.pool.find((shown) => shown.node === node)?.step ?? -1;
  };
  const onFold = (event) => event.target.classList.contains("ktrace-step-fold") && event.target.textContent;
  const point = (row) => {
    if (row === hovered) return;
    hovered = row;
    tell();
  };
  rows.frame.addEventListener("mousemove", (event) => point(stepAt(event)));
  rows.frame.addEventListener("mouseleave", () => point(-1));
  rows.frame.addEventListener("mousedown", (event) => {
    if (event.shiftKey) event.preventDefault(); // marks no text
  });
  rows.frame.addEventListener("click", (event) => {
    const row = stepAt(event);
    if (row < 0) return;
    grid.focus({ preventScroll: true });
    if (onFold(event)) toggle(row, event.shiftKey);
    else goTo(row, { extend: event.shiftKey });
  });
  rows.frame.addEventListener("dblclick", (event) => !onFold(event) && toggle(cursor, false));
  grid.addEventListener("copy", (event) => {
    if (cursor < 0 || String(document.getSelection())) return;
    const [first, last] = range();
    const lines = [];
    for (let line = steps.lineOf(first); steps.lines[line] <= last && line < steps.lineCount; line++)
      if (lines.push(plainLine(steps, steps.lines[line])) === MOST_COPIED) break;
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
    event.stopPropagation();
  });

  // The keyboard.
  const page = () => Math.max(1, scroller.fitting - 1);
  const keys = {
    ArrowDown: (shift) => move(1, shift),
    ArrowUp: (shift) => move(-1, shift),
    PageDown: (shift) => move(page(), shift),
    PageUp: (shift) => move(-page(), shift),
    Home: (shift) => move(-steps.lineCount, shift),
    End: (shift) => move(steps.lineCount, shift),
    Enter: (shift) => toggle(cursor, shift),
    ArrowRight: () => {
      const entry = cursor < 0 ? -1 : steps.entryOf(cursor);
      if (entry >= 0 && steps.folded[entry]) toggle(entry, false);
      else move(1, false);
    },
    ArrowLeft: () => {
      const entry = cursor < 0 ? -1 : steps.entryOf(cursor);
      if (entry >= 0 && !steps.folded[entry] && steps.below(entry)) toggle(entry, false);
      else if (entry >= 0) goTo(steps.parents[entry]);
    },
    "/": () => control("search").select(),
    n: () => nextMatch(1),
    N: () => nextMatch(-1),
    s: nextSlowest,
    e: () => nextFailed(1),
    E: () => nextFailed(-1),
    Escape: () => {
      cursor = anchor = -1;
      say({ select: [-1, -2, -1] });
      tell();
      draw();
    },
  };
  el.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key](event.shiftKey);
  });
  control("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextMatch(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") grid.focus();
  });

  // The tools.
  const clicks = {
    previous: () => nextMatch(-1),
    next: () => nextMatch(1),
    collapse: () => foldAll(1),
    expand: () => foldAll(0),
    slowest: nextSlowest,
    failed: () => nextFailed(1),
  };
  toolbar.addEventListener("click", (event) => clicks[event.target.dataset.do]?.());
  const changes = {
    leaves: ({ checked }) =>
      relay(() => {
        steps.leaves = checked;
        steps.lay();
      }),
    follow: ({ checked }) => follow(checked),
    colour: ({ value }) => {
      el.dataset.colour = value;
    },
    thread: ({ value }) =>
      relay(() => {
        steps.only = Number(value);
        slowest = -1;
        steps.lay();
        steps.search(steps.wanted);
        showMatches();
      }),
  };
  toolbar.addEventListener("change", (event) => changes[event.target.dataset.do]?.(event.target));
  control("search").addEventListener("input", search);

  function showFoot() {
    const words = [counted(steps.calls, "call"), counted(steps.lineCount, "line")];
    const most = model.get("most");
    if (steps.count < Math.min(total, most)) words.push(`${counted(Math.min(total, most) - steps.count, "step")} to come`);
    if (steps.failed) words.push(`✗ ${counted(steps.failed, "error")}`);
    if (steps.unseen) words.push(`⚠ ${counted(steps.unseen, "end")} not seen`);
    if (total > most) words.push(`${counted(total - most, "later step")} not shown`);
    write(foot, steps.count ? words.join(" · ") : "");
    control("failed").disabled = !steps.failed;
    control("slowest").disabled = !steps.calls;
    el.classList.toggle("ktrace-empty", !steps.calls);
  }

  // What comes in.
  function ask() {
    say({ have: steps.count, names: steps.names.length, tasks: steps.tasks.length });
  }
  function learn([first, names], [firstTask, tasks]) {
    names.forEach((name, index) => {
      steps.names[first + index] = name;
    });
    tasks.forEach((name, index) => {
      const thread = firstTask + index;
      if (steps.tasks[thread] === undefined) control("thread").add(new Option(name, thread));
      steps.tasks[thread] = name;
    });
    if (names.length && control("search").value) search();
  }
  function take({ start, count, functions, threads, last, ...content }, buffers) {
    learn(functions, threads);
    total = content.total;
    const began = steps.lineCount < 2 * scroller.fitting;
    steps.append(start, count, buffers);
    if (following) scroller.to(scroller.lowest);
    else if (began) scroller.to(scroller.top);
    if (!last) return;
    scroller.place();
    showFoot();
    showMatches();
    tell();
    draw();
    // When this has been drawn: a slow page gets more at a time, a hidden one nothing.
    requestAnimationFrame(ask);
  }
  // The same calls in another order: all numbers mean something else.
  function restart(number) {
    feed = number;
    cursor = anchor = hovered = awaited = slowest = -1;
    total = 0;
    steps.clear();
    told.forget();
    control("thread").length = 1; // all threads
    control("thread").value = -1;
    scroller.to(0);
    showFoot();
    showMatches();
    tell();
    draw();
    ask();
  }
  const onMessage = (content, buffers) => {
    if (content.feed !== undefined && content.feed !== feed) restart(content.feed);
    if (content.told < steps.count) told.learn(content.told, content.text);
    if (content.reveal !== undefined) awaited = content.reveal;
    if (content.start !== undefined) take(content, buffers);
    if (awaited >= 0 && awaited < steps.count) {
      goTo(awaited);
      awaited = -1;
    }
  };
  model.on("msg:custom", onMessage);
  const sizes = new ResizeObserver(() => scroller.to(following ? scroller.lowest : scroller.top));
  sizes.observe(grid);
  control("follow").checked = following;
  showFoot();
  tell();
  ask();
  const showStill = hideStill(model);
  return () => {
    showStill();
    sizes.disconnect();
    scroller.close();
    told.close();
    model.off("msg:custom", onMessage);
    void channel.send({ view, bye: true });
  };
}

export default { render };
