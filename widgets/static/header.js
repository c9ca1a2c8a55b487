// The head of a panel: name, state, clock, losses, counts, controls. It also sets the
// pace: a tick from the kernel is acknowledged when the page has drawn a frame and the
// panel can be seen. A hidden tab draws no frames, so nothing more is sent to it.

const RATE_WINDOW_MS = 5000;

// Each time bqplot draws bars it leaves an empty <g> behind; a legend's stays.
function sweep(root) {
  for (const group of root.querySelectorAll(".bqplot .svg-figure g[clip-path] > g:not([class]):empty")) group.remove();
}

// JupyterLab 4.4 to 4.6 keeps every comm that ever was: each stays connected to its kernel's
// statusChanged. By what it calls, a comm keeps its model with all its views and their nodes.
function forgetOnceClosed(manager, ids) {
  for (const id of ids) {
    if (!manager.has_model(id)) continue;
    void manager.get_model(id).then((part) => {
      const { comm } = part;
      part.once("destroy", () => {
        comm?.on_close(() => {});
        comm?.on_msg(() => {});
      });
    });
  }
}

// A cell that is run again takes its views away before the kernel closes their models.
function initialize({ model }) {
  model.on("msg:custom", ({ closing }) => {
    if (closing) forgetOnceClosed(model.widget_manager, closing);
  });
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const channel = openChannel(model);
  el.classList.add("ktrace-header");
  el.classList.toggle("ktrace-headless", !model.get("headed"));
  const giveKeysBack = ownKeys(el);
  el.tabIndex = -1;
  const line = part(el, "div", "line");
  const name = part(line, "span", "name");
  const state = part(line, "span", "state");
  const clock = part(line, "span", "clock");
  const loss = part(line, "button", "loss");
  loss.type = "button";
  part(line, "span", "space");
  const rate = part(line, "span", "rate");
  const facts = makeFacts(el);
  const drawers = makeDrawers(el);
  const toolbar = makeToolbar(el, drawers, channel, view, () => probes?.renew());
  const losses = makeLosses(loss, el, drawers);
  const probes = makeProbes(el, drawers, channel, toolbar, view);
  const notice = makeNotice(el, () => el.querySelector(".ktrace-toolbar button:not([hidden])") ?? el);
  const message = part(el, "div", "message");
  state.setAttribute("role", "status");

  // The saved picture of this panel is in the output below; it shows again when
  // this view is gone.
  const hide = document.createElement("style");
  const saved = `.ktrace-static[data-panel="${model.get("address")}"]`;
  hide.textContent = `${saved}, .jp-OutputArea-child:has(${saved}) { display: none !important; }`;
  document.head.append(hide);

  const root = () => el.closest(".ktrace-panel") ?? el;

  // Where a kernel restarts or dies, the trace dies with it: a running clock and a
  // Stop button would lie.
  let gone = false;
  function kernelGone() {
    if (root().classList.contains("jupyter-widgets-disconnected")) return true;
    const kernel = model.widget_manager?.kernel; // undefined where the front end hides it
    return kernel === null || kernel?.isDisposed || ["dead", "terminating"].includes(kernel?.status);
  }

  let head = {};
  let shownAt = 0;
  const ticks = []; // not every update has one: their numbers count

  function showClock() {
    const runs = head.state === "running" && !head.paused;
    say(clock, clockText(head.elapsed_s + (runs ? (performance.now() - shownAt) / 1000 : 0)));
    while (ticks.length && ticks[0].at < performance.now() - RATE_WINDOW_MS) ticks.shift();
    const known = runs && ticks.length > 1;
    const [first, last] = [ticks[0], ticks[ticks.length - 1]];
    say(rate, known ? `${((1000 * (last.number - first.number)) / (last.at - first.at)).toFixed(1)} updates/s` : "");
  }

  function show() {
    if (gone) return;
    head = { ...model.get("state"), ...model.get("counts") };
    head.hits = numberOf(head.hits_text);
    shownAt = performance.now();
    const word = head.paused ? "paused" : head.state;
    if (el.dataset.state !== word) el.dataset.state = word;
    root().classList.toggle("ktrace-paused", word === "paused");
    say(name, head.name);
    say(state, word);
    say(message, head.message);
    losses.show(head);
    facts.show(head);
    toolbar.show(head);
    notice.show(head);
    showClock();
  }

  function end() {
    gone = true;
    el.dataset.state = "gone";
    root().classList.remove("ktrace-paused");
    state.textContent = "kernel gone";
    rate.textContent = "";
    drawers.close();
    toolbar.close();
    toolbar.show({ ...head, state: "gone", actions: [], probes: 0 });
  }

  let alive = true;
  let inView = true;
  let told = true; // whether the kernel takes the panel to be seen
  let waiting = 0; // the tick to acknowledge, 0 if none
  const seen = () => inView && !document.hidden;
  function acknowledge() {
    if (!alive || !waiting || !seen()) return;
    requestAnimationFrame(() => {
      if (!alive || !waiting || !seen()) return;
      sweep(root());
      void channel.send({ view, ack: waiting });
      waiting = 0;
    });
  }
  // What cannot be seen is sent nothing.
  function look() {
    if (!alive || seen() === told) return;
    told = seen();
    void channel.send({ view, [told ? "back" : "away"]: true });
    acknowledge();
  }
  const watcher = new IntersectionObserver((entries) => {
    inView = entries[entries.length - 1].isIntersecting;
    look();
  });
  document.addEventListener("visibilitychange", look);

  // Only the page whose click asked for a snapshot puts it into the notebook.
  function insert(snapshot) {
    if (snapshot.view !== view || insertCell(model, snapshot)) return;
    notice.tell(`to see the snapshot, type this in a cell: ${snapshot.source}`);
  }

  function count({ tick, quiet }) {
    ticks.push({ at: performance.now(), number: tick });
    if (quiet) {
      requestAnimationFrame(() => sweep(root())); // the kernel expects no answer
      return;
    }
    waiting = tick;
    acknowledge();
  }

  const onMessage = (content) => {
    // First: whatever becomes of the rest, the kernel waits for the answer.
    if (content.tick) count(content);
    if (content.picture) keepPicture(model, content.picture);
    if (content.snapshot) insert(content.snapshot);
    if (content.now) model.set("counts", content.now);
    if (content.probes) probes.hear(content.probes);
  };
  model.on("change:state", show);
  model.on("change:counts", show);
  model.on("msg:custom", onMessage);
  show();
  const timer = setInterval(() => {
    if (gone || model.get("state").state !== "running") return;
    if (kernelGone()) end();
    else showClock();
    sweep(root()); // not every update has a tick
  }, 1000);
  requestAnimationFrame(() => {
    // Only now is the view in the page and its panel known.
    if (!alive) return;
    show();
    watcher.observe(root());
    void channel.send({ view, hello: true });
  });

  return () => {
    alive = false;
    clearInterval(timer);
    watcher.disconnect();
    document.removeEventListener("visibilitychange", look);
    toolbar.close();
    giveKeysBack();
    model.off("change:state", show);
    model.off("change:counts", show);
    model.off("msg:custom", onMessage);
    hide.remove();
    void channel.send({ view, bye: true });
  };
}

export default { initialize, render };
