// A live table: the kernel sends the top rows as text, a click on a column's head
// asks it to sort by that column. Only cells that changed are written.

function render({ model, el }) {
  const channel = openChannel(model);
  el.classList.add("ktrace-table");
  const title = document.createElement("div");
  title.className = "ktrace-title";
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const body = table.createTBody();
  const foot = document.createElement("div");
  foot.className = "ktrace-foot";
  const frame = document.createElement("div");
  frame.className = "ktrace-scroll";
  frame.append(table);
  el.append(title, frame, foot);

  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function showHead({ names, numeric, sort, descending }) {
    while (head.cells.length > names.length) head.lastChild.remove();
    names.forEach((name, column) => {
      let cell = head.cells[column];
      if (!cell) {
        cell = document.createElement("th");
        const button = document.createElement("button");
        button.onclick = () => {
          const now = model.get("table");
          const clicked = now.names[column];
          // A number is first wanted largest, a name from A on.
          const wanted = clicked === now.sort ? !now.descending : now.numeric[column];
          void channel.send({ sort: clicked, descending: wanted });
        };
        cell.append(button);
        head.append(cell);
      }
      const sorted = name === sort;
      cell.className = numeric[column] ? "ktrace-number" : "";
      cell.setAttribute("aria-sort", sorted ? (descending ? "descending" : "ascending") : "none");
      write(cell.firstChild, name);
      cell.dataset.arrow = sorted ? (descending ? "▾" : "▴") : "";
    });
  }

  function show() {
    const now = model.get("table");
    write(title, now.title);
    showHead(now);
    while (body.rows.length > now.rows.length) body.lastChild.remove();
    now.rows.forEach((values, index) => {
      const row = body.rows[index] ?? body.insertRow();
      while (row.cells.length > values.length) row.lastChild.remove();
      values.forEach((value, column) => {
        const cell = row.cells[column] ?? row.insertCell();
        const kind = now.numeric[column] ? "ktrace-number" : "";
        if (cell.className !== kind) cell.className = kind;
        if (cell.textContent !== value) {
          cell.textContent = value;
          cell.title = value.length > 40 ? value : "";
        }
      });
    });
    write(foot, now.foot);
  }

  model.on("change:table", show);
  show();
  return () => model.off("change:table", show);
}

export default { render };
