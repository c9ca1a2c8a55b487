// A live table. The kernel sorts, filters and writes; the page draws, and tells what
// was clicked. The first state is a trait, after that come changes; the model's copy
// of the state is kept up to date here, so that another view of it has them too.

function initialize({ model }) {
  const channel = openChannel(model);
  const ask = () => void channel.send({ have: model.get("table").version });
  const onMessage = (message) => {
    const state = model.get("table");
    if (message.version === state.version + 1) patch(state, message);
    else if (message.version > state.version) ask(); // one was missed
  };
  model.on("msg:custom", onMessage);
  ask();
  return () => model.off("msg:custom", onMessage);
}

function render({ model, el }) {
  const channel = openChannel(model);
  const getState = () => model.get("table");
  el.classList.add("ktrace-table");
  const giveKeysBack = ownKeys(el);

  const top = document.createElement("div");
  top.className = "ktrace-table-top";
  const title = document.createElement("div");
  title.className = "ktrace-title";
  top.append(title);
  const frame = document.createElement("div");
  frame.className = "ktrace-scroll";
  const table = document.createElement("table");
  table.setAttribute("role", "grid");
  table.setAttribute("aria-multiselectable", "true");
  const caption = table.createCaption();
  caption.className = "ktrace-unseen";
  const head = table.createTHead().insertRow();
  frame.append(table);
  const foot = document.createElement("div");
  foot.className = "ktrace-foot";
  // Told to whoever listens when they asked for something, not five times a second.
  const said = document.createElement("div");
  said.className = "ktrace-unseen";
  said.setAttribute("role", "status");
  el.append(top, frame, foot, said);

  let asked = false;
  const send = (message) => {
    asked = true;
    void channel.send(message);
  };
  const say = (text) => {
    said.textContent = text;
  };
  const body = createBody(table);
  const picks = createPicks({ body, getState, send, say });
  const tools = createTools(top, { send, copy: picks.copy });

  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function drawHead({ names, keys, numeric, sort, descending }) {
    while (head.cells.length > names.length) head.lastChild.remove();
    names.forEach((name, column) => {
      let cell = head.cells[column];
      if (!cell) {
        cell = document.createElement("th");
        cell.scope = "col";
        const button = document.createElement("button");
        button.type = "button";
        button.onclick = () => {
          const now = getState();
          const clicked = now.keys[column];
          // A number is first wanted largest, a name from A on.
          const wanted = clicked === now.sort ? !now.descending : now.numeric[column];
          send({ sort: clicked, descending: wanted });
        };
        cell.append(button);
        head.append(cell);
      }
      const sorted = keys[column] === sort;
      cell.className = numeric[column] ? "ktrace-number" : "";
      cell.setAttribute("aria-sort", sorted ? (descending ? "descending" : "ascending") : "none");
      write(cell.firstChild, name);
      cell.dataset.arrow = sorted ? (descending ? "▾" : "▴") : "";
    });
  }

  function drawRest(state) {
    const rated = body.drawRates(state);
    [...head.cells].forEach((cell, column) => cell.classList.toggle("ktrace-rated", column === rated));
    body.drawMarks(state);
    tools.show(state);
    write(title, state.title);
    write(caption, state.title || "table");
    write(foot, state.foot);
    if (!asked) return;
    asked = false;
    say([state.foot, state.hint].filter(Boolean).join("; "));
  }

  function draw() {
    const state = getState();
    drawHead(state);
    body.drawAll(state);
    drawRest(state);
  }

  const onMessage = ({ version, cells, set }) => {
    const state = getState();
    if (version === undefined || version !== state.version) return; // not taken in above
    if (cells) body.drawCells(state, cells);
    if (set && ("sort" in set || "descending" in set)) drawHead(state);
    if (set) drawRest(state);
  };

  el.addEventListener("keydown", (event) => {
    const copies = event.key.toLowerCase() === "c" && (event.ctrlKey || event.metaKey);
    // What is selected as text, and the filter's own text, is copied by the browser.
    if (!copies || event.target.matches("input, select") || !window.getSelection().isCollapsed) return;
    event.preventDefault();
    event.stopPropagation();
    void picks.copy();
  });

  model.on("change:table", draw);
  model.on("msg:custom", onMessage);
  draw();
  return () => {
    giveKeysBack();
    model.off("change:table", draw);
    model.off("msg:custom", onMessage);
  };
}

export default { initialize, render };
