// What the head of a panel says of a trace: its counts, what it costs, what was lost,
// and what came of the last click.

const RATE_S = 2;
const EFFECTS = { low: "low", noticeable: "noticeable", high: "high: it disturbs what it measures" };

// A share of a CPU on a scale by powers of ten, from a ten-thousandth to all of it.
function meterWidth(share) {
  return Math.min(1, Math.max(0.04, (Math.log10(Math.max(share, 1e-9)) + 4) / 4));
}

function makeFacts(parent) {
  const line = part(parent, "div", "facts");
  const hits = part(line, "span", "hits");
  const speed = part(line, "span", "speed");
  const cost = part(line, "span", "cost");
  const scale = part(cost, "span", "scale");
  const filled = part(scale, "span", "filled");
  const share = part(cost, "span", "share");
  const perHit = part(cost, "span", "per-hit");
  scale.setAttribute("role", "meter");
  scale.setAttribute("aria-valuemin", "0");
  scale.setAttribute("aria-valuemax", "100");
  const rate = makeRate(RATE_S);

  function showCost({ cpu_share, effect, per_hit, share: text }) {
    const known = cpu_share !== null && cpu_share !== undefined;
    cost.hidden = !known && !per_hit;
    scale.hidden = share.hidden = !known;
    say(perHit, per_hit ?? "");
    if (!known) return;
    say(share, `${text} of a CPU, ${effect}`);
    if (filled.dataset.share === text) return;
    filled.dataset.share = text;
    filled.style.width = `${100 * meterWidth(cpu_share)}%`;
    scale.dataset.effect = effect;
    const said = `tracing costs the traced machine ${text} of one CPU, which is ${EFFECTS[effect]}`;
    const whole = `${said}; measured by the kernel's own run statistics. Below 1 % is low, above 5 % high.`;
    cost.title = whole;
    scale.setAttribute("aria-label", "probe effect");
    scale.setAttribute("aria-valuenow", (100 * cpu_share).toPrecision(3));
    scale.setAttribute("aria-valuetext", `${whole}${per_hit ? ` ${per_hit}.` : ""}`);
  }

  return {
    show(head) {
      const running = head.state === "running" && !head.paused;
      if (head.hits !== null) rate.add(head.elapsed_s, head.hits);
      const now = rate.get();
      say(hits, head.hits_text ? `${head.hits_text} hits` : "");
      say(speed, running && head.hits_text && now !== null ? `${rateText(now)} hits/s` : "");
      showCost(head);
      line.hidden = !head.hits_text && cost.hidden;
    },
  };
}

const MOST_REASONS = 2;

// The badge; a click opens the list of everything that did not arrive.
function makeLosses(badge, parent, drawers) {
  const body = part(parent, "div", "drawer ktrace-losses");
  const drawer = drawers.add(badge, body);
  const said = part(body, "div", "said");
  const table = part(body, "table", "losses-table");
  table.setAttribute("aria-label", "losses");
  const head = table.createTHead().insertRow();
  for (const word of ["lost", "why"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = word;
    head.append(cell);
  }
  const rows = table.createTBody();
  return {
    show({ losses, loss }) {
      const any = losses.length > 0;
      const rest = losses.length - MOST_REASONS;
      const first = losses.slice(0, MOST_REASONS).map(([count, reason]) => `${count} lost: ${reason}`);
      say(badge, any ? `⚠ ${first.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}` : "✓ complete");
      badge.classList.toggle("ktrace-lost", any);
      badge.title = any ? "what is shown is not all that happened" : "nothing was lost";
      say(said, any ? "What is shown is not all that happened." : "Everything that the probes submitted has arrived.");
      table.hidden = !any;
      if (table.dataset.loss === loss) return;
      table.dataset.loss = loss;
      rows.replaceChildren();
      for (const texts of losses) {
        const row = rows.insertRow();
        for (const text of texts) row.insertCell().textContent = text;
      }
    },
    close: () => drawers.closeIf(drawer),
  };
}

// What came of the last click, until it is closed.
function makeNotice(parent, back) {
  const line = part(parent, "div", "notice");
  const text = part(line, "span", "notice-text");
  text.setAttribute("role", "status");
  text.setAttribute("aria-live", "polite");
  const close = makeButton(line, "close", "");
  close.node.setAttribute("aria-label", "dismiss the notice");
  close.node.title = "dismiss";
  let latest = "";
  line.hidden = true;
  close.node.onclick = () => {
    line.hidden = true;
    back().focus();
  };
  function tell(news) {
    say(text, news);
    line.hidden = !news;
  }
  return {
    tell,
    show({ notice }) {
      if (notice === latest) return;
      latest = notice;
      tell(notice);
    },
  };
}
