// The drawing pad: a grid of pixels, drawn on by mouse, finger or keyboard. No network, no library.
//
// Traits: `value` (size × size bytes, 0 = paper, 255 = ink), `size`, `description`.
// Keys on the canvas: arrows move the cursor, space puts the pen down or lifts it, Delete clears.

const SCALE = 10; // screen pixels for one pixel of the image
const EVERY_MS = 70; // between two messages while the pen moves
const BRUSH = 1.25; // radius of the pen, in pixels of the image

function bytesOf(view) {
  return new Uint8ClampedArray(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function render({ model, el }) {
  const size = model.get("size");
  let ink = bytesOf(model.get("value"));
  let cursor = { x: size >> 1, y: size >> 1 };
  let penDown = false;
  let pointer = null; // last place of the mouse or finger while it is pressed
  let focused = false;
  let sending = 0; // timer of the next message

  const root = document.createElement("div");
  root.className = "datahall-pad";
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size * SCALE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `${model.get("description")}: ${size} by ${size} pixels. Arrow keys move the cursor, space puts the pen down or lifts it, Delete clears.`);
  Object.assign(canvas.style, { width: "min(100%, 252px)", border: "1px solid #5b6770", touchAction: "none", cursor: "crosshair", display: "block", background: "white" });

  const says = document.createElement("div");
  says.setAttribute("role", "status");
  says.setAttribute("aria-live", "polite");
  says.className = "datahall-pad-status";
  says.style.cssText = "font-size:12px;min-height:2.6em;max-width:252px";

  const clear = button("Clear", "Clear the drawing", () => wipe());
  const load = button("Load a test digit", "Show the next digit of the test set", () => model.send({ action: "load" }));
  const row = document.createElement("div");
  row.style.cssText = "display:flex;gap:6px;margin:6px 0";
  row.append(clear, load);
  root.append(canvas, row, says);
  el.append(root);

  function button(text, hint, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.title = hint;
    made.className = "jupyter-button";
    made.addEventListener("click", act);
    return made;
  }

  function paint() {
    const context = canvas.getContext("2d");
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const grey = 255 - ink[y * size + x];
        context.fillStyle = `rgb(${grey},${grey},${grey})`;
        context.fillRect(x * SCALE, y * SCALE, SCALE, SCALE);
      }
    }
    if (focused && !pointer) {
      context.lineWidth = 3;
      context.strokeStyle = "#ffffff"; // a white line around the coloured one: seen on ink and paper
      context.strokeRect(cursor.x * SCALE - 2, cursor.y * SCALE - 2, SCALE + 4, SCALE + 4);
      context.strokeStyle = penDown ? "#D55E00" : "#0072B2";
      context.strokeRect(cursor.x * SCALE, cursor.y * SCALE, SCALE, SCALE);
    }
  }

  function dot(x, y) {
    for (let row = Math.max(0, Math.floor(y - 2)); row <= Math.min(size - 1, Math.ceil(y + 2)); row++) {
      for (let column = Math.max(0, Math.floor(x - 2)); column <= Math.min(size - 1, Math.ceil(x + 2)); column++) {
        const far = Math.hypot(column - x, row - y) - BRUSH;
        const dark = 255 * Math.min(1, Math.max(0, 0.5 - far));
        ink[row * size + column] = Math.max(ink[row * size + column], dark);
      }
    }
  }

  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)));
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      dot(from.x + share * (to.x - from.x), from.y + share * (to.y - from.y));
    }
  }

  function send() {
    clearTimeout(sending);
    sending = 0;
    model.set("value", new DataView(ink.slice().buffer));
    model.save_changes();
  }

  function changed(now) {
    paint();
    if (now) send();
    else if (!sending) sending = setTimeout(send, EVERY_MS);
  }

  function wipe() {
    ink.fill(0);
    penDown = false;
    say("Cleared.");
    changed(true);
  }

  function say(text) {
    says.textContent = text;
  }

  function inside(place) {
    return Math.min(size - 1, Math.max(0, Math.round(place)));
  }

  function where(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * size - 0.5, y: ((event.clientY - box.top) / box.height) * size - 0.5 };
  }

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    say("");
    pointer = where(event);
    stroke(pointer, pointer);
    changed(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pointer) return;
    const next = where(event);
    stroke(pointer, next);
    pointer = next;
    changed(false);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (!pointer) return;
      cursor = { x: inside(pointer.x), y: inside(pointer.y) }; // the keyboard goes on from here
      pointer = null;
      changed(true);
    });
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move && event.key !== " " && event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    event.stopPropagation(); // else the notebook would take the key for a command
    if (move) {
      const before = { ...cursor };
      cursor = { x: inside(cursor.x + move[0]), y: inside(cursor.y + move[1]) };
      if (penDown) stroke(before, cursor);
      say(`Column ${cursor.x + 1}, row ${cursor.y + 1}, pen ${penDown ? "down" : "up"}.`);
      if (penDown) changed(false);
      else paint();
    } else if (event.key === " ") {
      penDown = !penDown;
      if (penDown) stroke(cursor, cursor);
      say(penDown ? "Pen down: arrow keys draw." : "Pen up: arrow keys move.");
      changed(false);
    } else {
      wipe();
    }
  });
  canvas.addEventListener("focus", () => {
    focused = true;
    canvas.style.outline = "3px solid #0072B2";
    paint();
  });
  canvas.addEventListener("blur", () => {
    focused = false;
    canvas.style.outline = "none";
    paint();
  });

  function replaced() {
    if (pointer || sending) return; // our own drawing is newer than what comes back
    ink = bytesOf(model.get("value"));
    paint();
  }
  model.on("change:value", replaced);
  say("Draw with the mouse, or click and use arrow keys and space.");
  paint();
  return () => {
    clearTimeout(sending);
    model.off("change:value", replaced);
  };
}

export default { render };
