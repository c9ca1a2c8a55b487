// The head of a panel: name, state, clock, losses, Stop. It also sets the pace:
// a tick from the kernel is acknowledged when the page has drawn a frame and the
// panel can be seen. A hidden tab draws no frames, so nothing more is sent to it.

const RATE_WINDOW_MS = 5000;
const STOP_PATIENCE_MS = 5000;

function clockText(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function rateText(rate) {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(1)}M`;
  if (rate >= 1e4) return `${(rate / 1e3).toFixed(0)}k`;
  return rate >= 10 ? rate.toFixed(0) : rate.toFixed(1);
}

// JupyterLab renews a display only in the page whose cell made it. After a reload
// the final picture is written into the notebook here, so that it is saved.
function keepPicture(model, picture) {
  const mark = `data-panel="${model.get("address")}"`;
  const text = (value) => [value ?? ""].flat().join("");
  for (const cell of model.widget_manager?.context?.model?.sharedModel?.cells ?? []) {
    const outputs = cell.getOutputs?.() ?? [];
    outputs.forEach((output, index) => {
      const page = text(output.data?.["text/html"]);
      if (page.includes(mark) && page !== picture["text/html"])
        cell.updateOutputs(index, index + 1, [{ ...output, data: picture }]);
    });
  }
}

function part(parent, tag, name) {
  const node = document.createElement(tag);
  node.className = `ktrace-${name}`;
  parent.append(node);
  return node;
}

// Each time bqplot draws bars it leaves an empty <g> behind; a legend's stays.
function sweep(root) {
  for (const group of root.querySelectorAll(".bqplot .svg-figure g[clip-path] > g:not([class]):empty")) group.remove();
}

// A bar that is pointed at says its bounds and its count.
function nameBar({ target }) {
  const bar = target.closest(".ktrace-histogram .bar");
  if (!bar) return;
  const view = bar.closest(".ktrace-histogram");
  const figure = bar.closest(".bqplot");
  const chart = [...view.querySelectorAll(".bqplot")].indexOf(figure);
  const index = [...figure.querySelectorAll(".bar")].indexOf(bar);
  const said = JSON.parse(view.querySelector("[data-bars]")?.dataset.bars ?? "[]")[chart]?.[index];
  const title = bar.querySelector("title") ?? bar.appendChild(document.createElementNS(bar.namespaceURI, "title"));
  title.textContent = said ?? "";
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const channel = openChannel(model);
  el.classList.add("ktrace-header");
  const line = part(el, "div", "line");
  const name = part(line, "span", "name");
  const state = part(line, "span", "state");
  const clock = part(line, "span", "clock");
  const loss = part(line, "span", "loss");
  part(line, "span", "space");
  const rate = part(line, "span", "rate");
  const stop = part(line, "button", "stop");
  const facts = part(el, "div", "facts");
  const message = part(el, "div", "message");
  state.setAttribute("role", "status");
  stop.textContent = "Stop";

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

  let seen = { hits: null, elapsed: 0, at: 0 };
  let hitRate = null;
  const ticks = [];

  function showClock() {
    const { state, elapsed_s } = model.get("state");
    const since = state === "running" ? (performance.now() - seen.at) / 1000 : 0;
    clock.textContent = clockText(elapsed_s + since);
    while (ticks.length && ticks[0] < performance.now() - RATE_WINDOW_MS) ticks.shift();
    const span = (ticks[ticks.length - 1] - ticks[0]) / 1000;
    const known = state === "running" && ticks.length > 1;
    rate.textContent = known ? `${((ticks.length - 1) / span).toFixed(1)} updates/s` : "";
  }

  function show() {
    if (gone) return;
    const head = model.get("state");
    if (head.hits !== null && seen.hits !== null && head.elapsed_s > seen.elapsed)
      hitRate = (head.hits - seen.hits) / (head.elapsed_s - seen.elapsed);
    seen = { hits: head.hits, elapsed: head.elapsed_s, at: performance.now() };
    el.dataset.state = head.state;
    name.textContent = head.name;
    state.textContent = head.state;
    loss.classList.toggle("ktrace-lost", head.losses.length > 0);
    loss.textContent = head.losses.length ? `⚠ ${head.losses.join(", ")}` : "✓ complete";
    loss.title = head.losses.length ? "what is shown is not all that happened" : "nothing was lost";
    const running = head.state === "running";
    const words = [];
    if (head.hits_text) words.push(`${head.hits_text} hits`);
    if (running && hitRate !== null) words.push(`${rateText(hitRate)} hits/s`);
    if (head.cost) words.push(head.cost);
    facts.textContent = words.join(" · ");
    message.textContent = head.message;
    if (!head.stoppable) {
      stop.disabled = true;
      stop.textContent = "Stop";
    } else if (stop.textContent === "Stop") stop.disabled = false;
    stop.hidden = !running;
    showClock();
  }

  stop.onclick = () => {
    stop.disabled = true;
    stop.textContent = "Stopping…";
    void channel.sendBoth({ stop: true });
    setTimeout(() => {
      stop.textContent = "Stop";
      stop.disabled = !model.get("state").stoppable;
    }, STOP_PATIENCE_MS);
  };

  let alive = true;
  let visible = true;
  let waiting = 0; // the tick to acknowledge, 0 if none
  function acknowledge() {
    if (!alive || !waiting || !visible) return;
    requestAnimationFrame(() => {
      if (!alive || !waiting || !visible) return;
      sweep(root());
      void channel.send({ view, ack: waiting });
      waiting = 0;
    });
  }
  const watcher = new IntersectionObserver((entries) => {
    visible = entries[entries.length - 1].isIntersecting;
    acknowledge();
  });

  const onMessage = (content) => {
    if (content.picture) keepPicture(model, content.picture);
    if (!content.tick) return;
    ticks.push(performance.now());
    waiting = content.tick;
    acknowledge();
  };
  model.on("change:state", show);
  model.on("msg:custom", onMessage);
  show();
  const timer = setInterval(() => {
    if (model.get("state").state !== "running" || gone) return;
    gone = kernelGone();
    if (gone) {
      el.dataset.state = "gone";
      state.textContent = "kernel gone";
      stop.hidden = true;
      rate.textContent = "";
    } else showClock();
  }, 1000);
  requestAnimationFrame(() => {
    // Only now is the view in the page and its panel known.
    if (!alive) return;
    watcher.observe(root());
    root().addEventListener("mouseover", nameBar);
    void channel.send({ view, hello: true });
  });

  return () => {
    alive = false;
    clearInterval(timer);
    watcher.disconnect();
    model.off("change:state", show);
    model.off("msg:custom", onMessage);
    hide.remove();
    void channel.send({ view, bye: true });
  };
}

export default { render };
