// What is written around the timeline: its tools, its legend, its foot.

const LEGEND = 8;

function part(parent, tag, className, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function noun(store) {
  return store.values.function ? "call" : "spell";
}

// The elements of a timeline.
function layOutParts(el) {
  const title = part(el, "div", "ktrace-title");
  const bar = part(el, "div", "ktrace-timeline-bar");
  const choose = (text) => part(part(bar, "label", "", { textContent: `${text} ` }), "select", "");
  const laneBox = choose("lanes");
  const colourBox = choose("colour");
  part(bar, "span", "ktrace-timeline-space");
  const button = (textContent, help) => part(bar, "button", "", { type: "button", textContent, title: help, ariaLabel: help });
  const outButton = button("−", "zoom out (-)");
  const inButton = button("+", "zoom in (+)");
  const fitButton = button("fit", "everything (0)");
  const frame = part(el, "div", "ktrace-timeline-frame");
  const canvas = part(frame, "canvas", "", { tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "timeline");
  canvas.setAttribute("aria-description", KEYS);
  const below = part(frame, "div", "ktrace-timeline-below");
  const tell = part(el, "div", "ktrace-timeline-tell");
  tell.setAttribute("aria-live", "polite");
  const legend = part(el, "div", "ktrace-timeline-legend");
  const foot = part(el, "div", "ktrace-foot");
  return { title, laneBox, colourBox, outButton, inButton, fitButton, frame, canvas, below, tell, legend, foot };
}

// Choices of a menu; what was chosen stays chosen.
function offer(box, choices, wanted) {
  const now = JSON.stringify(choices);
  if (box.dataset.choices !== now) {
    const kept = box.value;
    box.dataset.choices = now;
    box.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    box.value = choices.some(([value]) => value === kept) ? kept : wanted;
  }
  box.parentElement.hidden = choices.length < 2;
}

function writeLines(node, lines, idle) {
  if (lines.every((line, at) => node.childNodes[at]?.textContent === line)) return;
  node.classList.toggle("ktrace-timeline-idle", idle);
  node.replaceChildren();
  for (const textContent of lines) part(node, "div", "", { textContent });
}

function writeFoot(node, store, whole, remark) {
  const words = [];
  if (store.count) words.push(counted(store.count, noun(store)), counted(store.lanes.length, "lane"), durationText(whole));
  if (store.count < store.total) words.push(`${(store.total - store.count).toLocaleString("en")} to come`);
  if (store.hidden) words.push(`${store.hidden.toLocaleString("en")} more with less time not shown`);
  if (remark) words.push(remark);
  const text = words.join(" · ");
  if (node.textContent !== text) node.textContent = text;
}

// What took most time, with its colour.
function writeLegend(node, store, kind) {
  const spent = store.spent[kind] ?? [];
  const names = store.names[kind] ?? [];
  const all = names.map((_, at) => at + 1).filter((value) => kind === "state" || spent[value]);
  const most = all.sort((a, b) => (spent[b] ?? 0) - (spent[a] ?? 0)).slice(0, LEGEND);
  const wanted = most.map((value) => names[value - 1].slice(0, 2));
  const waiting = store.running > 0 && names.length > 0 && store.names.state.length > 1;
  const key = JSON.stringify([wanted, waiting, all.length]);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren();
  for (const [name, colour] of wanted) {
    const entry = part(node, "span", "");
    part(entry, "i", "").style.background = colour;
    entry.append(name);
  }
  if (all.length > most.length) part(node, "span", "", { textContent: `and ${(all.length - most.length).toLocaleString("en")} more` });
  if (waiting) part(node, "span", "ktrace-timeline-heights", { textContent: "full height: runs, half: could run, line: sleeps" });
}
