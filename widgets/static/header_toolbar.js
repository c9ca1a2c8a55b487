// The controls of a panel. A button that was pressed shows that it is being done
// until the trace says it is, five seconds at most.

const PATIENCE_MS_OF_CLICK = 5000;
const FORMS = [
  ["csv", "CSV", "every frame as comma-separated text"],
  ["parquet", "Parquet", "every frame with its types"],
  ["json", "JSON", "every frame as a list of rows"],
  ["html", "Picture", "the panel as it stands, a page of HTML"],
];

// What was asked for and is not seen done yet.
function makePending(renew) {
  const waits = new Map();
  return {
    begin(key, done) {
      clearTimeout(waits.get(key)?.timer);
      const timer = setTimeout(() => {
        waits.delete(key);
        renew();
      }, PATIENCE_MS_OF_CLICK);
      waits.set(key, { done, timer });
      renew();
    },
    has: (key) => waits.has(key),
    settle(head) {
      for (const [key, { done, timer }] of waits) {
        if (!done(head)) continue;
        clearTimeout(timer);
        waits.delete(key);
      }
    },
    clear() {
      for (const { timer } of waits.values()) clearTimeout(timer);
      waits.clear();
    },
  };
}

// Arrow keys move between the buttons of a row that can be seen; Tab does too.
function moveByArrows(row, selector) {
  row.addEventListener("keydown", (event) => {
    const buttons = [...row.querySelectorAll(selector)].filter((button) => !button.hidden);
    const at = buttons.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const to = { Home: 0, End: buttons.length - 1 }[event.key] ?? (step && at + step + buttons.length);
    if (at < 0 || to === undefined) return;
    buttons[to % buttons.length].focus();
    event.preventDefault();
  });
}

// Parts below the toolbar of which one at most is open. They are in the flow of the
// page, for an output cuts off what hangs over its edge.
function makeDrawers(el) {
  const drawers = [];
  let open = null;
  function set(drawer, focus) {
    const before = open;
    open = drawer;
    for (const { body, opener, toggled } of drawers) {
      const is = open?.body === body;
      body.hidden = !is;
      opener.setAttribute("aria-expanded", is);
      if (is !== (before?.body === body)) toggled(is);
    }
    if (focus && open) open.body.querySelector("button, input, [tabindex]")?.focus();
  }
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !open) return;
    const { opener } = open;
    set(null);
    opener.focus();
    event.stopPropagation();
    event.preventDefault();
  });
  return {
    add(opener, body, toggled = () => {}) {
      const drawer = { opener, body, toggled };
      drawers.push(drawer);
      body.hidden = true;
      body.id = `ktrace-${Math.random().toString(36).slice(2)}`;
      opener.setAttribute("aria-expanded", "false");
      opener.setAttribute("aria-controls", body.id);
      // A click by keyboard has no place: then the focus goes along.
      opener.onclick = (event) => set(open === drawer ? null : drawer, event.detail === 0);
      return drawer;
    },
    close: () => set(null),
    closeIf: (drawer) => open === drawer && set(null),
  };
}

function makeToolbar(parent, drawers, channel, view, renewed) {
  const row = part(parent, "div", "toolbar");
  row.setAttribute("role", "toolbar");
  const pause = makeButton(row, "pause", "Pause");
  const reset = makeButton(row, "reset", "Reset");
  const snapshot = makeButton(row, "snapshot", "Snapshot");
  const save = makeButton(row, "export", "Export");
  const probes = makeButton(row, "probes", "Probes");
  const stop = makeButton(row, "stop", "Stop");
  moveByArrows(row, "button");

  let head = {};
  let asked = 0;
  const pending = makePending(() => {
    show(head);
    renewed();
  });

  const can = (action) => Boolean(head.actions?.includes(action));

  function ask(action, argument, key, done) {
    if (!can(action) || pending.has(key)) return;
    const { notice } = head;
    asked += 1;
    void channel.sendBoth({ view, id: `${view}.${asked}`, do: action, argument });
    pending.begin(key, done ?? ((now) => now.notice !== notice));
  }

  const menu = part(parent, "div", "drawer ktrace-menu");
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", "export as");
  const exporting = drawers.add(save.node, menu);
  save.node.setAttribute("aria-haspopup", "menu");
  for (const [form, word, title] of FORMS) {
    const item = part(menu, "button", "button ktrace-form");
    item.type = "button";
    item.setAttribute("role", "menuitem");
    item.dataset.form = form;
    item.textContent = word;
    item.title = title;
    item.onclick = () => {
      drawers.closeIf(exporting);
      save.node.focus();
      ask("export", form, "export");
    };
  }
  moveByArrows(menu, "button");

  pause.node.onclick = () => {
    const { paused } = head;
    ask(paused ? "resume" : "pause", "", "pause", (now) => now.paused !== paused);
  };
  reset.node.onclick = () => {
    const { hits, notice } = head;
    ask("reset", "", "reset", (now) => now.hits < hits || now.notice !== notice);
  };
  snapshot.node.onclick = () => ask("snapshot", "", "snapshot");
  stop.node.onclick = () => {
    if (!head.stoppable || pending.has("stop")) return;
    void channel.sendBoth({ stop: true });
    pending.begin("stop", (now) => now.state !== "running");
  };

  // Not disabled, for that would take the focus away from who uses the keyboard.
  function set({ node }, key, shown, possible, title) {
    const hadFocus = node === document.activeElement;
    node.hidden = !shown;
    if (hadFocus && !shown) row.querySelector("button:not([hidden])")?.focus();
    const busy = pending.has(key);
    node.setAttribute("aria-busy", busy);
    node.setAttribute("aria-disabled", busy || !possible);
    if (node.title !== title) node.title = title;
    return busy;
  }

  function show(now) {
    head = now;
    pending.settle(head);
    const running = head.state === "running";
    const { paused } = head;
    const turn = paused ? "resume" : "pause";
    const turning = set(
      pause,
      "pause",
      running && (can("pause") || can("resume")),
      can(turn),
      paused ? "let the probes see again" : "let the probes see nothing for now; they stay attached",
    );
    pause.show(turn, turning ? (paused ? "Resuming…" : "Pausing…") : paused ? "Resume" : "Pause");
    pause.node.setAttribute("aria-pressed", Boolean(paused));
    if (paused) pause.node.setAttribute("aria-label", "paused, resume");
    else pause.node.removeAttribute("aria-label");
    const clearing = set(reset, "reset", can("reset"), true, "set every count to zero and go on");
    reset.show("reset", clearing ? "Resetting…" : "Reset");
    const keeping = set(snapshot, "snapshot", can("snapshot"), true, "keep what is shown in a new cell below");
    snapshot.show("snapshot", keeping ? "Keeping…" : "Snapshot");
    const writing = set(save, "export", can("export"), true, "write everything to files");
    save.show("export", writing ? "Writing…" : "Export");
    if (!can("export")) drawers.closeIf(exporting);
    set(probes, "probes", head.probes > 0, true, "how often each probe was hit, and what it costs");
    probes.show("probes", head.off ? `Probes ${head.probes - head.off}/${head.probes}` : `Probes ${head.probes}`);
    const stopping = set(stop, "stop", running, head.stoppable, "end the trace");
    stop.show("stop", stopping ? "Stopping…" : "Stop");
    row.setAttribute("aria-label", `controls of ${head.name}`);
    const any = [...row.children].some((child) => child.localName === "button" && !child.hidden);
    row.hidden = !any;
  }

  return {
    ask,
    can,
    close: pending.clear,
    isPending: pending.has,
    probes: probes.node,
    settle: () => pending.settle(head),
    show,
  };
}
