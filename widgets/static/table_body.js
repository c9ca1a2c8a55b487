// The rows of a table: only what differs from what is drawn is written, because
// every write makes the browser lay the table out again.

// Digits in groups of three, for a tooltip.
function grouped(digits) {
  const [whole, rest] = digits.split(/(?=\.|e)/, 2);
  return /^-?\d+$/.test(whole) ? whole.replace(/\B(?=(\d{3})+$)/g, ",") + (digits.slice(whole.length) ?? rest) : digits;
}

// A cell as it is, for what is copied: the text has it all unless it was sent besides.
function exactOf(state, row, column) {
  const exact = state.exact[row][column];
  if (exact !== null) return exact;
  const text = state.rows[row][column];
  return state.numeric[column] ? text.replaceAll(",", "") : text;
}

function tooltipOf(state, row, column) {
  const exact = state.exact[row][column];
  if (!exact) return "";
  if (!state.numeric[column]) return exact;
  const unit = { share: "", per_s: "/s", bytes_per_s: "bytes/s", us: "µs" }[state.units[column]] ?? state.units[column];
  return `${grouped(exact)} ${unit}`.trim();
}

function tsvOf(state, rows) {
  const lines = rows.map((row) => state.names.map((_, column) => exactOf(state, row, column)));
  return [state.names, ...lines].map((line) => line.join("\t")).join("\n") + "\n";
}

// What a message of the kernel changes in a state.
function patch(state, { cells = [], set = {}, version }) {
  for (const [row, column, text, exact, bar] of cells) {
    state.rows[row][column] = text;
    state.exact[row][column] = exact;
    state.bars[row][column] = bar;
  }
  Object.assign(state, set, { version });
}

function createBody(table) {
  const body = table.createTBody();
  let lines = []; // per row: the <tr>, its cells with what they show
  let active = 0;

  function line(row) {
    if (!lines[row]) lines[row] = { node: body.insertRow(), cells: [], picked: null, fresh: false, id: null };
    return lines[row];
  }

  function drawCell(state, row, column) {
    const { node, cells } = line(row);
    cells[column] ??= { node: node.insertCell(), text: "", kind: null, bar: 0, rate: null };
    const cell = cells[column];
    const kind = `${state.numeric[column] ? "ktrace-number" : ""}${state.barred[column] ? " ktrace-bar" : ""}`;
    if (cell.kind !== kind) cell.node.className = cell.kind = kind;
    const text = state.rows[row][column];
    if (cell.text !== text) cell.node.textContent = cell.text = text;
    const bar = state.bars[row][column];
    if (cell.bar !== bar) {
      cell.node.style.setProperty("--bar", `${bar}%`);
      cell.bar = bar;
    }
    if (cell.node.title) cell.node.title = tooltipOf(state, row, column);
  }

  function drawRates(state) {
    const rated = state.rates.length ? state.keys.indexOf(state.sort) : -1;
    lines.forEach(({ cells }, row) =>
      cells.forEach((cell, column) => {
        const rate = column === rated ? state.rates[row] : null;
        if (cell.rate === rate) return;
        cell.rate = rate;
        if (rate === null) delete cell.node.dataset.rate;
        else cell.node.dataset.rate = rate;
      }),
    );
    return rated;
  }

  function drawMarks(state) {
    const picked = new Set(state.picked);
    const fresh = new Set(state.fresh);
    table.classList.toggle("ktrace-picking", picked.size > 0);
    lines.forEach((one, row) => {
      if (one.picked !== picked.has(row)) {
        one.picked = picked.has(row);
        one.node.setAttribute("aria-selected", one.picked);
      }
      if (one.fresh !== fresh.has(row)) {
        one.fresh = fresh.has(row);
        one.node.classList.toggle("ktrace-new", one.fresh);
      }
    });
  }

  // One row is in the order of Tab, the arrow keys go from there.
  function activate(row) {
    active = Math.max(0, Math.min(row, lines.length - 1));
    lines.forEach(({ node }, index) => {
      const wanted = index === active ? 0 : -1;
      if (node.tabIndex !== wanted || !node.hasAttribute("tabindex")) node.tabIndex = wanted;
    });
  }

  function drawAll(state) {
    const focused = lines.some(({ node }) => node === document.activeElement);
    while (lines.length > state.rows.length) lines.pop().node.remove();
    state.rows.forEach((values, row) => {
      const { cells } = line(row);
      while (cells.length > values.length) cells.pop().node.remove();
      values.forEach((_, column) => drawCell(state, row, column));
    });
    activate(active);
    if (focused && lines.length) lines[active].node.focus({ preventScroll: true });
  }

  // Tooltips are made when they are looked for, of the row that is pointed at.
  function explain(state, node) {
    const row = lines.findIndex((one) => one.node === node);
    lines.forEach(({ cells }, index) =>
      cells.forEach((cell, column) => {
        const title = index === row ? tooltipOf(state, row, column) : "";
        if (cell.node.title !== title) cell.node.title = title;
      }),
    );
  }

  return {
    node: body,
    get active() {
      return active;
    },
    get count() {
      return lines.length;
    },
    activate,
    explain,
    focus: (row) => {
      activate(row);
      lines[active]?.node.focus();
    },
    rowOf: (node) => lines.findIndex((one) => one.node === node?.closest?.("tr")),
    drawMarks,
    drawRates,
    drawAll,
    drawCells: (state, cells) => cells.forEach(([row, column]) => drawCell(state, row, column)),
  };
}
