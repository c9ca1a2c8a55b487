// Arguments and results of calls, which the page asks for when one is pointed at.

const TELL_AFTER_MS = 100;
const MOST_TOLD = 2000;

class Told {
  // `ask` is called with the entry to be told of; `where` shows what is known.
  constructor(steps, where, ask) {
    Object.assign(this, { steps, where, ask });
    this.known = new Map();
    this.timer = 0;
    this.call = -1;
  }

  close() {
    clearTimeout(this.timer);
  }

  forget() {
    clearTimeout(this.timer);
    this.known.clear();
    this.call = -1;
  }

  // Tell of the call a step belongs to; -1 for none.
  point(row) {
    const call = row < 0 ? -1 : this.steps.entryOf(row);
    // Of a call that had not returned there is more to tell when it has.
    const wanted = call >= 0 && this.known.get(call)?.ending !== this.steps.ending(call);
    if (call !== this.call || !wanted) clearTimeout(this.timer);
    if (wanted) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(call), TELL_AFTER_MS);
    }
    this.call = call;
    this.show();
  }

  learn(call, text) {
    if (this.known.size >= MOST_TOLD) this.known.clear();
    this.known.set(call, { text, ending: this.steps.ending(call) });
    this.show();
  }

  show() {
    const { call, steps, where } = this;
    const name = steps.names[steps.functions?.[call]] ?? "";
    const text = call < 0 ? KEYS : (this.known.get(call)?.text ?? `${name}(…)`);
    write(where, text);
    where.classList.toggle("ktrace-keys", call < 0);
    if (where.title !== text) where.title = text;
  }
}
