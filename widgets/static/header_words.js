// How the head of a panel writes numbers, and the small parts it is made of.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  resume: "M4 2.5v11l9.5-5.5z",
  stop: "M3.5 3.5h9v9h-9z",
  reset: "M8 3a5 5 0 1 1-4.7 3.3l1.5.5A3.4 3.4 0 1 0 8 4.6V7L4 3.9 8 .8z",
  snapshot: "M5.5 3 6.5 1.5h3L10.5 3H13a1.5 1.5 0 0 1 1.5 1.5v7A1.5 1.5 0 0 1 13 13H3a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 3 3zM8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zm0 1.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z",
  export: "M7.2 1.5h1.6v6.2l2.3-2.3 1.1 1.1L8 10.7 3.800 6.500l1.1-1.1 2.3 2.3zM2 10h1.6v3h8.800v-3H14v4.6H2z",
  probes: "M1.5 3h2v2h-2zM5.500 3.2h9v1.6h-9zM1.5 7h2v2h-2zM5.500 7.2h9v1.6h-9zM1.5 11h2v2h-2zM5.500 11.2h9v1.6h-9z",
  close: "M3.6 2.500 8 6.900l4.4-4.4 1.1 1.1L9.1 8l4.4 4.4-1.1 1.1L8 9.1l-4.4 4.4-1.1-1.1L6.900 8 2.500 3.6z",
};

function part(parent, tag, name) {
  const node = document.createElement(tag);
  node.className = `ktrace-${name}`;
  parent.append(node);
  return node;
}

// Five times a second hardly anything changes, and what is not written is not laid out.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawIcon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

// A button with a picture and a word; both can be exchanged.
function makeButton(parent, name, word) {
  const node = part(parent, "button", `button ktrace-${name}`);
  node.type = "button";
  node.append(drawIcon(name));
  const label = document.createElement("span");
  label.textContent = word;
  node.append(label);
  let drawn = name;
  return {
    node,
    show(icon, text) {
      say(label, text);
      if (icon === drawn) return;
      node.firstChild.replaceWith(drawIcon(icon));
      drawn = icon;
    },
  };
}

function clockText(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function rateText(rate) {
  for (const [size, prefix] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ])
    if (rate >= size * 9.995) return `${Number((rate / size).toPrecision(3))}${prefix}`;
  return rate >= 10 ? Math.round(rate).toLocaleString("en-US") : rate.toFixed(1);
}

// The number that a text with thousands separators holds.
function numberOf(text) {
  return text ? Number(text.replaceAll(",", "")) : null;
}

// How fast a counter grows over the last seconds of its own clock.
function makeRate(overS) {
  let seen = [];
  return {
    add(at, count) {
      const last = seen[seen.length - 1];
      if (last && (count < last.count || at < last.at)) seen = []; // it was reset
      if (last && at === last.at) seen.pop();
      seen.push({ at, count });
      while (seen.length > 2 && seen[1].at < at - overS) seen.shift();
    },
    get() {
      if (seen.length < 2) return null;
      const [first, last] = [seen[0], seen[seen.length - 1]];
      return (last.count - first.count) / (last.at - first.at);
    },
  };
}
