// Commands: one list for keys, buttons and the help panel.

const commands = [];
const command = (id, keys, words, run, pressed) => commands.push({id, keys, words, run, pressed});

function stepSlice(by) {
  const {view} = rows[state.row];
  const voxel = [...view.at];
  voxel[PLANES[state.plane].normal] += by;
  moveTo(view, voxel);
}

// Towards the left and the top of the picture the axes rise.
function nudge(across, down) {
  const {view} = rows[state.row];
  const voxel = [...view.at];
  voxel[PLANES[state.plane].across] -= across;
  voxel[PLANES[state.plane].down] -= down;
  moveTo(view, voxel);
}

function pan(across, down) {
  const {view} = rows[state.row];
  view.centre[PLANES[state.plane].across] -= across / view.spacing[PLANES[state.plane].across];
  view.centre[PLANES[state.plane].down] -= down / view.spacing[PLANES[state.plane].down];
  redraw();
}

function changeWindow(width, level) {
  const one = state.windows[state.series];
  const wide = Math.max((one.high - one.low) * width, (page.series[state.series].high - page.series[state.series].low) / 100);
  const middle = (one.high + one.low) / 2 + level * (page.series[state.series].high - page.series[state.series].low);
  state.windows[state.series] = {low: middle - wide / 2, high: middle + wide / 2};
  redraw();
}

function focusPane() {
  panes.find(pane => pane.row === state.row && pane.plane === state.plane).canvas.focus({preventScroll: true});
}

function turnPlane(by) {
  const at = page.planes.indexOf(state.plane);
  state.plane = page.planes[(at + by + page.planes.length) % page.planes.length];
  arrange();
  redraw();
}

function arrange() {
  const stage = document.getElementById("stage");
  stage.classList.toggle("one", state.one);
  for (const pane of panes) pane.canvas.parentElement.hidden = state.one && pane.plane !== state.plane;
  for (const visit of stage.querySelectorAll(".visit")) visit.hidden = Number(visit.dataset.row) >= rows.length;
}

let blinking = null;
function flicker() {
  if (blinking || !page.linked) { clearInterval(blinking); blinking = null; state.swapped = false; }
  else blinking = setInterval(() => { state.swapped = !state.swapped; redraw(); }, 600);
  redraw();
}

command("next-slice", ["ArrowUp"], "One slice up (mouse wheel)", () => stepSlice(1));
command("last-slice", ["ArrowDown"], "One slice down", () => stepSlice(-1));
command("slices-up", ["PageUp"], "Ten slices up", () => stepSlice(10));
command("slices-down", ["PageDown"], "Ten slices down", () => stepSlice(-10));
command("plane-before", ["ArrowLeft"], "Plane to the left", () => turnPlane(-1));
command("plane-after", ["ArrowRight"], "Plane to the right", () => turnPlane(1));
command("cross-up", ["Shift+ArrowUp"], "Crosshair up (drag with the left button)", () => nudge(0, -1));
command("cross-down", ["Shift+ArrowDown"], "Crosshair down", () => nudge(0, 1));
command("cross-left", ["Shift+ArrowLeft"], "Crosshair to the left", () => nudge(-1, 0));
command("cross-right", ["Shift+ArrowRight"], "Crosshair to the right", () => nudge(1, 0));
if (whole.parts.some(part => part.rows.length > 1)) {
  command("visit", ["v"], "Other visit is the active one", () => { state.row = Math.min(1 - state.row, rows.length - 1); redraw(); });
  if (whole.parts.some(part => part.linked)) {
    command("swap", ["b"], "Swap: show the reference in the place of the current visit, and back",
      () => { state.swapped = page.linked && !state.swapped; redraw(); }, () => state.swapped && !blinking);
    command("flicker", ["f"], "Flicker between the two visits, and stop", flicker, () => blinking !== null);
  }
}
if (whole.parts.length > 1) {
  const show = async part => {
    open(part);
    arrange();
    await Promise.all(part.first.map(load));
    await showSeries(Math.min(state.series, part.series.length - 1));
    buttons();
  };
  whole.parts.forEach((part, index) => command(`part-${index}`, [], part.title, () => show(part), () => page === part));
  command("next-part", ["g"], "Next region", () => show(whole.parts[(whole.parts.indexOf(page) + 1) % whole.parts.length]));
}
page.series.forEach((one, index) => command(`series-${one.key}`, [one.key], `Show ${one.title}`,
  () => showSeries(index), () => state.series === index));
command("narrower", ["u"], "Narrower window: more contrast (drag with the right button)", () => changeWindow(0.9, 0));
command("wider", ["i"], "Wider window: less contrast", () => changeWindow(1 / 0.9, 0));
command("darker", ["j"], "Level up: darker", () => changeWindow(1, 0.03));
command("brighter", ["k"], "Level down: brighter", () => changeWindow(1, -0.03));
command("zoom-in", ["+", "="], "Zoom in (Ctrl and wheel)", () => zoomTo(1.25));
command("zoom-out", ["-"], "Zoom out", () => zoomTo(1 / 1.25));
command("pan-left", ["Ctrl+ArrowLeft"], "Move the picture to the left (drag with Shift or the middle button)", () => pan(10, 0));
command("pan-right", ["Ctrl+ArrowRight"], "Move the picture to the right", () => pan(-10, 0));
command("pan-up", ["Ctrl+ArrowUp"], "Move the picture up", () => pan(0, 10));
command("pan-down", ["Ctrl+ArrowDown"], "Move the picture down", () => pan(0, -10));
command("enlarge", ["e"], "One plane large, and back (double click)",
  () => { state.one = !state.one; arrange(); redraw(); }, () => state.one);
