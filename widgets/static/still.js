// What the views of calls have in common.

function element(tag, className, parent, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (className) made.className = className;
  parent?.append(made);
  return made;
}

// The saved picture of a view is in the output below; it shows again when the view is gone.
function hideStill(model) {
  const hide = element("style", "", document.head);
  const saved = `.ktrace-static[data-panel="${model.get("address")}"]`;
  hide.textContent = `${saved}, .jp-OutputArea-child:has(${saved}) { display: none !important; }`;
  return () => hide.remove();
}
