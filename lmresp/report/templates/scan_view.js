// What is shown: one row of panes for each visit. Linked rows share one view (lattice, place, centre).

const state = {
  series: 0, windows: [], row: 0, plane: page.planes[0], zoom: 1, crosshair: true, swapped: false, one: false,
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

for (const part of whole.parts) {
  const start = part.draft?.targets.find(target => target.id === part.draft.start);
  part.views.forEach((view, number) => {
    const columns = [0, 1, 2].map(axis => [0, 4, 8].map(r => view.affine[r + axis]));
    view.id = `${whole.parts.indexOf(part)}.${number}`;
    view.spacing = columns.map(column => Math.hypot(...column));
    view.inverse = inverse(view.affine);
    view.centre = view.shape.map(n => (n - 1) / 2);
    // Where nothing may be shown, or in a visit that is not linked, the first view is the middle.
    view.start = (start && number === 0 ? apply(view.inverse, start.mm) : view.centre)
      .map((v, n) => clamp(Math.round(v), 0, view.shape[n] - 1));
    view.at = [...view.start];
  });
  for (const row of part.rows) row.view = part.views[row.view];
}
let rows = page.rows;

// Show a part of the page; each keeps its place.
function open(part) {
  page = part;
  rows = part.rows;
  Object.assign(state, {row: Math.min(state.row, rows.length - 1), zoom: 1, swapped: false});
  state.windows = part.series.map(one => ({low: one.low, high: one.high}));
  for (const view of part.views) view.centre = view.shape.map(n => (n - 1) / 2);
  slices.clear();
}
open(page);

const panes = [...document.querySelectorAll("canvas[data-plane]")].map(canvas => ({
  canvas, row: Number(canvas.dataset.row), plane: canvas.dataset.plane, paper: document.createElement("canvas"),
}));
const overlays = [];  // what other parts draw: {tint(pixels, pane...), lines(context, ...)}

const place = (mm, ends) => `${ends[mm >= 0 ? 0 : 1]} ${Math.abs(mm).toFixed(0)}`;
const say = words => { document.getElementById("said").textContent = words; };

// The visit whose images a row shows: the other one while swapped.
const shown = row => (state.swapped && rows.length > 1 && row === 0 ? 1 : row);

function windowOf(row) {
  const {low, high} = state.windows[state.series];
  const factor = page.series[state.series].factor[row];
  return {low: low * factor, high: high * factor};
}

// Geometry of a pane: where voxel (0, 0) of the picture begins and how large a voxel is, in pixels of the canvas.
function layout(pane) {
  const {view} = rows[pane.row];
  const ratio = window.devicePixelRatio || 1;
  const box = pane.canvas.getBoundingClientRect();
  const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
  const {across, down} = PLANES[pane.plane];
  const margin = 22 * ratio;
  const fit = axis => view.shape[axis] * view.spacing[axis];
  const planes = state.one || page.apart ? [PLANES[pane.plane]] : page.planes.map(name => PLANES[name]);
  const scale = state.zoom * Math.min(...planes.map(p =>
    Math.min((width - margin) / fit(p.across), (height - margin) / fit(p.down))));
  const sx = scale * view.spacing[across], sy = scale * view.spacing[down];
  const left = width / 2 - (view.shape[across] - 0.5 - view.centre[across]) * sx;
  const top = height / 2 - (view.shape[down] - 0.5 - view.centre[down]) * sy;
  return {view, width, height, ratio, sx, sy, left, top, ...PLANES[pane.plane]};
}

// Middle of a voxel (may be broken) on the canvas, and back.
function onCanvas(l, voxel) {
  return [l.left + (l.view.shape[l.across] - 0.5 - voxel[l.across]) * l.sx,
    l.top + (l.view.shape[l.down] - 0.5 - voxel[l.down]) * l.sy];
}

function fromCanvas(pane, event) {
  const l = layout(pane);
  const box = pane.canvas.getBoundingClientRect();
  const voxel = [...l.view.at];
  voxel[l.across] = l.view.shape[l.across] - 0.5 - ((event.clientX - box.left) * l.ratio - l.left) / l.sx;
  voxel[l.down] = l.view.shape[l.down] - 0.5 - ((event.clientY - box.top) * l.ratio - l.top) / l.sy;
  return voxel;
}

function paint(pane) {
  const l = layout(pane);
  const {canvas, paper, plane} = pane;
  if (canvas.width !== l.width || canvas.height !== l.height) { canvas.width = l.width; canvas.height = l.height; }
  const row = shown(pane.row);
  const index = l.view.at[l.normal];
  const name = page.series[state.series].volumes[row];
  const codes = name && slice(name, l.view, plane, index);
  const context = canvas.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, l.width, l.height);
  if (codes) {
    const width = l.view.shape[l.across], height = l.view.shape[l.down];
    if (paper.width !== width || paper.height !== height) { paper.width = width; paper.height = height; }
    const ink = paper.getContext("2d");
    const image = ink.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const volume = volumes.get(name);
    const {low, high} = windowOf(row);
    const table = new Uint32Array(256);
    for (let code = 0; code < 256; code++) {
      const level = clamp(Math.round(((code - volume.zero) * volume.step - low) / Math.max(high - low, 1e-9) * 255), 0, 255);
      table[code] = 0xff000000 | (level << 16) | (level << 8) | level;
    }
    for (let at = 0; at < codes.length; at++) pixels[at] = table[codes[at]];
    for (const overlay of overlays) overlay.tint?.(image.data, row, l.view, plane, index);
    ink.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(paper, l.left, l.top, width * l.sx, height * l.sy);
  } else {
    write(context, name ? "Unpacking" : "Not in this visit", l.width / 2, l.height / 2, l.ratio, "center");
  }
  if (codes) for (const overlay of overlays) overlay.lines?.(context, l, row, plane, index, pane);
  if (state.crosshair) cross(context, l);
  furniture(context, l, plane, index);
}

