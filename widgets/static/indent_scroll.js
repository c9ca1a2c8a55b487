// Scrolling through more lines than a browser can make an element high.

const MOST_SCROLL_PX = 8_000_000; // browsers cap an element's height at 2^24 pixels and more
const LATCH_MS = 300;

class Scroller {
  // `count` says how many lines there are; `moved` is called when the reader scrolls.
  constructor(grid, bar, inner, count, draw, moved) {
    Object.assign(this, { grid, bar, inner, count, draw, moved });
    this.top = 0; // number of the first line that is shown
    this.placed = 0; // where the scrollbar was put
    this.rest = 0; // of a line, that the wheel has turned
    this.elsewhere = 0; // when the wheel was last turned for the page
    bar.addEventListener("scroll", () => this.dragged());
    grid.addEventListener("wheel", (event) => this.turned(event), { passive: false });
    this.watch = (event) => {
      if (!grid.contains(event.target)) this.elsewhere = performance.now();
    };
    document.addEventListener("wheel", this.watch, { passive: true });
  }

  close() {
    document.removeEventListener("wheel", this.watch);
  }

  // Lines that fit in whole, at least one.
  get fitting() {
    return Math.max(1, Math.floor(this.grid.clientHeight / ROW_PX));
  }

  // The last place for the first line.
  get lowest() {
    return Math.max(0, this.count() - this.fitting);
  }

  get atEnd() {
    return this.top >= this.lowest;
  }

  shows(line) {
    return line >= this.top && line < this.top + this.fitting;
  }

  to(line) {
    this.top = Math.max(0, Math.min(this.lowest, Math.round(line)));
    this.place();
    this.draw();
  }

  // The scrollbar stands for all lines, however many.
  place() {
    const { bar, inner, lowest } = this;
    inner.style.height = `${Math.min(this.count() * ROW_PX, MOST_SCROLL_PX)}px`;
    bar.scrollTop = lowest ? Math.round((this.top / lowest) * (bar.scrollHeight - bar.clientHeight)) : 0;
    this.placed = bar.scrollTop;
  }

  dragged() {
    const { bar } = this;
    if (Math.abs(bar.scrollTop - this.placed) < 1) return;
    this.placed = bar.scrollTop;
    this.top = Math.round((bar.scrollTop / Math.max(1, bar.scrollHeight - bar.clientHeight)) * this.lowest);
    this.draw();
    this.moved();
  }

  turned(event) {
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    // Who scrolls the page past this view goes on scrolling the page, as with any inner scrollbar.
    if (performance.now() - this.elsewhere < LATCH_MS) {
      this.elsewhere = performance.now();
      return;
    }
    if (event.deltaY > 0 ? this.atEnd : this.top <= 0) return;
    event.preventDefault();
    this.rest += (event.deltaY * [1, ROW_PX, this.grid.clientHeight][event.deltaMode]) / ROW_PX;
    const lines = Math.trunc(this.rest);
    this.rest -= lines;
    if (!lines) return;
    this.to(this.top + lines);
    this.moved();
  }
}
