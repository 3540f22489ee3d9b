// Ruler: the longest diameter, then the one perpendicular to it, on one slice. Nothing is stored.

const ruler = {on: false, points: [], at: null, done: [], slice: null};

function distance(a, b, view) {
  return Math.hypot(...a.map((v, n) => (v - b[n]) * view.spacing[n]));
}

// The fourth point lies on the line through the third that is perpendicular to the first two.
function perpendicular([a, b, c], d, view) {
  const mm = (p, q) => p.map((v, n) => (v - q[n]) * view.spacing[n]);
  const long = mm(b, a), length = Math.hypot(...long);
  if (!length) return d;
  const along = mm(d, c).reduce((sum, v, n) => sum + v * long[n], 0) / length ** 2;
  return d.map((v, n) => v - along * long[n] / view.spacing[n]);
}

function setPoint(pane, voxel) {
  const row = shown(pane.row), {view} = rows[pane.row];
  const index = view.at[PLANES[pane.plane].normal];
  if (ruler.points.length) {
    const same = ruler.slice.row === row && ruler.slice.plane === pane.plane && ruler.slice.index === index;
    if (!same) return say("Ruler: all points lie on one slice of one visit. Escape starts again.");
  } else {
    ruler.slice = {row, plane: pane.plane, index, view};
  }
  ruler.points.push(ruler.points.length === 3 ? perpendicular(ruler.points, voxel, view) : [...voxel]);
  const count = ruler.points.length;
  if (count === 2) say(`Ruler: ${distance(ruler.points[0], ruler.points[1], view).toFixed(1)} mm. Now the perpendicular diameter: two points.`);
  else if (count === 4) finish();
  else say(`Ruler: point ${count} set.`);
  redraw();
}

function finish() {
  const {view, row, plane} = ruler.slice;
  const [a, b, c, d] = ruler.points;
  const long = distance(a, b, view), across = d ? distance(c, d, view) : null;
  const size = across === null ? `${long.toFixed(1)} mm`
    : `${long.toFixed(1)} × ${across.toFixed(1)} mm, product ${(long * across).toFixed(0)} mm²`;
  const mm = apply(view.affine, a)[PLANES[plane].normal];
  const words = `${size} (${plane}, ${place(mm, PLANES[plane].ends)} mm, ${rows[row].short})`;
  ruler.done.push({points: ruler.points, slice: ruler.slice});
  const item = document.createElement("li");
  item.textContent = words;
  document.getElementById("measured").append(item);
  say(`Ruler: ${words}`);
  ruler.points = [];
}

function rulerPane() {
  return panes.find(pane => pane.row === state.row && pane.plane === state.plane);
}

command("ruler", ["r"], "Ruler on or off: click, or Enter at the crosshair, sets a point", () => {
  if (ruler.on && ruler.points.length >= 2) { ruler.points.length = 2; finish(); }
  ruler.on = !ruler.on;
  ruler.points = [];
  ruler.at = null;
  if (ruler.on) { focusPane(); say("Ruler on: two points for the longest diameter, two for the perpendicular one."); }
  else say("Ruler off.");
  redraw();
}, () => ruler.on);
command("ruler-point", ["Enter"], "Ruler: set a point at the crosshair",
  () => { if (ruler.on) setPoint(rulerPane(), rows[state.row].view.at); });
command("ruler-undo", ["Backspace"], "Ruler: take back the last point", () => { ruler.points.pop(); redraw(); });
command("ruler-drop", ["Escape"], "Ruler: start again", () => { ruler.points = []; redraw(); });
command("ruler-clear", [], "Ruler: remove all measurements", () => {
  ruler.done = [];
  ruler.points = [];
  document.getElementById("measured").replaceChildren();
  redraw();
});

function line(context, l, a, b, words) {
  const [ax, ay] = onCanvas(l, a), [bx, by] = onCanvas(l, b);
  for (const [colour, width] of [["#000", 4], ["#7CFC8A", 1.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * l.ratio;
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.stroke();
  }
  if (words) write(context, words, Math.max(ax, bx) + 6 * l.ratio, bx > ax === by > ay ? Math.max(ay, by) : Math.min(ay, by), l.ratio, "left", "#7CFC8A");
}

function marks(context, l, points, view, open) {
  const all = open ? [...points, points.length === 3 ? perpendicular(points, open, view) : open] : points;
  for (const [first, second] of [[0, 1], [2, 3]]) {
    if (all[second]) line(context, l, all[first], all[second], distance(all[first], all[second], view).toFixed(1));
  }
  for (const point of all) {
    const [x, y] = onCanvas(l, point);
    context.fillStyle = "#7CFC8A";
    context.fillRect(x - 2 * l.ratio, y - 2 * l.ratio, 4 * l.ratio, 4 * l.ratio);
  }
}

overlays.push({
  click(pane, voxel) {
    if (ruler.on) setPoint(pane, voxel);
    return ruler.on;
  },
  hover(pane, voxel) {
    if (!ruler.on || !ruler.points.length) return;
    ruler.at = voxel;
    redraw();
  },
  lines(context, l, row, plane, index, pane) {
    const here = slice => slice && slice.row === row && slice.plane === plane && slice.index === index && slice.view === l.view;
    for (const one of ruler.done) if (here(one.slice)) marks(context, l, one.points, l.view, null);
    if (!ruler.on || !ruler.points.length || !here(ruler.slice)) return;
    marks(context, l, ruler.points, l.view, pane === rulerPane() ? ruler.at || l.view.at : null);
  },
});