function write(context, text, x, y, ratio, align = "left", colour = "#e9ecef", size = 12) {
  context.font = `${size * ratio}px system-ui, "Liberation Sans", sans-serif`;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "#000";
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

// A cross with a gap, so that it does not cover a small nodule.
function cross(context, l) {
  const [x, y] = onCanvas(l, l.view.at), gap = 14 * l.ratio;
  context.strokeStyle = "rgba(255, 209, 102, .75)";
  context.lineWidth = l.ratio;
  context.beginPath();
  for (const [ax, ay, bx, by] of [[0, y, x - gap, y], [x + gap, y, l.width, y], [x, 0, x, y - gap], [x, y + gap, x, l.height]]) {
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
  }
  context.stroke();
}

function furniture(context, l, plane, index) {
  const [left, right, top, bottom] = l.letters, edge = 11 * l.ratio;
  const sides = [[left, edge, l.height / 2], [right, l.width - edge, l.height / 2],
    [top, l.width / 2, edge], [bottom, l.width / 2, l.height - edge]];
  for (const [letter, x, y] of sides) write(context, letter, x, y, l.ratio, "center", "#fff", 14);
  const mm = apply(l.view.affine, l.view.at)[l.normal];
  write(context, `${place(mm, l.ends)} mm`, 6 * l.ratio, edge, l.ratio);
  write(context, `${index + 1}/${l.view.shape[l.normal]}`, l.width - 6 * l.ratio, edge, l.ratio, "right");
  const bar = 20 / l.view.spacing[l.across] * l.sx;  // 20 mm
  context.strokeStyle = "#e9ecef";
  context.lineWidth = 2 * l.ratio;
  context.beginPath();
  context.moveTo(8 * l.ratio, l.height - 8 * l.ratio);
  context.lineTo(8 * l.ratio + bar, l.height - 8 * l.ratio);
  context.stroke();
  write(context, "20 mm", 8 * l.ratio, l.height - 18 * l.ratio, l.ratio, "left", "#e9ecef", 10);
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(drawAll);
}

function drawAll() {
  waiting = false;
  const start = performance.now();
  for (const pane of panes) if (rows[pane.row] && pane.canvas.offsetParent) paint(pane);
  readout();
  document.documentElement.dataset.redraw = (performance.now() - start).toFixed(1);
}

function readout() {
  const view = rows[state.row].view;
  const mm = apply(view.affine, view.at);
  const {low, high} = windowOf(0);
  const digits = high > 20 ? 0 : 2;
  const places = mm.map((v, n) => place(v, [["R", "L"], ["A", "P"], ["S", "I"]][n])).join("  ");
  document.getElementById("where").textContent =
    `${places} mm · slice ${view.at.map(v => v + 1).join("/")} · W ${(high - low).toFixed(digits)} L ${((high + low) / 2).toFixed(digits)}`;
  const wide = document.getElementById("window-width"), level = document.getElementById("window-level");
  if (document.activeElement !== wide) wide.value = (high - low).toFixed(digits);
  if (document.activeElement !== level) level.value = ((high + low) / 2).toFixed(digits);
  for (const pane of panes) {
    pane.canvas.classList.toggle("active", pane.row === state.row && pane.plane === state.plane);
  }
  for (const title of document.querySelectorAll("[data-title]")) {
    title.textContent = rows[shown(Number(title.dataset.title))]?.title || "";
  }
}

// Go to a place in mm of the subject's common space, in every row that is linked to the one given.
function goTo(mm, row = 0) {
  const {view} = rows[row];
  const voxel = apply(view.inverse, mm);
  moveTo(view, voxel);
  if (state.zoom > 1) view.centre = [...view.at];
}

function moveTo(view, voxel) {
  view.at = voxel.map((v, n) => clamp(Math.round(v), 0, view.shape[n] - 1));
  redraw();
}

function zoomTo(factor) {
  const next = clamp(state.zoom * factor, 1, 12);
  for (const view of page.views) {
    view.centre = next === 1 ? view.shape.map(n => (n - 1) / 2)
      : view.centre.map((c, n) => view.at[n] + (c - view.at[n]) * state.zoom / next);
  }
  state.zoom = next;
  redraw();
}

async function showSeries(index) {
  if (!page.series[index]) return;
  state.series = index;
  redraw();
  await Promise.all(page.series[index].volumes.filter(Boolean).map(load));
  redraw();
}
