// Two runs side by side: Python sends the rows as texts and numbers, the page sorts and picks.

function render({ model, el }) {
  el.classList.add("ktrace-calls", "ktrace-comparison");
  const giveKeysBack = ownKeys(el);
  const { title, head, columns, names, marks, numbers, texts, changes, foot } = model.get("table");
  element("div", "ktrace-title", el, { textContent: title });
  const bar = element("div", "ktrace-calls-bar", el);
  const pick = element("select", "", element("label", "", bar, { textContent: "show " }));
  const picks = { all: () => true, new: (row) => marks[row] === "new", gone: (row) => marks[row] === "gone", slower: (row) => changes[row] > 0, faster: (row) => changes[row] < 0 };
  for (const value of Object.keys(picks)) {
    const count = names.filter((_, row) => picks[value](row)).length;
    element("option", "", pick, { value, textContent: `${value} (${count.toLocaleString("en")})` });
  }
  const search = element("input", "", bar, { type: "search", placeholder: "search functions", ariaLabel: "search functions" });
  const frame = element("div", "ktrace-comparison-frame", el);
  const table = element("table", "", frame);
  const groups = table.createTHead().insertRow();
  const heads = table.tHead.insertRow();
  const body = table.createTBody();
  element("div", "ktrace-foot", el, { textContent: foot });
  const longest = Math.max(...changes.map(Math.abs), 1);
  // What to sort by: a column's number, "name", or null for the frame's own order.
  let sort = null;
  let descending = true;

  element("th", "", groups, { colSpan: 2 });
  element("th", "ktrace-comparison-group", groups, { textContent: "self time" });
  for (const group of new Set(columns.map((column) => column.group))) {
    element("th", "ktrace-comparison-group", groups, { colSpan: columns.filter((column) => column.group === group).length, textContent: group });
  }
  const buttons = [["name", head, ""], ...columns.map((column, place) => [place, column.side, "ktrace-number"])].map(([key, text, className]) => {
    const cell = element("th", className, heads);
    element("button", "", cell, { type: "button", textContent: text }).onclick = () => {
      // A number is first wanted largest, a name from A on.
      descending = sort === key ? !descending : key !== "name";
      sort = key;
      show();
    };
    if (key === "name") {
      element("th", "", heads);
      element("th", "ktrace-comparison-ways", heads, { textContent: "less · more" });
    }
    return [key, cell];
  });

  function ordered() {
    const rows = names.map((_, row) => row).filter(picks[pick.value]);
    const wanted = search.value.trim().toLowerCase();
    const found = rows.filter((row) => names[row].toLowerCase().includes(wanted));
    if (sort === null) return found;
    const sign = descending ? -1 : 1;
    return found.sort((one, other) => {
      if (sort === "name") return sign * (names[one] < names[other] ? -1 : names[one] > names[other] ? 1 : 0);
      const [left, right] = [numbers[one][sort], numbers[other][sort]];
      // What is missing comes last, either way.
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (left - right);
    });
  }

  function show() {
    for (const [key, cell] of buttons) {
      cell.setAttribute("aria-sort", key === sort ? (descending ? "descending" : "ascending") : "none");
      cell.dataset.arrow = key === sort ? (descending ? "▾" : "▴") : "";
    }
    body.replaceChildren(
      ...ordered().map((row) => {
        const line = element("tr", marks[row] ? `ktrace-comparison-${marks[row]}` : "", null);
        element("td", "ktrace-comparison-name", line, { textContent: names[row], title: names[row] });
        element("span", "", element("td", "ktrace-comparison-mark", line), { textContent: marks[row] });
        const bar = element("i", changes[row] < 0 ? "ktrace-comparison-less" : "ktrace-comparison-more", element("td", "ktrace-comparison-bar", line));
        bar.style.width = `${(50 * Math.abs(changes[row])) / longest}%`;
        texts[row].forEach((text, place) => element("td", `ktrace-number${columns[place].side === "a" ? " ktrace-comparison-first" : ""}`, line, { textContent: text }));
        return line;
      }),
    );
    if (!body.rows.length) element("td", "", body.insertRow(), { colSpan: columns.length + 3, textContent: "no such row" });
  }

  pick.onchange = search.oninput = show;
  show();
  const showStill = hideStill(model);
  return () => {
    giveKeysBack();
    showStill();
  };
}

export default { render };
