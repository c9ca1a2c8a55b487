// Console text: the kernel sends new lines, the page keeps the latest.

function render({ model, el }) {
  const channel = openChannel(model);
  el.classList.add("ktrace-text");
  const giveKeysBack = ownKeys(el);
  const title = document.createElement("div");
  title.className = "ktrace-title";
  const frame = document.createElement("div");
  frame.className = "ktrace-lines";
  const lines = document.createElement("pre");
  lines.tabIndex = 0;
  const foot = document.createElement("div");
  foot.className = "ktrace-foot";
  frame.append(lines);
  el.append(title, frame, foot);
  title.textContent = model.get("title");

  const onMessage = ({ lines: added, fresh, before }) => {
    if (!added) return;
    // Follow the end unless the reader scrolled up.
    const following = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 4;
    if (fresh) lines.replaceChildren();
    const most = model.get("most");
    const piece = document.createDocumentFragment();
    for (const line of added.slice(-most)) {
      const row = document.createElement("div");
      row.textContent = line || "\u200b";
      piece.append(row);
    }
    lines.append(piece);
    while (lines.childElementCount > most) lines.firstChild.remove();
    const gone = before + added.length - lines.childElementCount;
    foot.textContent = gone > 0 ? `${gone.toLocaleString("en")} earlier lines not shown` : "";
    if (following) lines.scrollTop = lines.scrollHeight;
  };
  model.on("msg:custom", onMessage);
  void channel.send({ resend: true });
  return () => {
    giveKeysBack();
    model.off("msg:custom", onMessage);
  };
}

export default { render };
