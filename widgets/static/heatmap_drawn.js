// What is drawn over and around the cells of a heat map: axes, window, what is picked, the cursor.

const [LEFT, RIGHT, TOP, BOTTOM] = [78, 16, 24, 44];
const FONT_PX = 13;

class Drawn {
  constructor(canvas, el) {
    Object.assign(this, { canvas, el });
    this.context = canvas.getContext("2d");
  }

  // Where things are: all in CSS pixels of the canvas.
  place(cells, end, width, plotHeight) {
    Object.assign(this, { cells, end, width, plotHeight });
    this.plotWidth = width - LEFT - RIGHT;
  }

  x(seconds) {
    const share = (seconds - this.cells.from) / (this.end - this.cells.from);
    return LEFT + Math.max(0, Math.min(1, share)) * this.plotWidth;
  }
  y(row) {
    return TOP + this.plotHeight * (1 - row / this.cells.rows);
  }
  seconds(x) {
    return this.cells.from + ((x - LEFT) / this.plotWidth) * (this.end - this.cells.from);
  }

  // The cell under a place, or the nearest.
  cellAt(x, y) {
    const row = Math.floor((1 - (y - TOP) / this.plotHeight) * this.cells.rows);
    return { column: this.cells.columnAt(this.seconds(x)), row: Math.max(0, Math.min(this.cells.rows - 1, row)) };
  }

  isOver(x, y) {
    return x >= LEFT && x <= LEFT + this.plotWidth && y >= TOP && y <= TOP + this.plotHeight && this.seconds(x) <= this.cells.to;
  }
  isAxis(x, y) {
    return y > TOP + this.plotHeight && x >= LEFT - 8 && x <= LEFT + this.plotWidth + 8;
  }

  draw(ratio, { window, marks, framed, pointed }) {
    const { context, cells, width } = this;
    const style = getComputedStyle(this.el);
    const look = (name) => style.getPropertyValue(`--kh-${name}`).trim();
    const [ink, faint, line, paper, mark] = ["ink", "faint", "line", "paper", "mark"].map(look);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, TOP + this.plotHeight + BOTTOM);
    context.font = `${FONT_PX}px ${style.fontFamily}`;
    if (!cells.columns || !cells.rows) return;
    this.axes({ ink, faint, line });
    if (window) this.window(window, { ink, paper });
    if (marks.size) this.outline(marks, mark, paper);
    if (framed) this.box(framed, ink, paper, 2);
    if (pointed) this.box(pointed, ink, paper, 1.5);
  }

  axes({ ink, faint, line }) {
    const { context, cells, plotWidth, plotHeight } = this;
    const bottom = TOP + plotHeight;
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.strokeRect(LEFT - 0.5, TOP - 0.5, plotWidth + 1, plotHeight + 1);
    context.beginPath();
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.fillStyle = ink;
    let above = Infinity;
    for (const [at, label] of cells.axis.ticks) {
      const y = this.y(at);
      if (y < TOP - 1 || y > bottom + 1 || above - y < FONT_PX + 3) continue;
      above = y;
      context.moveTo(LEFT - 6, y);
      context.lineTo(LEFT - 1, y);
      context.fillText(label, LEFT - 10, y);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const [at, label] of timeTicks(cells.from, this.end, plotWidth / 90)) {
      const x = this.x(at);
      context.moveTo(x, bottom + 1);
      context.lineTo(x, bottom + 6);
      context.fillText(label, Math.min(x, this.width - context.measureText(label).width / 2 - 1), bottom + 9);
    }
    context.strokeStyle = faint;
    context.stroke();
    context.fillStyle = faint;
    context.fillText("time since the start", LEFT + plotWidth / 2, bottom + 27);
    context.textAlign = "left";
    context.fillText(cells.axis.label, 2, 3);
  }

  // What is outside the window steps back.
  window([from, to], { ink, paper }) {
    const { context, plotWidth, plotHeight } = this;
    const [start, end] = [this.x(from), this.x(to)];
    context.globalAlpha = 0.72;
    context.fillStyle = paper;
    context.fillRect(LEFT, TOP, start - LEFT, plotHeight);
    context.fillRect(end, TOP, LEFT + plotWidth - end, plotHeight);
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillRect(start - 1, TOP - 4, 2, plotHeight + 8);
    context.fillRect(end - 1, TOP - 4, 2, plotHeight + 8);
    context.fillRect(start, TOP + plotHeight + 1, end - start, 3);
  }

  // Around marked cells, not between them.
  outline(marks, mark, paper) {
    const { context, cells } = this;
    const { rows } = cells;
    context.beginPath();
    for (const cell of marks) {
      const [column, row] = [Math.floor(cell / rows), cell % rows];
      if (column >= cells.columns) continue;
      const [left, right] = [this.x(cells.edges[column]), this.x(cells.edges[column + 1])];
      const [top, bottom] = [this.y(row + 1), this.y(row)];
      const side = (there, x0, y0, x1, y1) => {
        if (there) return;
        context.moveTo(x0, y0);
        context.lineTo(x1, y1);
      };
      side(marks.has(cell - rows), left, top, left, bottom);
      side(marks.has(cell + rows), right, top, right, bottom);
      side(row > 0 && marks.has(cell - 1), left, bottom, right, bottom);
      side(row < rows - 1 && marks.has(cell + 1), left, top, right, top);
    }
    this.stroke(mark, paper, 2.5);
  }

  // Around the cells, so that a small one is still seen inside.
  box({ first, last, low, high }, colour, paper, thick) {
    const { context, cells } = this;
    const [left, right] = [this.x(cells.edges[first]), this.x(cells.edges[last + 1])];
    context.beginPath();
    const [top, bottom] = [this.y(high + 1), this.y(low)];
    context.rect(left - 1.5, top - 1.5, right - left + 3, bottom - top + 3);
    this.stroke(colour, paper, thick);
  }

  // A line that is seen on light and on dark cells.
  stroke(colour, paper, thick) {
    const { context } = this;
    context.lineCap = "square";
    context.strokeStyle = paper;
    context.lineWidth = thick + 2;
    context.stroke();
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.stroke();
  }
}
