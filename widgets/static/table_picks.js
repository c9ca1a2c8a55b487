// Picking rows by mouse and keyboard, and copying them. The page knows a row by a
// number the kernel gave it, so that a click means the row that was clicked even
// if it is elsewhere by the time the click arrives.

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or not over https.
  }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position: fixed; opacity: 0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus?.({ preventScroll: true });
  return done;
}

function createPicks({ body, getState, send, say }) {
  let anchor = null; // the row from which Shift extends, by its number

  const shownPicks = (state) => state.picked.map((row) => state.ids[row]);

  function pick(ids, keep) {
    const state = getState();
    // At once, not when the kernel has answered.
    state.picked = state.ids.flatMap((id, row) => (ids.includes(id) ? [row] : []));
    body.drawMarks(state);
    send({ pick: ids, keep });
  }

  function choose(row, { more, range }) {
    const state = getState();
    const id = state.ids[row];
    if (id === undefined) return;
    const picked = shownPicks(state);
    if (range) {
      const from = Math.max(0, state.ids.indexOf(anchor ?? state.ids[body.active]));
      const [first, last] = from < row ? [from, row] : [row, from];
      anchor ??= state.ids[from];
      pick(state.ids.slice(first, last + 1), false);
    } else if (more) {
      anchor = id;
      pick(picked.includes(id) ? picked.filter((other) => other !== id) : [...picked, id], true);
    } else {
      anchor = id;
      pick(picked.length === 1 && picked[0] === id ? [] : [id], false);
    }
  }

  async function copy() {
    const state = getState();
    const picked = [...state.picked].sort((a, b) => a - b);
    const rows = picked.length ? picked : state.rows.map((_, row) => row);
    const done = await toClipboard(tsvOf(state, rows));
    say(done ? `${rows.length} ${rows.length === 1 ? "row" : "rows"} copied` : "the browser does not let rows be copied");
    return done;
  }

  const modified = (event) => event.ctrlKey || event.metaKey;

  body.node.addEventListener("mousedown", (event) => {
    // Else Shift would select text from the last click on.
    if (event.shiftKey || modified(event)) event.preventDefault();
  });
  body.node.addEventListener("click", (event) => {
    const row = body.rowOf(event.target);
    const dragged = !window.getSelection().isCollapsed && !event.shiftKey && !modified(event);
    if (row < 0 || dragged || event.detail > 1) return;
    const how = { more: modified(event), range: event.shiftKey };
    choose(row, how); // with the row of the last focus still active, from which Shift may go
    body.focus(row);
  });
  body.node.addEventListener("focusin", (event) => {
    body.explain(getState(), event.target.closest("tr"));
  });
  body.node.addEventListener("mouseover", (event) => {
    body.explain(getState(), event.target.closest("tr"));
  });

  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  body.node.addEventListener("keydown", (event) => {
    if (event.altKey) return;
    const row = body.active;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in steps) {
      const next = Math.max(0, Math.min(body.count - 1, row + steps[key]));
      if (event.shiftKey) {
        anchor ??= getState().ids[row];
        choose(next, { range: true });
      }
      body.focus(next);
    } else if (key === " ") choose(row, { more: modified(event), range: event.shiftKey });
    else if (key === "Escape") {
      anchor = null;
      pick([], false);
    } else if (key === "a" && modified(event)) pick([...getState().ids], false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return { copy };
}