command("crosshair", ["h"], "Crosshair on or off", () => { state.crosshair = !state.crosshair; redraw(); }, () => state.crosshair);
command("reset", ["0"], "Window, zoom and place as at the beginning", () => {
  state.windows = page.series.map(one => ({low: one.low, high: one.high}));
  state.swapped = false;
  for (const view of page.views) view.at = [...view.start];
  zoomTo(1e-9);
});
let keysOn = true;
command("keys", [], "Letters and digits act as shortcuts", () => { keysOn = !keysOn; }, () => keysOn);
command("help", ["?"], "This list", () => {
  const help = document.getElementById("help");
  if (help.open) help.close(); else help.showModal();
});

function buttons() {
  for (const button of document.querySelectorAll("button[data-command]")) {
    const one = commands.find(each => each.id === button.dataset.command);
    if (one?.pressed) button.setAttribute("aria-pressed", String(one.pressed()));
  }
}

function run(one) {
  one.run();
  buttons();
}

const NAMES = {ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", PageUp: "Page up", PageDown: "Page down"};
const keyName = key => key.split("+").map(part => NAMES[part] || (part.length === 1 ? part.toUpperCase() : part)).join(" ") || "+";

function listen() {
  for (const button of document.querySelectorAll("button[data-command]")) {
    const one = commands.find(each => each.id === button.dataset.command);
    button.addEventListener("click", () => run(one));
  }
  const list = document.getElementById("help-keys");
  for (const one of commands.filter(each => each.keys.length)) {
    const line = list.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = one.keys[0] === "+" ? "+" : keyName(one.keys[0]);
    line.append(head);
    line.insertCell().textContent = one.words;
  }
  document.addEventListener("keydown", pressKey);
  for (const [id, part] of [["window-width", "width"], ["window-level", "level"]]) {
    document.getElementById(id).addEventListener("input", event => setWindow(part, Number(event.target.value)));
  }
  panes.forEach(mouse);
  new ResizeObserver(redraw).observe(document.getElementById("stage"));
}

function setWindow(part, value) {
  if (!Number.isFinite(value)) return;
  const {low, high} = state.windows[state.series];
  const width = part === "width" ? Math.max(value, 1e-6) : high - low, level = part === "level" ? value : (high + low) / 2;
  state.windows[state.series] = {low: level - width / 2, high: level + width / 2};
  redraw();
}

function pressKey(event) {
  const target = event.target;
  const long = event.key.length > 1;
  if (event.altKey || event.metaKey || document.getElementById("help").open) return;
  if (target.matches("input, select, textarea") || (long && target.matches("summary, a"))) return;
  if (["Enter", " "].includes(event.key) && target.matches("button")) return;
  if (!long && (!keysOn || event.ctrlKey)) return;
  // Arrows and page keys scroll the tables below, unless the viewer has the focus or is what is seen.
  const viewer = document.getElementById("viewer");
  if (long && !viewer.contains(target) && (target !== document.body || viewer.getBoundingClientRect().bottom < 80)) return;
  const name = long ? `${event.ctrlKey ? "Ctrl+" : ""}${event.shiftKey ? "Shift+" : ""}${event.key}` : event.key.toLowerCase();
  const one = commands.find(each => each.keys.includes(name));
  if (!one) return;
  event.preventDefault();
  run(one);
}

function mouse(pane) {
  const {canvas} = pane;
  const activate = () => { state.row = pane.row; state.plane = pane.plane; redraw(); };
  canvas.addEventListener("focus", activate);
  canvas.addEventListener("contextmenu", event => event.preventDefault());
  canvas.addEventListener("dblclick", () => run(commands.find(each => each.id === "enlarge")));
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    activate();
    if (event.ctrlKey) zoomTo(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    else stepSlice(event.deltaY < 0 ? 1 : -1);
  }, {passive: false});
  let drag = null;
  canvas.addEventListener("pointerdown", event => {
    activate();
    canvas.setPointerCapture(event.pointerId);
    drag = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : "cross";
    if (drag === "cross" && overlays.some(overlay => overlay.click?.(pane, fromCanvas(pane, event)))) drag = "none";
    if (drag === "cross") moveTo(rows[pane.row].view, fromCanvas(pane, event));
    if (event.button === 1) event.preventDefault();
  });
  canvas.addEventListener("pointermove", event => {
    for (const overlay of overlays) overlay.hover?.(pane, fromCanvas(pane, event));
    const scale = layout(pane);
    if (drag === "cross") moveTo(rows[pane.row].view, fromCanvas(pane, event));
    else if (drag === "window") changeWindow(Math.exp(event.movementX / 200), event.movementY / 300);
    else if (drag === "pan") {
      const mm = scale.view.spacing[scale.across] / scale.sx * scale.ratio;
      pan(-event.movementX * mm, -event.movementY * mm);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drag = null; });
}
