// What stands around the lines of an indent view: its tools, and the words for its keys.

const TOOLBAR = `
  <span class="ktrace-tools">
    <input type="search" data-do="search" placeholder="search functions" aria-label="search functions" spellcheck="false">
    <button data-do="previous" title="previous match (N)" aria-label="previous match">↑</button>
    <button data-do="next" title="next match (n)" aria-label="next match">↓</button>
    <span class="ktrace-matches" role="status" title="calls of functions whose name has the text"></span>
  </span>
  <span class="ktrace-tools">
    <button data-do="collapse" title="show outermost calls only">collapse all</button>
    <button data-do="expand" title="show everything">expand all</button>
    <label title="a call that made no other becomes one line"><input type="checkbox" data-do="leaves">fold leaves</label>
  </span>
  <span class="ktrace-tools">
    <button data-do="slowest" title="the slowest call, then the next (s)">slowest</button>
    <button data-do="failed" title="the next call that returned an error (e), the one before (E)">next error</button>
  </span>
  <span class="ktrace-tools">
    <label>colour <select data-do="colour"><option>duration<option>error<option>thread</select></label>
    <label>thread <select data-do="thread"><option value="-1">all</select></label>
    <label title="stay at the end while steps come in"><input type="checkbox" data-do="follow">follow</label>
  </span>`;

const KEYS =
  "↑ ↓ PgUp PgDn Home End move, with ⇧ select · Enter folds, ⇧ Enter all below · / searches, n N next and previous · " +
  "s slowest · e E errors · Ctrl\u00a0C copies the selected lines";

function part(parent, tag, name) {
  const node = document.createElement(tag);
  node.className = `ktrace-${name}`;
  parent.append(node);
  return node;
}

// 1 call, 2 calls
function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
