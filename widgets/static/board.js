// A board of a kernel's health. The kernel writes every text; the page draws, folds parts under
// their piece, and keeps the rates of the last minutes.

const IDLE = "point at a row for every digit; a click or Enter folds and unfolds parts, n goes to what is not ok";

function initialize({ model }) {
  const channel = openChannel(model);
  const ask = () => void channel.send({ have: model.get("board").seq });
  const take = (message) => {
    const board = model.get("board");
    if (message?.seq === undefined || message.seq <= board.seq) return;
    if (message.seq === board.seq + 1) patchBoard(board, message);
    else ask(); // one was missed
  };
  model.on("msg:custom", take);
  ask();
  return () => model.off("msg:custom", take);
}

// In place: every view of the model has it then.
function patchBoard(board, { seq, title, foot, rows = {}, drop = 0, at = [], past = [] }) {
  board.seq = seq;
  if (title !== undefined) board.title = title;
  if (foot !== undefined) board.foot = foot;
  for (const [place, fields] of Object.entries(rows)) Object.assign(board.rows[place], fields);
  board.at.splice(0, drop);
  board.at.push(...at);
  past.forEach((rates, place) => {
    board.rows[place].past.splice(0, drop);
    board.rows[place].past.push(...rates);
  });
}

function render({ model, el }) {
  const getBoard = () => model.get("board");
  el.classList.add("ktrace-board");
  const giveKeysBack = ownKeys(el);
  const title = element("div", "ktrace-title", el);
  const frame = element("div", "ktrace-board-frame", el);
  const table = element("table", "", frame);
  table.setAttribute("role", "treegrid");
  const caption = table.createCaption();
  caption.className = "ktrace-board-unseen";
  const head = table.createTHead().insertRow();
  for (const word of ["state", "piece", "level", "band", "rate", "last minutes", "drift"]) {
    const cell = element("th", "", head, { textContent: word, scope: "col" });
    if (["level", "rate", "drift"].includes(word)) cell.className = "ktrace-number";
    if (word === "last minutes") cell.textContent = `last ${Math.round(getBoard().seconds / 60)} min`;
  }
  const body = table.createTBody();
  const tell = element("div", "ktrace-board-tell", el);
  const foot = element("div", "ktrace-foot", el);
  // Lamps that changed and rows that keys go to are told to whoever listens, not every number of every second.
  const said = element("div", "ktrace-board-unseen", el);
  said.setAttribute("role", "status");

  let lines = []; // what is drawn, a line per row
  let current = 0; // the row that takes the keys
  let pointed = null;
  const open = new Set(); // names of pieces whose parts are shown; they stay when rows come and go

  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  const nameOf = ({ key }) => key[0];
  const isShown = (row) => !row.under || open.has(nameOf(row));

  function makeRow(row, place) {
    const line = body.insertRow();
    const [lampCell, nameCell, level, bandCell, rate, lineCell, drift] = Array.from({ length: 7 }, () => line.insertCell());
    for (const cell of [level, rate, drift]) cell.className = "ktrace-number";
    drift.classList.add("ktrace-board-drift");
    lampCell.className = "ktrace-board-lamp";
    nameCell.className = "ktrace-board-name";
    bandCell.className = "ktrace-board-band";
    line.classList.toggle("ktrace-board-part", row.under);
    line.setAttribute("aria-level", row.under ? "2" : "1");
    const mark = element("span", "ktrace-board-mark", nameCell);
    mark.setAttribute("aria-hidden", "true");
    const name = element("span", "ktrace-board-of", nameCell);
    const parts = element("span", "ktrace-board-parts", nameCell);
    line.onclick = () => {
      go(place);
      if (row.parts) fold(place, !open.has(nameOf(getBoard().rows[place])));
    };
    line.onmouseenter = () => point(place);
    line.onmouseleave = () => point(null);
    line.onfocus = () => go(place, false);
    return {
      line, mark, name, parts, level, rate, drift,
      lamp: makeLamp(lampCell), band: makeBand(bandCell), spark: makeLine(lineCell), shown: null,
    };
  }

  function draw() {
    const { rows } = getBoard();
    const before = lines[current] && lines[current].key;
    const focused = body.contains(document.activeElement);
    body.replaceChildren();
    lines = rows.map((row, place) => ({ ...makeRow(row, place), key: row.key.join("\0") }));
    current = Math.max(0, lines.findIndex(({ key }) => key === before));
    pointed = null;
    show();
    settle();
    if (focused) lines[current]?.line.focus();
  }

  // Writes what differs from what is shown.
  function show() {
    const board = getBoard();
    write(title, board.title);
    write(foot, board.foot);
    write(caption, `${board.title || "health"}: ${board.foot}. Arrows move, right and left fold, N goes to what is not ok`);
    const news = [];
    board.rows.forEach((row, place) => {
      const line = lines[place];
      const old = line.shown;
      if (old?.state !== row.state) {
        line.lamp(row.state);
        if (old && isShown(row)) news.push(`${row.tell.split(" · ", 1)[0]}`);
      }
      write(line.name, row.name);
      line.name.title = row.title;
      write(line.level, row.level);
      write(line.rate, row.rate);
      write(line.drift, row.drift);
      line.drift.classList.toggle("ktrace-board-still", row.drift === "0");
      line.band(row);
      const count = row.parts ? `${row.parts} ${row.parts === 1 ? "part" : "parts"}` : "";
      write(line.parts, [count, row.troubled].filter(Boolean).join(": "));
      line.parts.classList.toggle("ktrace-board-troubled", Boolean(row.troubled));
      line.shown = { state: row.state };
    });
    if (news.length) write(said, news.join("; "));
    sparks();
    told();
  }

  // Only of rows that are seen.
  function sparks() {
    const { at, rows, seconds } = getBoard();
    rows.forEach((row, place) => {
      if (isShown(row)) lines[place].spark(at, row.past, seconds);
    });
  }

  function settle() {
    const { rows } = getBoard();
    if (rows[current] && !isShown(rows[current])) current = headOf(current);
    rows.forEach((row, place) => {
      const { line, mark } = lines[place];
      const opened = open.has(nameOf(row));
      line.hidden = !isShown(row);
      line.tabIndex = place === current ? 0 : -1;
      write(mark, row.parts ? (opened ? "▾" : "▸") : "");
      if (row.parts) line.setAttribute("aria-expanded", String(opened));
      line.classList.toggle("ktrace-board-folds", row.parts > 0);
    });
    told();
  }

  function headOf(place) {
    const { rows } = getBoard();
    let head = place;
    while (head > 0 && rows[head].under) head -= 1;
    return head;
  }

  function fold(place, opened) {
    const name = nameOf(getBoard().rows[place]);
    if (opened) open.add(name);
    else open.delete(name);
    settle();
    if (opened) sparks();
  }

  function go(place, focus = true) {
    if (!lines[place]) return;
    lines[current]?.line.setAttribute("tabindex", "-1");
    current = place;
    pointed = null; // a mouse that rests does not speak over the keys
    lines[place].line.tabIndex = 0;
    if (focus) {
      lines[place].line.focus();
      write(said, getBoard().rows[place].tell);
    }
    told();
  }

  function point(place) {
    pointed = place;
    told();
  }

  function told() {
    const focused = body.contains(document.activeElement) ? current : null;
    const row = getBoard().rows[pointed ?? focused ?? -1];
    write(tell, row ? row.tell : getBoard().rows.length ? IDLE : "");
    tell.classList.toggle("ktrace-board-idle", !row);
  }

  function step(by) {
    const { rows } = getBoard();
    const seen = rows.flatMap((row, place) => (isShown(row) ? [place] : []));
    const now = seen.indexOf(current);
    go(seen[Math.min(seen.length - 1, Math.max(0, now + by))]);
  }

  // The next row that is not ok, parts too, from the end on from the beginning.
  function nextTrouble() {
    const { rows } = getBoard();
    for (let by = 1; by <= rows.length; by += 1) {
      const place = (current + by) % rows.length;
      if (rows[place].state === "ok") continue;
      if (rows[place].under) fold(headOf(place), true);
      go(place);
      return;
    }
    write(said, "all ok");
  }

  body.onkeydown = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { rows } = getBoard();
    const row = rows[current];
    if (!row) return;
    const opened = open.has(nameOf(row));
    const { key } = event;
    if (key === "ArrowDown") step(1);
    else if (key === "ArrowUp") step(-1);
    else if (key === "Home") step(-rows.length);
    else if (key === "End") step(rows.length);
    else if (key === "ArrowRight" && row.parts) opened ? step(1) : fold(current, true);
    else if (key === "ArrowLeft" && row.under) go(headOf(current));
    else if (key === "ArrowLeft" && row.parts) fold(current, false);
    else if ((key === "Enter" || key === " ") && row.parts) fold(current, !opened);
    else if (key === "*") {
      rows.forEach((one, place) => one.parts && fold(place, true));
    } else if (key === "n" || key === "N") nextTrouble();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  body.addEventListener("focusout", () => requestAnimationFrame(told));

  const onMessage = ({ seq }) => {
    if (seq !== undefined && seq === getBoard().seq) show();
  };
  model.on("change:board", draw);
  model.on("msg:custom", onMessage);
  draw();
  return () => {
    giveKeysBack();
    model.off("change:board", draw);
    model.off("msg:custom", onMessage);
  };
}

export default { initialize, render };
