// The draft on the pictures: labels, change map, numbers of the findings, jumps. Left out of a page without the draft.

const draft = {fill: false, outline: true, change: false, off: false, opacity: 0.4};
const COLOURS = whole.colours;  // label -> [red, green, blue]
const DASHED = 4;  // excluded normal enhancement

const labelsOf = row => rows[row].labels;

// Change above the limit that is shown, as [red, green, blue, opacity] by code.
const changeInk = new Map();
function inkOfChange(volume) {  // one scale for all parts
  for (let code = 0; code < 256 && changeInk.size < 256; code++) {
    const value = (code - volume.zero) * volume.step, size = Math.abs(value);
    const part = clamp((size - page.draft.change.hidden) / (page.draft.change.full - page.draft.change.hidden), 0, 1);
    const ink = value > 0 ? [255, 70 + 170 * part, 20 + 40 * part] : [40 + 60 * part, 130 + 100 * part, 255];
    changeInk.set(code, [...ink, size < page.draft.change.hidden ? 0 : 0.45 + 0.5 * part]);
  }
  return changeInk;
}

function blend(data, at, [red, green, blue], opacity) {
  data[at] += (red - data[at]) * opacity;
  data[at + 1] += (green - data[at + 1]) * opacity;
  data[at + 2] += (blue - data[at + 2]) * opacity;
}

overlays.push({
  tint(data, row, view, plane, index) {
    if (draft.off) return;
    const labels = draft.fill && labelsOf(row) && slice(labelsOf(row), view, plane, index);
    if (labels) {
      for (let n = 0; n < labels.length; n++) {
        if (labels[n] && labels[n] !== DASHED) blend(data, 4 * n, COLOURS[labels[n]], draft.opacity);
      }
    }
    const change = draft.change && row === 0 && page.draft.change && slice(page.draft.change.volume, view, plane, index);
    if (change) {
      const volume = volumes.get(page.draft.change.volume), inks = inkOfChange(volume);
      for (let n = 0; n < change.length; n++) {
        if (change[n] === volume.zero) continue;
        const ink = inks.get(change[n]);
        if (ink[3]) blend(data, 4 * n, ink, ink[3]);
      }
    }
  },
  lines(context, l, row, plane, index) {
    if (draft.off) return;
    if (draft.outline && labelsOf(row)) outlines(context, l, slice(labelsOf(row), l.view, plane, index));
    if (draft.outline || draft.fill) numbers(context, l, row, index);
  },
});

// Edges of the voxels where a label ends: crisp at every zoom, and the inside stays bare for the reader to judge.
function outlines(context, l, labels) {
  if (!labels) return;
  const width = l.view.shape[l.across], height = l.view.shape[l.down];
  const paths = {};
  const edge = (label, ax, ay, bx, by) => {
    const path = paths[label] ??= new Path2D();
    path.moveTo(l.left + ax * l.sx, l.top + ay * l.sy);
    path.lineTo(l.left + bx * l.sx, l.top + by * l.sy);
  };
  for (let y = 0, n = 0; y < height; y++) {
    for (let x = 0; x < width; x++, n++) {
      const label = labels[n];
      if (!label || (label === DASHED && (x + y) % 2)) continue;
      if (x === 0 || labels[n - 1] !== label) edge(label, x, y, x, y + 1);
      if (x === width - 1 || labels[n + 1] !== label) edge(label, x + 1, y, x + 1, y + 1);
      if (y === 0 || labels[n - width] !== label) edge(label, x, y, x + 1, y);
      if (y === height - 1 || labels[n + width] !== label) edge(label, x, y + 1, x + 1, y + 1);
    }
  }
  context.lineCap = "square";
  for (const label of Object.keys(paths).sort().reverse()) {
    context.lineWidth = (Number(label) === DASHED ? 1 : 1.6) * l.ratio;
    context.strokeStyle = `rgb(${COLOURS[label].join(",")})`;
    context.stroke(paths[label]);
  }
}

// Numbers beside the findings that a slice passes through.
function numbers(context, l, row, index) {
  for (const tag of rows[row].tags) {
    const voxel = apply(l.view.inverse, tag.mm);
    const away = Math.abs(voxel[l.normal] - index) * l.view.spacing[l.normal];
    if (away > Math.max(tag.radius, l.view.spacing[l.normal] / 2)) continue;
    const [x, y] = onCanvas(l, voxel);
    const aside = clamp(tag.radius, 3, 9) / l.view.spacing[l.across] * l.sx * 0.75 + 8 * l.ratio;
    write(context, tag.text, x + aside, y - aside, l.ratio, "center", "#fff", 13);
  }
}

let jumpedTo = null;
async function jump(target) {
  const part = whole.parts.find(each => each.draft.targets.includes(target));
  if (part !== page) {
    open(part);
    arrange();
    await Promise.all([...part.first, ...page.series[state.series].volumes.filter(Boolean)].map(load));
  }
  goTo(target.mm);
  arrive(target);
  buttons();
}

function arrive(target) {
  jumpedTo = target;
  say(`At ${target.words} (${rows.length > 1 && page.linked ? "both visits" : "this visit"}).`);
  for (const button of document.querySelectorAll("button[data-target]")) {
    button.classList.toggle("here", button.dataset.target === target.id);
  }
}

const targets = whole.parts.flatMap(part => part.draft.targets);
const begin = targets.find(target => target.id === page.draft.start);
if (begin) arrive(begin);

function jumpBy(by) {
  if (!targets.length) return;
  const at = jumpedTo ? targets.indexOf(jumpedTo) + by : by > 0 ? 0 : -1;
  jump(targets[(at + targets.length) % targets.length]);
}

const toggle = name => () => { draft[name] = !draft[name]; draft.off = false; redraw(); };
command("fill", ["s"], "Fill of the segmentation", toggle("fill"), () => draft.fill && !draft.off);
command("outline", ["o"], "Outline of the segmentation", toggle("outline"), () => draft.outline && !draft.off);
if (whole.parts.some(part => part.draft.change)) {
  command("change", ["c"], "Change map on the current visit", async () => {
    toggle("change")();
    if (page.draft.change) await load(page.draft.change.volume);
    redraw();
  }, () => draft.change && !draft.off);
}
command("off", ["x"], "Everything drawn on the images off, and back", () => { draft.off = !draft.off; redraw(); }, () => draft.off);
command("next-finding", ["n"], "Next finding", () => jumpBy(1));
command("last-finding", ["p"], "Finding before", () => jumpBy(-1));

for (const button of document.querySelectorAll("button[data-target]")) {
  button.addEventListener("click", () => jump(targets.find(one => one.id === button.dataset.target)));
}
const slider = document.getElementById("opacity");
slider.addEventListener("input", () => {
  draft.opacity = Number(slider.value) / 100;
  draft.fill = true;
  draft.off = false;
  buttons();
  redraw();
});

// The page that holds this one (the reading form) may ask for a finding; nobody else may.
window.addEventListener("message", event => {
  if (window.parent === window || event.source !== window.parent) return;
  if (event.data?.type !== "lmresp-goto") return;
  const target = targets.find(one => one.id === `finding-${event.data.finding}`);
  if (target) jump(target);
});
