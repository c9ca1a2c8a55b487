// A state machine: Python sends places, texts and paths once, then only the numbers that changed.

const MOST_HEIGHT = 680;
const HOT_MS = 900; // so long a transition that just happened is lit
const RATE_MS = 3000; // a rate that nobody has renewed for so long is over
const LETTER = 7.4; // pixels
const IDLE = "point at a state or a transition; click picks, with shift another one too";

// The numbers of a new message go into the model, so that a view that comes later has them as well.
// Whoever missed one, such as those sent between the model's state and now, asks for the whole.
function initialize({ model }) {
  const channel = openChannel(model);
  const ask = () => void channel.send({ have: model.get("numbers").seq });
  const take = (message) => {
    const old = model.get("numbers");
    if (!message?.numbers || message.seq <= old.seq) return;
    if (message.seq !== old.seq + 1 || message.version !== old.version) {
      ask();
      return;
    }
    const merged = { ...old, ...message.numbers, seq: message.seq };
    for (const part of ["states", "links"]) merged[part] = { ...old[part], ...message.numbers[part] };
    model.set("numbers", merged);
  };
  model.on("msg:custom", take);
  ask();
  return () => model.off("msg:custom", take);
}

function render({ model, el }) {
  const channel = openChannel(model);
  el.classList.add("ktrace-calls", "ktrace-states");
  const giveKeysBack = ownKeys(el);
  const title = element("div", "ktrace-title", el);
  const bar = element("div", "ktrace-calls-bar", el);
  const label = element("label", "", bar, { textContent: "shade by " });
  const shade = element("select", "", label);
  element("option", "", shade, { value: "visits", textContent: "visits" });
  element("option", "", shade, { value: "time", textContent: "time in state" });
  element("span", "ktrace-calls-space", bar);
  const buttons = scaleButtons(bar);
  const frame = element("div", "ktrace-states-frame", el);
  frame.style.maxHeight = `${MOST_HEIGHT}px`;
  const picture = make("svg", frame, { tabindex: "0", role: "application" });
  const tell = element("div", "ktrace-calls-tell", el);
  tell.setAttribute("aria-live", "polite");
  const foot = element("div", "ktrace-foot", el);

  let diagram = { states: [], links: [], width: 1, height: 1 };
  let drawn = null; // the numbers that are shown
  let states = [];
  let links = [];
  let pointed = null; // { kind: "states" | "links", number }
  let hot = new Map(); // transitions that are lit, and since when
  let timer = 0;
  let rest = 0;
  const view = scaled(frame, picture, () => [diagram.width, diagram.height], buttons);

  function build() {
    diagram = model.get("diagram");
    title.textContent = diagram.title;
    bar.hidden = tell.hidden = !diagram.states.length;
    picture.setAttribute("viewBox", `0 0 ${diagram.width} ${diagram.height}`);
    picture.replaceChildren();
    const below = make("g", picture);
    const boxes = make("g", picture);
    const above = make("g", picture);
    links = diagram.links.map((link, number) => {
      const group = make("g", below, { class: "ktrace-states-link" });
      const line = make("path", group, { d: link.curve, class: "ktrace-states-line" });
      make("path", group, { d: link.tip, class: "ktrace-states-tip" });
      const near = make("path", group, { d: link.curve, class: "ktrace-states-near" });
      const text = make("g", above, { class: "ktrace-states-label" });
      const ground = make("rect", text, { rx: 3 });
      const count = make("text", text, { x: link.x, y: link.y + 4 });
      const figures = make("tspan", count, { class: "ktrace-states-count" });
      const rate = make("tspan", count, { class: "ktrace-states-rate", dx: 3 });
      const mean = make("text", text, { x: link.x, y: link.y + 13, class: "ktrace-states-mean" });
      for (const part of [near, text]) pointable(part, "links", number);
      return { group, line, text, ground, count, figures, rate, mean, x: link.x, y: link.y };
    });
    states = diagram.states.map((state, number) => {
      const group = make("g", boxes, { class: "ktrace-states-state" });
      group.classList.toggle("ktrace-states-merged", state.merged);
      make("rect", group, { x: state.x - state.width / 2, y: state.y - state.height / 2, width: state.width, height: state.height, rx: 8 });
      const name = make("text", group, { x: state.x, y: state.y - 3, class: "ktrace-states-name" }, state.name);
      const detail = make("text", group, { x: state.x, y: state.y + 15 });
      pointable(group, "states", number);
      return { group, name, detail, y: state.y };
    });
    drawn = null;
    pointed = null;
    hot = new Map();
    show();
    view.size();
  }

  function pointable(shape, kind, number) {
    shape.onmouseenter = () => point({ kind, number });
    shape.onmouseleave = () => point(null);
    shape.onclick = (event) => {
      if (!view.dragged()) pick(kind, number, event.shiftKey || event.ctrlKey || event.metaKey);
    };
  }

  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  // Writes what differs from what is shown.
  function show() {
    const numbers = model.get("numbers");
    if (numbers.version !== diagram.version) return; // the other half of the message is on its way
    write(foot, numbers.foot);
    picture.setAttribute("aria-label", `${numbers.alt}. Arrows move, T steps through transitions, Enter picks, Escape lets go`);
    label.hidden = !numbers.timed;
    states.forEach((shape, number) => {
      const state = numbers.states[number];
      if (state === drawn?.states[number] || !state) return;
      write(shape.detail, state.detail);
      shape.name.setAttribute("y", shape.y + (state.detail ? -3 : 5));
      shape.group.classList.toggle("ktrace-states-unseen", !state.seen);
    });
    links.forEach((shape, number) => {
      const link = numbers.links[number];
      const before = drawn?.links[number];
      if (link === before || !link) return;
      write(shape.figures, link.label);
      write(shape.rate, link.rate);
      write(shape.mean, link.mean);
      shape.count.setAttribute("y", shape.y + (link.mean ? -2 : 5));
      widen(shape, link);
      shape.line.setAttribute("stroke-width", link.wide);
      shape.group.classList.toggle("ktrace-states-unseen", !link.count);
      shape.group.classList.toggle("ktrace-states-unusual", link.unusual);
      if (before && before.count !== link.count) light(number);
    });
    clearTimeout(rest);
    rest = setTimeout(quiet, RATE_MS);
    drawn = numbers;
    fill();
    mark();
  }

  // A line that runs through its own numbers makes them hard to read. As wide as the letters are on
  // average: to measure them costs the page a layout.
  function widen(shape, { label, rate, mean }) {
    const letters = Math.max(label.length + (rate ? rate.length + 1 : 0), mean.length);
    const [wide, high] = [letters ? letters * LETTER + 6 : 0, mean ? 30 : 17];
    const place = { x: shape.x - wide / 2, y: shape.y - high / 2, width: wide, height: high };
    for (const [name, value] of Object.entries(place)) shape.ground.setAttribute(name, value);
  }

  function quiet() {
    links.forEach((shape, number) => {
      const link = drawn?.links[number];
      if (!link?.rate) return;
      write(shape.rate, "");
      widen(shape, { ...link, rate: "" });
    });
  }

  function fill() {
    states.forEach((shape, number) => {
      const step = drawn?.states[number]?.[drawn.timed ? shade.value : "visits"] ?? -1;
      shape.group.dataset.shade = step;
    });
  }

  function light(number) {
    hot.set(number, performance.now());
    links[number].group.classList.add("ktrace-states-hot");
    timer ||= setTimeout(cool, HOT_MS);
  }

  function cool() {
    const now = performance.now();
    for (const [number, since] of hot) {
      if (now - since < HOT_MS - 20) continue;
      links[number]?.group.classList.remove("ktrace-states-hot");
      hot.delete(number);
    }
    timer = hot.size ? setTimeout(cool, HOT_MS / 3) : 0;
  }

  function point(what) {
    pointed = what;
    mark();
  }

  function picks() {
    const chosen = (part) => Object.keys(part).filter((number) => part[number].picked).map(Number);
    return drawn ? { states: chosen(drawn.states), links: chosen(drawn.links) } : { states: [], links: [] };
  }

  // The whole of what is picked is sent, so that a message may arrive twice.
  function pick(kind, number, adding) {
    const now = picks();
    const own = now[kind].includes(number);
    const alone = own && now.states.length + now.links.length === 1;
    const next = adding ? now : { states: [], links: [] };
    if (adding && own) next[kind] = now[kind].filter((other) => other !== number);
    else if (!alone) next[kind] = [...next[kind], number];
    send(next);
  }

  function send(next) {
    void channel.send({ pick: next, version: diagram.version });
  }

  // What belongs to what is pointed at or picked stays, the rest fades.
  function mark() {
    const near = { states: new Set(), links: new Set() };
    const chosen = picks();
    const looking = pointed !== null;
    if (pointed) near[pointed.kind].add(pointed.number);
    else for (const kind of ["states", "links"]) chosen[kind].forEach((number) => near[kind].add(number));
    diagram.links.forEach(({ start, end }, number) => {
      if (pointed?.kind === "states" && (start === pointed.number || end === pointed.number)) {
        near.links.add(number);
        near.states.add(start).add(end);
      } else if (pointed?.kind === "links" && number === pointed.number) near.states.add(start).add(end);
      else if (!pointed && (chosen.links.includes(number) || chosen.states.includes(start) || chosen.states.includes(end))) {
        near.links.add(number);
        near.states.add(start).add(end);
      }
    });
    const fading = looking || Boolean(drawn?.picked);
    states.forEach(({ group }, number) => {
      group.classList.toggle("ktrace-states-faded", fading && !near.states.has(number));
      group.classList.toggle("ktrace-states-pointed", pointed?.kind === "states" && pointed.number === number);
      group.classList.toggle("ktrace-states-picked", chosen.states.includes(number));
    });
    links.forEach(({ group, text }, number) => {
      for (const part of [group, text]) part.classList.toggle("ktrace-states-faded", fading && !near.links.has(number));
      group.classList.toggle("ktrace-states-pointed", looking && near.links.has(number));
      group.classList.toggle("ktrace-states-picked", chosen.links.includes(number));
    });
    const said = pointed && drawn?.[pointed.kind][pointed.number]?.tell;
    write(tell, said || IDLE);
    tell.classList.toggle("ktrace-calls-idle", !said);
  }

  function most(numbers) {
    const count = (number) => Number(drawn.links[number].count.replaceAll(",", ""));
    return [...numbers].sort((one, other) => count(other) - count(one));
  }

  function move(key) {
    const chosen = picks().states[0];
    const now = pointed?.kind === "states" ? pointed.number : pointed ? diagram.links[pointed.number].start : chosen;
    let next;
    if (now === undefined) next = 0;
    else if (key === "ArrowDown" || key === "ArrowUp") {
      const [from, to] = key === "ArrowDown" ? ["start", "end"] : ["end", "start"];
      const ways = diagram.links.flatMap((link, number) => (link[from] === now && link[to] !== now ? [number] : []));
      if (ways.length) next = diagram.links[most(ways)[0]][to];
    } else {
      const at = diagram.states;
      const row = at.flatMap((state, number) => (Math.abs(state.y - at[now].y) < 20 ? [number] : []));
      row.sort((one, other) => at[one].x - at[other].x);
      next = row[row.indexOf(now) + (key === "ArrowRight" ? 1 : -1)];
    }
    if (next === undefined || !diagram.states[next]) return;
    point({ kind: "states", number: next });
    view.reveal(diagram.states[next]);
  }

  // From one transition of a state to the next.
  function step() {
    const state = pointed?.kind === "states" ? pointed.number : pointed ? diagram.links[pointed.number].start : picks().states[0];
    const from = diagram.links.flatMap((link, number) => (state === undefined || link.start === state ? [number] : []));
    if (!from.length) return;
    const order = most(from);
    const place = pointed?.kind === "links" ? order.indexOf(pointed.number) : -1;
    point({ kind: "links", number: order[(place + 1) % order.length] });
  }

  picture.onkeydown = (event) => {
    const { key } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key.startsWith("Arrow")) move(key);
    else if (key === "t" || key === "T") step();
    else if (key === "Enter" && pointed) pick(pointed.kind, pointed.number, event.shiftKey);
    else if (key === "Escape") {
      point(null);
      send({ states: [], links: [] });
    } else if (key === "+" || key === "-") view.rescale(key === "+" ? 1 : -1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  // JupyterLab would select cells as well.
  picture.onmousedown = (event) => {
    if (event.shiftKey) event.stopPropagation();
  };
  shade.onchange = fill;

  model.on("change:diagram", build);
  model.on("change:numbers", show);
  build();
  return () => {
    giveKeysBack();
    model.off("change:diagram", build);
    model.off("change:numbers", show);
    clearTimeout(timer);
    clearTimeout(rest);
    view.stop();
  };
}

export default { initialize, render };
