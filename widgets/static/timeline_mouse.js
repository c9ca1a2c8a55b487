// What the mouse, a finger or a pen does on the timeline.

const DRAG_PX = 4;

// `at` has what it is about: the canvas, its frame, the camera and the pointer; and what to do:
// `point(spell, x)`, `choose(spell, add)`, `draw(window)` while a window of time is being drawn,
// `setWindow(window)`, and `later()`.
function listenToMouse({ canvas, frame, camera, pointer, ...at }) {
  let drag = null;
  function placeOf(event) {
    const bounds = canvas.getBoundingClientRect();
    const scale = bounds.width / Math.max(canvas.clientWidth, 1); // a CSS zoom
    const [x, y] = [(event.clientX - bounds.left) / scale, (event.clientY - bounds.top) / scale];
    return { x: x - GUTTER_PX, y, onRuler: y < RULER_PX, below: y - RULER_PX + frame.scrollTop };
  }
  // What has been drawn on the ruler, in nanoseconds.
  function drawn(to) {
    const inside = (x) => Math.min(Math.max(camera.timeAt(x), camera.from), camera.to);
    return [inside(drag.x), inside(to.x)].sort((a, b) => a - b);
  }

  // JupyterLab would take Shift and a click for a selection of cells.
  canvas.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.focus({ preventScroll: true });
    const place = placeOf(event);
    drag = { ...place, last: place, scroll: frame.scrollTop, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    const spell = drag || place.onRuler ? null : pointer.spellAt(place.x, place.below);
    at.point(spell, place.x >= 0 ? place.x : null);
    if (drag) {
      drag.moved ||= Math.hypot(place.x - drag.x, place.y - drag.y) >= DRAG_PX;
      if (drag.moved && drag.onRuler) at.draw(drawn(place));
      else if (drag.moved) {
        camera.pan(drag.last.x - place.x);
        frame.scrollTop = drag.scroll + drag.y - place.y;
      }
      drag.last = place;
    }
    canvas.dataset.place = place.onRuler || drag?.onRuler ? "ruler" : drag?.moved ? "drag" : spell?.rows.length ? "bar" : "";
    at.later();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const place = placeOf(event);
    if (drag.moved && drag.onRuler) {
      const window = drawn(place);
      if (window[1] > window[0]) at.setWindow(window);
    } else if (!drag.moved && !drag.onRuler) at.choose(pointer.spellAt(place.x, place.below), event.shiftKey || event.ctrlKey || event.metaKey);
    drag = null;
    at.draw(null);
    at.later();
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
    at.draw(null);
  });
  canvas.addEventListener("pointerleave", () => {
    at.point(null, null);
    at.later();
  });
  canvas.addEventListener("dblclick", (event) => {
    if (placeOf(event).onRuler) at.setWindow(null);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      const pinched = event.ctrlKey || event.metaKey;
      const across = event.shiftKey ? event.deltaX + event.deltaY : event.deltaX;
      // The wheel alone scrolls the page, until the view has been clicked.
      const upright = Math.abs(event.deltaY) > Math.abs(event.deltaX) && !event.shiftKey;
      if (pinched || (document.activeElement === canvas && upright)) {
        camera.zoom(Math.exp(event.deltaY * (pinched ? 0.008 : 0.0022)), Math.max(0, placeOf(event).x));
      } else if (across) camera.pan(across);
      else return;
      event.preventDefault();
      at.later();
    },
    { passive: false },
  );
}
