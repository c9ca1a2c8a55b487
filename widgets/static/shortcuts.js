// Keys that are pressed in a view must not be commands of JupyterLab as well, which cuts a cell
// at "x" and deletes it at "d d". What is pressed with Ctrl or Cmd, to save say, remains its.
//
// It listens above us or, in its older versions, gets keys before us; then it heeds an
// attribute of what has the focus, of nothing around it. A modifier is a key that comes first.
function ownKeys(node) {
  const isTheirs = (event) => event.ctrlKey || event.metaKey;
  const mark = (event) => {
    if (isTheirs(event)) delete event.target.dataset.lmSuppressShortcuts;
    else event.target.dataset.lmSuppressShortcuts = "true";
  };
  const keep = (event) => {
    if (!isTheirs(event)) event.stopPropagation();
  };
  const marked = ["focusin", "keydown", "keyup"];
  for (const kind of marked) node.addEventListener(kind, mark, true);
  node.addEventListener("keydown", keep);
  return () => {
    for (const kind of marked) node.removeEventListener(kind, mark, true);
    node.removeEventListener("keydown", keep);
  };
}
