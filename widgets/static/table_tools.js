// What stands above a table: filter, rows, bars, rates, exact numbers, copy.

const FILTER_MS = 150;

function createTools(el, { send, copy }) {
  const make = (tag, name, parent, given = {}) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    Object.assign(node, given);
    parent.append(node);
    return node;
  };
  const tools = make("div", "ktrace-tools", el);
  tools.setAttribute("role", "toolbar");
  const filter = make("input", "ktrace-filter", tools, { type: "search", placeholder: "filter: bash, bytes>1MiB", spellcheck: false, autocomplete: "off" });
  filter.setAttribute("aria-label", "filter rows");
  filter.title = 'text in any cell; column>100, column<5ms, column=bash, column!=bash; "in quotes" as it is; all terms have to hold';
  const hint = make("div", "ktrace-hint", el);
  el.after(hint); // in a line of its own: the rest stays where it is while somebody types
  hint.id = `ktrace-hint-${Math.random().toString(36).slice(2)}`;
  hint.setAttribute("role", "status");
  filter.setAttribute("aria-describedby", hint.id);

  function choice(label, values, wish) {
    const select = make("select", "", tools);
    select.setAttribute("aria-label", label);
    for (const [value, textContent] of values) make("option", "", select, { value, textContent });
    select.onchange = () => send({ [wish]: wish === "limit" ? Number(select.value) : select.value });
    return select;
  }
  function toggle(text, title, wish, of) {
    const button = make("button", "", tools, { type: "button", textContent: text, title });
    button.onclick = () => send({ [wish]: button.getAttribute("aria-pressed") !== "true" });
    return (state) => button.setAttribute("aria-pressed", String(state[of]));
  }

  const limit = choice("rows at most", [10, 20, 50].map((rows) => [String(rows), `${rows} rows`]), "limit");
  const bars = choice("bars", [["sorted", "bar: sorted"], ["all", "bars: all"], ["none", "no bars"]], "bars");
  const showRates = toggle("rates", "change per second beside the sorted column", "rates", "rating");
  const showExact = toggle("exact", "every number with all its digits", "exact", "exactly");
  const copying = make("button", "ktrace-copy", tools, { type: "button", textContent: "copy", title: "copy the picked rows, or all that are shown, with exact numbers (Ctrl+C)" });
  copying.onclick = async () => {
    copying.textContent = (await copy()) ? "copied" : "not copied";
    setTimeout(() => (copying.textContent = "copy"), 1500);
  };

  let timer = 0;
  filter.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => send({ words: filter.value }), FILTER_MS);
  };
  filter.onkeydown = (event) => {
    if (event.key !== "Enter") return;
    clearTimeout(timer);
    send({ words: filter.value });
  };

  return {
    show(state) {
      // What is being typed is newer than what the kernel says.
      if (document.activeElement !== filter && filter.value !== state.words) filter.value = state.words;
      if (hint.textContent !== state.hint) {
        hint.textContent = state.hint;
        filter.setAttribute("aria-invalid", String(Boolean(state.hint)));
      }
      if (limit.value !== String(state.limit)) limit.value = String(state.limit);
      if (bars.value !== state.barring) bars.value = state.barring;
      showRates(state);
      showExact(state);
    },
  };
}
