// Drawing the lines of an indent view: as many rows as fit, written anew when it scrolls.

const ROW_PX = 20;
const LEVEL_PX = 14;
const CHARACTER_PX = 8; // of the code font, on the safe side
const THREAD_COLOURS = 8;
// Bars by the logarithm of the duration: none at 100 ns, full at a second.
const [LEAST_NS, MOST_NS, HEATS, BAR_PX] = [100, 1e9, 7, 60];
const ENDINGS = { [ENTRY]: "open", [FAILED]: "failed", [UNSEEN]: "unseen" };
const MARKS = { [ENTRY]: "  …", [FAILED]: "  ✗", [UNSEEN]: "  ⚠" };

function durationText(ns) {
  if (ns < 1000) return `${ns} ns`;
  for (const [unit, name] of [
    [1e3, "µs"],
    [1e6, "ms"],
    [1e9, "s"],
  ]) {
    const value = ns / unit;
    if (value < 999.5 || unit === 1e9) return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${name}`;
  }
}

// Where a duration lies between the least and the most, by its logarithm.
function shareOf(ns) {
  const share = Math.log10(ns / LEAST_NS) / Math.log10(MOST_NS / LEAST_NS);
  return Math.max(0, Math.min(1, share));
}

function timeText(ns) {
  return (ns / 1e9).toFixed(6);
}

// What a line says of a step: all that is drawn, copied and read out.
function lineOf(steps, row) {
  const entry = steps.kinds[row] === ENTRY;
  const call = steps.entryOf(row);
  const closed = entry && steps.isClosed(row);
  const ending = call < 0 ? steps.kinds[row] : steps.ending(call);
  const below = entry ? steps.below(row) : 0;
  const name = steps.names[steps.functions[row]] ?? "?";
  const duration = call < 0 ? -1 : steps.duration(call);
  let note = "";
  if (closed && below) note = `  ${below.toLocaleString("en")} ${below === 1 ? "call" : "calls"} below`;
  if (ending === UNSEEN && (closed || !entry)) note += "  end not seen";
  return {
    entry,
    call,
    closed,
    ending,
    below,
    duration,
    // Of a call that is one line and has no others below it, no arrow: it went nowhere.
    arrow: !entry ? "<- " : closed && !below ? "" : "-> ",
    name: closed ? `${name}()` : name,
    mark: MARKS[ending] ?? "",
    note,
    time: timeText(steps.at[row]),
    task: steps.tasks[steps.threads[row]] ?? "?",
    took: duration >= 0 ? durationText(duration) : ending === UNSEEN ? "?" : "",
    depth: steps.depths[row],
  };
}

// The same as a line of plain text.
function plainLine(steps, row) {
  const line = lineOf(steps, row);
  const indent = "  ".repeat(line.depth);
  return `${line.time.padStart(12)}  ${line.task.padEnd(20)}  ${line.took.padStart(9)}  ${indent}${line.arrow}${line.name}${line.mark}${line.note}`;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

class Rows {
  constructor(frame, steps, name) {
    this.frame = frame;
    this.steps = steps;
    this.name = name; // prefix of the rows' ids
    this.pool = [];
  }

  row(index) {
    while (this.pool.length <= index) {
      const node = document.createElement("div");
      node.className = "ktrace-step";
      node.setAttribute("role", "row");
      node.id = `${this.name}-${this.pool.length}`;
      const cells = ["time", "task", "took", "call"].map((name) => {
        const cell = document.createElement("span");
        cell.className = `ktrace-step-${name}`;
        cell.setAttribute("role", "gridcell");
        node.append(cell);
        return cell;
      });
      const bar = document.createElement("i");
      const took = document.createElement("span");
      cells[2].append(bar, took);
      const parts = ["fold", "arrow", "name", "mark", "note"].map((name) => {
        const part = document.createElement("span");
        part.className = `ktrace-step-${name}`;
        cells[3].append(part);
        return part;
      });
      this.frame.append(node);
      this.pool.push({ node, time: cells[0], task: cells[1], bar, took, call: cells[3], parts, step: -1 });
    }
    return this.pool[index];
  }

  // Draw `count` lines from line `top` on; `state` has cursor and selection.
  draw(top, count, state) {
    const { steps } = this;
    const wide = steps.deepest * LEVEL_PX + 40 * CHARACTER_PX;
    this.frame.style.setProperty("--kt-call-width", `${wide}px`);
    for (let index = 0; index < Math.max(count, this.pool.length); index++) {
      const shown = this.row(index);
      const hidden = index >= count;
      if (shown.node.hidden !== hidden) shown.node.hidden = hidden;
      if (hidden) shown.step = -1;
      else this.write(shown, steps.lines[top + index], top + index, state);
    }
  }

  write(shown, row, number, { cursor, first, last }) {
    const { steps } = this;
    const line = lineOf(steps, row);
    const { node, bar, call } = shown;
    shown.step = row;
    write(shown.time, line.time);
    write(shown.task, line.task);
    if (shown.task.title !== line.task) shown.task.title = line.task;
    write(shown.took, line.took);
    const share = line.entry && line.duration >= 0 ? shareOf(line.duration) : -1;
    bar.style.width = share < 0 ? "0" : `${Math.max(3, Math.round(share * BAR_PX))}px`;
    node.dataset.heat = share < 0 ? "" : Math.min(HEATS - 1, Math.floor(share * HEATS));
    node.dataset.thread = steps.threads[row] % THREAD_COLOURS;
    node.dataset.ending = ENDINGS[line.ending] ?? "returned";
    node.dataset.entry = line.entry;
    call.style.paddingLeft = `${line.depth * LEVEL_PX}px`;
    call.style.backgroundSize = `${line.depth * LEVEL_PX}px 100%`;
    const folds = line.entry && line.below > 0;
    write(shown.parts[0], folds ? (steps.folded[row] ? "▸" : "▾") : "");
    [line.arrow, line.name, line.mark, line.note].forEach((text, index) => write(shown.parts[index + 1], text));
    node.classList.toggle("ktrace-found", line.entry && steps.wanted?.[steps.functions[row]] === 1);
    node.classList.toggle("ktrace-cursor", row === cursor);
    const selected = row >= first && row <= last;
    node.setAttribute("aria-selected", selected);
    node.setAttribute("aria-level", line.depth + 1);
    node.setAttribute("aria-rowindex", number + 1);
    if (folds) node.setAttribute("aria-expanded", !steps.folded[row]);
    else node.removeAttribute("aria-expanded");
  }

  // The row that shows a step, if any does.
  of(step) {
    return this.pool.find((shown) => shown.step === step);
  }
}
