// The nodes of a tree of calls and their places; nothing here knows of the page.

const MOST_BOXES = 3000;
const MEASURES = {
  time: "time",
  count: "calls",
  self: "self time, callers below",
};

function numbers(view, kind) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return new kind(bytes.slice().buffer);
}

function duration(ns) {
  const steps = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  const [size, unit] = steps.find(([step]) => Math.abs(ns) >= step * 0.9995) ?? [1, "ns"];
  const value = ns / size;
  const digits = Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : `${+value.toPrecision(3)}`;
  return ns === 0 ? "0" : `${digits} ${unit}`;
}

function share(part, whole) {
  return `${(whole ? (100 * part) / whole : 0).toFixed(1)} %`;
}

// Nodes with number 0 as the root of all, which Python does not send.
function readTree(state) {
  const parent = numbers(state.parent, Int32Array);
  const names = numbers(state.function, Int32Array);
  const columns = ["count", "errors", "total", "self"].map((name) => numbers(state[name], Float64Array));
  const root = { name: "", parent: null, depth: -1, count: 0, errors: 0, total: 0, self: 0, children: [] };
  const nodes = [root];
  for (let i = 0; i < parent.length; i++) {
    const above = nodes[parent[i] + 1];
    const [count, errors, total, self] = columns.map((column) => column[i]);
    const node = { name: state.names[names[i]], parent: above, depth: above.depth + 1, count, errors, total, self, children: [] };
    above.children.push(node);
    nodes.push(node);
  }
  for (const node of root.children) {
    root.count += node.count;
    root.total += node.total;
  }
  return nodes;
}

// The same calls from the inside out: outermost are the functions with self time,
// below each the functions it was called from.
function invert(nodes) {
  const root = { name: "", parent: null, depth: -1, count: 0, errors: 0, total: 0, self: 0, children: [] };
  const inverted = [root];
  for (const node of nodes.slice(1)) {
    if (!(node.self > 0)) continue;
    root.total += node.self;
    let at = root;
    for (let from = node; from.parent; from = from.parent) {
      at.inside ??= new Map();
      let next = at.inside.get(from.name);
      if (!next) {
        next = { name: from.name, parent: at, depth: at.depth + 1, count: 0, errors: 0, total: 0, self: 0, children: [] };
        at.inside.set(from.name, next);
        at.children.push(next);
        inverted.push(next);
      }
      next.count += node.count;
      next.errors += node.errors;
      next.total += node.self;
      if (at === root) next.self += node.self;
      at = next;
    }
  }
  for (const node of inverted) node.children.sort((one, other) => other.total - one.total);
  return inverted;
}

function weigh(nodes, measure) {
  for (const node of nodes) node.weight = measure === "count" ? node.count : node.total;
  if (measure !== "count") return;
  // Calls with all calls below them: a function may be called more often than its caller.
  nodes[0].weight = 0;
  for (const node of nodes.slice(1).reverse()) node.parent.weight += node.weight;
}

function pathOf(node) {
  const path = [];
  for (let at = node; at?.parent; at = at.parent) path.unshift(at.name);
  return path;
}

function samePath(one, other) {
  return one.length === other.length && one.every((name, place) => name === other[place]);
}

// The node at the end of a path, or as far as the path goes.
function follow(root, path) {
  let at = root;
  for (const name of path) {
    const next = at.children.find((child) => child.name === name);
    if (!next) break;
    at = next;
  }
  return at;
}

// Boxes to draw: those above the zoomed node as wide as the page, those below it by
// share. Neighbours narrower than a pixel become one box without a node.
function layOut(zoomed, width) {
  const boxes = [];
  for (let at = zoomed; at; at = at.parent) boxes.unshift({ node: at, x: 0, width, level: at.depth + 1, above: at !== zoomed });
  const waiting = [boxes.at(-1)];
  for (let i = 0; i < waiting.length; i++) {
    const { node, x, width: room, level } = waiting[i];
    let sum = 0;
    for (const child of node.children) sum += child.weight;
    const scale = room / Math.max(node.weight, sum, 1);
    let left = x;
    let narrow = 0;
    let merged = 0;
    const close = () => {
      if (narrow >= 1) boxes.push({ node: null, x: left - narrow, width: narrow, level: level + 1, merged, parent: node });
      narrow = merged = 0;
    };
    for (const child of node.children) {
      const wide = child.weight * scale;
      if (wide >= 1 && boxes.length < MOST_BOXES - 1) {
        close();
        const box = { node: child, x: left, width: wide, level: level + 1 };
        boxes.push(box);
        waiting.push(box);
      } else {
        narrow += wide;
        merged += 1;
      }
      left += wide;
    }
    if (boxes.length < MOST_BOXES) close();
  }
  return boxes;
}
