// A call graph: Python sends places, texts and numbers; the page draws them as SVG,
// element by element, so that a name is never taken for markup.

const MOST_HEIGHT = 560;

function render({ model, el }) {
  el.classList.add("ktrace-calls", "ktrace-graph");
  const showStill = hideStill(model);
  // JupyterLab would take arrows for commands of the notebook.
  ownKeys(el);
  const title = element("div", "ktrace-title", el);
  const bar = element("div", "ktrace-calls-bar", el);
  const buttons = scaleButtons(bar);
  const frame = element("div", "ktrace-graph-frame", el);
  frame.style.maxHeight = `${MOST_HEIGHT}px`;
  const picture = make("svg", frame, { tabindex: "0", role: "application", "aria-label": "call graph: arrows move, Enter selects, Escape lets go" });
  const tip = `ktrace-tip-${Math.random().toString(36).slice(2)}`;
  const tell = element("div", "ktrace-calls-tell", el);
  tell.setAttribute("aria-live", "polite");
  const foot = element("div", "ktrace-foot", el);

  let graph = model.get("graph");
  let pointed = ""; // name of a function
  let shapes = new Map(); // name to the node's element
  let lines = []; // element and ends of each edge
  const idle = "point at a function or a call; click selects, dragging moves";

  const view = scaled(frame, picture, () => [graph.width, graph.height], buttons);

  function show() {
    graph = model.get("graph");
    title.textContent = graph.title;
    foot.textContent = graph.foot;
    bar.hidden = !graph.nodes.length;
    tell.hidden = !graph.nodes.length;
    picture.setAttribute("viewBox", `0 0 ${graph.width} ${graph.height}`);
    picture.replaceChildren();
    const marker = make("marker", make("defs", picture), { id: tip, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" });
    make("path", marker, { d: "M0 0.5L8 4L0 7.5z", class: "ktrace-graph-tip" });
    lines = graph.edges.map((edge) => {
      const group = make("g", picture, { class: "ktrace-graph-edge" });
      make("path", group, { d: edge.curve, "stroke-width": edge.wide, "marker-end": `url(#${tip})` });
      // A thin line is hard to point at.
      const wide = make("path", group, { d: edge.curve, class: "ktrace-graph-near" });
      make("text", group, { x: edge.x, y: edge.y + 4 }, edge.label);
      wide.onmouseenter = () => say(edge.tell, true);
      wide.onmouseleave = () => mark();
      return { group, edge };
    });
    shapes = new Map();
    for (const node of graph.nodes) {
      const group = make("g", picture, { class: `ktrace-graph-node ktrace-graph-shade${node.shade}` });
      const left = node.x - node.width / 2;
      const top = node.y - node.height / 2;
      make("rect", group, { x: left, y: top, width: node.width, height: node.height, rx: 4 });
      if (node.errors) {
        make("rect", group, { x: left + 4, y: top + node.height - 4, width: Math.max(2, (node.width - 8) * node.errors), height: 3, class: "ktrace-graph-error" });
      }
      make("text", group, { x: node.x, y: top + node.letter + 3, class: `ktrace-graph-name${node.step}` }, node.name);
      make("text", group, { x: node.x, y: top + node.letter + 18 }, node.detail);
      group.onmouseenter = () => point(node.name);
      group.onmouseleave = () => point("");
      group.onclick = () => {
        if (!view.dragged()) select(model.get("selected") === node.name ? "" : node.name);
      };
      shapes.set(node.name, group);
    }
    view.size();
    mark();
  }

  function point(name) {
    pointed = name;
    mark();
  }

  function select(name) {
    model.set("selected", name);
    model.save_changes();
  }

  function say(text, told) {
    tell.textContent = text;
    tell.classList.toggle("ktrace-calls-idle", !told);
  }

  // What belongs to the function that is pointed at or selected stays, the rest fades.
  function mark() {
    const selected = model.get("selected");
    const name = shapes.has(pointed) ? pointed : shapes.has(selected) ? selected : "";
    const number = graph.nodes.findIndex((node) => node.name === name);
    const near = new Set([number]);
    for (const { group, edge } of lines) {
      const touches = edge.caller === number || edge.callee === number;
      group.classList.toggle("ktrace-graph-faded", number >= 0 && !touches);
      group.classList.toggle("ktrace-graph-chosen", number >= 0 && touches);
      if (touches) near.add(edge.caller).add(edge.callee);
    }
    graph.nodes.forEach((node, place) => {
      const shape = shapes.get(node.name);
      shape.classList.toggle("ktrace-graph-faded", number >= 0 && !near.has(place));
      shape.classList.toggle("ktrace-graph-chosen", node.name === name);
      shape.classList.toggle("ktrace-graph-selected", node.name === selected);
    });
    say(graph.nodes[number]?.tell ?? idle, number >= 0);
  }

  function move(key) {
    const now = graph.nodes.findIndex((node) => node.name === (pointed || model.get("selected")));
    let next = -1;
    if (now < 0) next = graph.nodes.length ? 0 : -1;
    else if (key === "ArrowDown" || key === "ArrowUp") {
      const [from, to] = key === "ArrowDown" ? ["caller", "callee"] : ["callee", "caller"];
      const ways = graph.edges.filter((edge) => edge[from] === now && edge[to] !== now);
      ways.sort((one, other) => other.total - one.total);
      if (ways.length) next = ways[0][to];
    } else {
      const order = graph.nodes.map((_, place) => place).filter((place) => Math.abs(graph.nodes[place].y - graph.nodes[now].y) < 20);
      order.sort((one, other) => graph.nodes[one].x - graph.nodes[other].x);
      next = order[order.indexOf(now) + (key === "ArrowRight" ? 1 : -1)] ?? -1;
    }
    if (next < 0) return;
    point(graph.nodes[next].name);
    view.reveal(graph.nodes[next]);
  }

  picture.onkeydown = (event) => {
    const { key } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key.startsWith("Arrow")) move(key);
    else if (key === "Enter" && pointed) select(pointed);
    else if (key === "Escape") {
      pointed = "";
      select("");
      mark();
    } else if (key === "+" || key === "-") view.rescale(key === "+" ? 1 : -1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  model.on("change:graph", show);
  model.on("change:selected", mark);
  show();
  return () => {
    showStill();
    model.off("change:graph", show);
    model.off("change:selected", mark);
    view.stop();
  };
}

export default { render };
