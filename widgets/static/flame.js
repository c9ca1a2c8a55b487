// A tree of calls on a canvas, as an icicle (outermost on top) or a flame.
//
// Python sends the nodes as columns of numbers; everything else happens here. A node
// is known by its path of functions, so that what is zoomed, pointed at or searched
// stays when an update renumbers the nodes.

const ROW = 20;
const MOST_HEIGHT = 460;
const SHADES = 6;

function render({ model, el }) {
  el.classList.add("ktrace-calls", "ktrace-flame");
  const showStill = hideStill(model);
  // JupyterLab would take arrows and letters for commands of the notebook.
  ownKeys(el);
  const title = element("div", "ktrace-title", el);
  const bar = element("div", "ktrace-calls-bar", el);
  const measureLabel = element("label", "", bar, { textContent: "width " });
  const measureBox = element("select", "", measureLabel);
  for (const [value, textContent] of Object.entries(MEASURES)) element("option", "", measureBox, { value, textContent });
  const search = element("input", "", bar, { type: "search", placeholder: "search functions  ( / )", ariaLabel: "search functions" });
  const found = element("span", "ktrace-flame-found", bar, { role: "status" });
  element("span", "ktrace-calls-space", bar);
  const flip = element("button", "", bar, { type: "button", textContent: "flip", title: "outermost calls at the bottom, as in a flame graph" });
  const back = element("button", "", bar, { type: "button", textContent: "zoom out", title: "Escape" });
  const frame = element("div", "ktrace-flame-frame", el);
  const canvas = element("canvas", "", frame, { tabIndex: 0, role: "application" });
  canvas.setAttribute("aria-label", "tree of calls: arrows move, Enter zooms, Escape zooms out, / searches");
  const tell = element("div", "ktrace-calls-tell", el);
  tell.setAttribute("aria-live", "polite");
  const legend = element("div", "ktrace-calls-legend", el);
  element("span", "", legend, { textContent: "self time" });
  for (let shade = 0; shade < SHADES; shade++) element("i", "", legend).style.background = `var(--kv-${shade})`;
  element("span", "", legend, { textContent: "least to most" });
  element("i", "ktrace-calls-error", legend);
  element("span", "", legend, { textContent: "share of calls with an error" });
  const foot = element("div", "ktrace-foot", el);

  let nodes = [];
  let boxes = [];
  let most = 1;
  let zoomPath = [];
  let pointedPath = null;
  let pointed = null; // a box
  let flipped = false;
  let height = 0;
  let pending = 0;

  function rebuild() {
    const state = model.get("tree");
    const read = readTree(state);
    most = read.reduce((high, node) => Math.max(high, node.self), 1);
    nodes = measureBox.value === "self" ? invert(read) : read;
    weigh(nodes, measureBox.value);
    title.textContent = state.title;
    foot.textContent = state.foot;
    searchAll();
    later();
  }

  function searchAll() {
    const wanted = search.value.trim().toLowerCase();
    let sum = 0;
    const functions = new Set();
    const walk = (node, inside) => {
      node.match = wanted !== "" && node.parent !== null && node.name.toLowerCase().includes(wanted);
      if (node.match) {
        functions.add(node.name);
        // What is inside a match has been counted with it.
        if (!inside) sum += node.weight;
      }
      for (const child of node.children) walk(child, inside || node.match);
    };
    walk(nodes[0], false);
    if (!wanted) found.textContent = "";
    else if (!functions.size) found.textContent = "no function of that name";
    else found.textContent = `${functions.size === 1 ? "1 function" : `${functions.size} functions`}, ${share(sum, nodes[0].weight)}`;
  }

  // Many changes, one picture.
  function later() {
    if (!pending) pending = requestAnimationFrame(draw);
  }

  function draw() {
    pending = 0;
    const width = frame.clientWidth;
    if (!width || !nodes.length) return;
    const zoomed = follow(nodes[0], zoomPath);
    boxes = layOut(zoomed, width);
    const levels = 1 + boxes.reduce((deepest, box) => Math.max(deepest, box.level), 0);
    height = levels * ROW;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    canvas.dataset.boxes = boxes.length;
    pointed = pointedPath && (boxes.find((box) => box.node && samePath(pathOf(box.node), pointedPath)) ?? null);
    paint(canvas.getContext("2d"), ratio, width);
    back.disabled = zoomed === nodes[0];
    say();
  }

  function top(box) {
    return flipped ? height - (box.level + 1) * ROW : box.level * ROW;
  }

  function paint(context, ratio, width) {
    const style = getComputedStyle(el);
    const look = (name) => style.getPropertyValue(name).trim();
    const fills = Array.from({ length: SHADES }, (_, shade) => [look(`--kv-${shade}`), look(`--kv-text-${shade}`)]);
    const [allFill, allText, mergedFill, errorFill, matchFill, matchText, ring] = ["rest", "rest-text", "merged", "error", "match", "match-text", "ink"].map((name) => look(`--kv-${name}`));
    const searching = search.value.trim() !== "";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${style.fontFamily}`;
    context.textBaseline = "middle";
    for (const box of boxes) {
      const { node, x } = box;
      const y = top(box);
      const wide = Math.max(box.width - (box.width > 3 ? 1 : 0.3), 0.7);
      const shade = node ? Math.min(SHADES - 1, Math.floor(Math.sqrt(Math.max(node.self, 0) / most) * SHADES)) : 0;
      let [fill, ink] = node === null ? [mergedFill, allText] : node.parent === null ? [allFill, allText] : fills[shade];
      if (node?.match) [fill, ink] = [matchFill, matchText];
      context.globalAlpha = searching && !node?.match && node?.parent !== null ? 0.4 : box.above ? 0.75 : 1;
      context.fillStyle = fill;
      context.fillRect(x, y, wide, ROW - 1);
      if (node?.errors) {
        context.fillStyle = errorFill;
        context.fillRect(x, y + ROW - 4, Math.max(Math.min(2, wide), (wide * node.errors) / Math.max(node.count, 1)), 3);
      }
      if (node && wide > 24) {
        context.fillStyle = ink;
        const label = fit(context, node.parent === null ? allLabel() : node.name, wide - 8);
        if (label) context.fillText(label, x + 4, y + ROW / 2 - 0.5);
      }
    }
    context.globalAlpha = 1;
    if (pointed) {
      context.strokeStyle = ring;
      context.lineWidth = 2;
      context.strokeRect(pointed.x + 1, top(pointed) + 1, Math.max(pointed.width - 3, 1), ROW - 3);
    }
  }

  function allLabel() {
    const root = nodes[0];
    return measureBox.value === "count" ? `all: ${root.weight.toLocaleString("en")} calls` : `all: ${duration(root.total)}`;
  }

  // The name, cut so that it fits.
  function fit(context, text, room) {
    const wide = context.measureText(text).width;
    if (wide <= room) return text;
    for (let letters = Math.floor((text.length * room) / wide); letters >= 2; letters--) {
      const cut = `${text.slice(0, letters)}…`;
      if (context.measureText(cut).width <= room) return cut;
    }
    return "";
  }

  function describe(box) {
    const { node } = box;
    const root = nodes[0];
    if (node === null) return [`${box.merged.toLocaleString("en")} narrower than a pixel`, `in ${box.parent.name || "all"}; zoom in to see them`];
    if (node === root) return [allLabel(), ""];
    const errors = node.errors ? ` (${node.errors.toLocaleString("en")} with an error)` : "";
    const calls = node.count === 1 ? "1 call" : `${node.count.toLocaleString("en")} calls`;
    const times =
      measureBox.value === "self"
        ? node.depth === 0
          ? `self ${duration(node.total)}, ${share(node.total, root.total)}`
          : `${duration(node.total)}, ${share(node.total, root.total)} of self time of ${pathOf(node)[0]} when called this way`
        : `total ${duration(node.total)}, ${share(node.total, root.total)} · self ${duration(node.self)}, ${share(node.self, root.total)}`;
    const path = pathOf(node);
    if (measureBox.value === "self") path.reverse();
    return [`${node.name} · ${calls}${errors} · ${times}`, path.length > 1 ? path.join(" › ") : ""];
  }

  function say() {
    const [first, second] = pointed ? describe(pointed) : ["point at a call, or move with the arrows", ""];
    if (tell.dataset.said === `${first}\n${second}`) return;
    tell.dataset.said = `${first}\n${second}`;
    tell.classList.toggle("ktrace-calls-idle", !pointed);
    tell.replaceChildren(element("div", "", null, { textContent: first }), element("div", "", null, { textContent: second, title: second }));
  }

  function point(box) {
    if (box === pointed) return;
    pointed = box ?? null;
    pointedPath = box?.node ? pathOf(box.node) : null;
    paint(canvas.getContext("2d"), window.devicePixelRatio || 1, frame.clientWidth);
    say();
  }

  function boxAt(event) {
    const bounds = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    return boxes.find((box) => x >= box.x && x < box.x + Math.max(box.width, 1) && y >= top(box) && y < top(box) + ROW);
  }

  function zoom(node) {
    zoomPath = pathOf(node);
    pointedPath = zoomPath;
    draw();
    frame.scrollTop = flipped ? frame.scrollHeight : 0;
  }

  function zoomOut() {
    const zoomed = follow(nodes[0], zoomPath);
    if (zoomed.parent) zoom(zoomed.parent);
  }

  function move(key) {
    const inward = flipped ? "ArrowUp" : "ArrowDown";
    const at = pointed ?? boxes[0];
    let next;
    if (!pointed) next = at;
    else if (key === "ArrowUp" || key === "ArrowDown") {
      next =
        key === inward
          ? boxes.find((box) => box.level === at.level + 1 && box.node && box.node.parent === at.node)
          : boxes.find((box) => box.node && box.node === (at.node ? at.node.parent : at.parent));
    } else {
      const row = boxes.filter((box) => box.level === at.level).sort((one, other) => one.x - other.x);
      next = row[row.indexOf(at) + (key === "ArrowRight" ? 1 : -1)];
    }
    if (!next) return;
    point(next);
    const y = top(next);
    if (y < frame.scrollTop) frame.scrollTop = y;
    else if (y + ROW > frame.scrollTop + frame.clientHeight) frame.scrollTop = y + ROW - frame.clientHeight;
  }

  canvas.onmousemove = (event) => point(boxAt(event));
  canvas.onmouseleave = () => point(null);
  canvas.onclick = (event) => {
    const box = boxAt(event);
    if (box) zoom(box.node ?? box.parent);
  };
  el.onkeydown = (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    let taken = true;
    if (target === search) {
      if (key === "Escape" && search.value) {
        search.value = "";
        searchAll();
        later();
      } else if (key === "Escape" || key === "Enter") canvas.focus();
      else taken = false;
    } else if (key === "Escape") zoomOut();
    else if (key === "/") search.focus();
    else if (target !== canvas) taken = false;
    else if (key.startsWith("Arrow")) move(key);
    else if (key === "Enter" && pointed) zoom(pointed.node ?? pointed.parent);
    else if (key === "Home") zoom(nodes[0]);
    else taken = false;
    if (taken) event.preventDefault();
    if (taken || target === search) event.stopPropagation();
  };
  search.oninput = () => {
    searchAll();
    later();
  };
  measureBox.onchange = () => {
    zoomPath = [];
    pointedPath = pointed = null;
    rebuild();
  };
  back.onclick = zoomOut;
  flip.setAttribute("aria-pressed", "false");
  flip.onclick = () => {
    flipped = !flipped;
    flip.setAttribute("aria-pressed", String(flipped));
    draw();
    frame.scrollTop = flipped ? frame.scrollHeight : 0;
  };
  frame.style.maxHeight = `${MOST_HEIGHT}px`;

  model.on("change:tree", rebuild);
  const sizes = new ResizeObserver(later);
  sizes.observe(frame);
  // Another theme has other colours.
  const themes = new MutationObserver(later);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  rebuild();
  return () => {
    showStill();
    model.off("change:tree", rebuild);
    sizes.disconnect();
    themes.disconnect();
    cancelAnimationFrame(pending);
  };
}

export default { render };
