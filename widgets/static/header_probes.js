// The list of probes: on or off, hits, costs. Python sends it only while it is open,
// all of it at first and then the rows that changed.

function makeProbes(parent, drawers, channel, toolbar, view) {
  const body = part(parent, "div", "drawer ktrace-probes-list");
  const drawer = drawers.add(toolbar.probes, body, (open) => void channel.send({ view, probes: open }));
  const table = part(body, "table", "probes-table");
  table.setAttribute("aria-label", "probes");
  const head = table.createTHead().insertRow();
  for (const [word, title] of [
    ["on", "whether it sees anything"],
    ["probe", ""],
    ["hits", "how often it fired"],
    ["per hit", "what one hit cost the traced machine"],
    ["CPU", "what it costs of one CPU, by the kernel's run statistics"],
    ["missed", "firings that the kernel left out, e.g. while it ran already"],
  ]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = word;
    cell.title = title;
    head.append(cell);
  }
  const rows = table.createTBody();
  const foot = part(body, "div", "foot");
  let known = [];

  function addRow(number) {
    const row = rows.insertRow();
    const box = document.createElement("input");
    box.type = "checkbox";
    row.insertCell().append(box);
    const name = document.createElement("th");
    name.scope = "row";
    row.append(name);
    for (let column = 0; column < 4; column += 1) row.insertCell();
    // The trace decides how it stands: until it says so, the box shows what was asked for.
    box.onchange = () => {
      const probe = known[number];
      const wanted = box.checked;
      const action = wanted ? "on" : "off";
      const key = `probe ${probe[0]}`;
      if (!probe[6] || !toolbar.can(action) || toolbar.isPending(key)) return fill(number);
      toolbar.ask(action, probe[0], key, () => known[number]?.[5] === wanted);
      fill(number, wanted);
    };
    return row;
  }

  function fill(number, wanted) {
    const [name, hits, perHit, share, missed, on, switchable] = known[number];
    const { cells } = rows.rows[number];
    const box = cells[0].firstChild;
    const busy = toolbar.isPending(`probe ${name}`);
    box.setAttribute("aria-label", name);
    box.setAttribute("aria-busy", busy);
    box.disabled = !switchable || !(toolbar.can("on") || toolbar.can("off"));
    box.title = switchable ? "" : "this one cannot be switched";
    if (!busy) box.checked = on;
    else if (wanted !== undefined) box.checked = wanted;
    rows.rows[number].classList.toggle("ktrace-off", !on);
    [name, hits, perHit, share, missed].forEach((text, column) => say(cells[column + 1], text));
  }

  return {
    hear({ all, changed, more }) {
      if (all) {
        known = all;
        rows.replaceChildren();
        known.forEach((_, number) => addRow(number));
        say(foot, more ? `${more.toLocaleString("en-US")} more not shown` : "");
      }
      // What changed is sent to every page, also to one that never had the list.
      const news = Object.keys(all ?? changed).filter((number) => number in known);
      if (!all) for (const number of news) known[number] = changed[number];
      toolbar.settle();
      news.forEach((number) => fill(number));
    },
    // A switch that was not heard of within its time goes back.
    renew: () => known.forEach((_, number) => fill(number)),
    close: () => drawers.closeIf(drawer),
  };
}
