// Volumes: unpacked when they are first needed, and slices of them on the lattice of a view.

const whole = JSON.parse(document.getElementById("page-data").textContent);
let page = whole.parts[0];  // the part that is shown: the brain, or one region of the spine

const PLANES = {
  // normal: axis of the slices; across, down: axes of the picture; both run against the picture, so that the subject's
  // right is on its left, the front (axial) or the head (coronal, sagittal) on top, and the front left on sagittal.
  axial: {normal: 2, across: 0, down: 1, letters: ["R", "L", "A", "P"], ends: ["S", "I"]},
  coronal: {normal: 1, across: 0, down: 2, letters: ["R", "L", "S", "I"], ends: ["A", "P"]},
  sagittal: {normal: 0, across: 1, down: 2, letters: ["A", "P", "S", "I"], ends: ["R", "L"]},
};

const volumes = new Map();  // name -> volume, once it is unpacked
const asked = new Map();

async function unpack(name) {
  const block = document.getElementById(`volume-${name}`);
  const text = block.textContent.trim();
  block.remove();  // the text is not needed twice
  let packed;
  if (Uint8Array.fromBase64) {
    packed = Uint8Array.fromBase64(text);
  } else {
    const raw = atob(text);
    packed = new Uint8Array(raw.length);
    for (let n = 0; n < raw.length; n++) packed[n] = raw.charCodeAt(n);
  }
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const codes = new Uint8Array(await new Response(stream).arrayBuffer());
  const about = whole.volumes[name];
  restore(codes, about.shape);
  return {...about, codes, inverse: inverse(about.affine)};
}

// A volume is described on the page under its own name; asking twice gives the same promise.
function load(name) {
  if (!asked.has(name)) asked.set(name, unpack(name).then(volume => volumes.set(name, volume)));
  return asked.get(name);
}

// Undo the prediction: each code is the difference to the median of left, upper and left + upper - corner.
function restore(codes, [nx, ny, nz]) {
  let at = 0;
  for (let k = 0; k < nz; k++) {
    for (let j = 0; j < ny; j++) {
      let left = 0, corner = 0;
      for (let i = 0; i < nx; i++, at++) {
        const upper = j ? codes[at - nx] : 0;
        const low = left < upper ? left : upper, high = left < upper ? upper : left;
        const plane = left + upper - corner;
        codes[at] += plane < low ? low : plane > high ? high : plane;
        left = codes[at];  // modulo 256
        corner = upper;
      }
    }
  }
}

// Affines are 12 numbers, three rows of four.
function apply(m, [x, y, z]) {
  return [0, 4, 8].map(r => m[r] * x + m[r + 1] * y + m[r + 2] * z + m[r + 3]);
}

function inverse(m) {
  const [a, b, c, tx, d, e, f, ty, g, h, i, tz] = m;
  const A = e * i - f * h, B = f * g - d * i, C = d * h - e * g;
  const det = a * A + b * B + c * C;
  const r = [A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d]
    .map(v => v / det);
  const t = [0, 3, 6].map(k => -(r[k] * tx + r[k + 1] * ty + r[k + 2] * tz));
  return [r[0], r[1], r[2], t[0], r[3], r[4], r[5], t[1], r[6], r[7], r[8], t[2]];
}

const slices = new Map();  // the last slice of each volume, plane and lattice

// Codes of a volume on one slice of a view, as seen: rows from the top, columns from the left.
function slice(name, view, plane, index) {
  const volume = volumes.get(name);
  if (!volume) return null;
  const key = `${name} ${plane} ${view.id}`;
  const last = slices.get(key);
  if (last && last.index === index) return last.codes;
  const {normal, across, down} = PLANES[plane];
  const width = view.shape[across], height = view.shape[down];
  const origin = [0, 0, 0];
  origin[normal] = index;
  origin[across] = width - 1;
  origin[down] = height - 1;
  const start = apply(volume.inverse, apply(view.affine, origin));
  const step = axis => {
    const to = [...origin];
    to[axis] -= 1;
    return apply(volume.inverse, apply(view.affine, to)).map((v, n) => v - start[n]);
  };
  const right = step(across), below = step(down);
  const codes = new Uint8Array(width * height);
  const whole = v => Math.abs(v - Math.round(v)) < 0.002;
  const same = start.every(whole) && whole(right[across]) && whole(below[down])
    && Math.round(right[across]) === -1 && Math.round(below[down]) === -1;
  if (same) copied(codes, volume, start.map(Math.round), across, down, width, height);
  else (volume.kind === "label" ? nearest : between)(codes, volume, start, right, below, width, height);
  slices.set(key, {index, codes});
  return codes;
}

// The lattice of the view itself, perhaps another part of it.
function copied(codes, volume, start, across, down, width, height) {
  const from = volume.codes, {shape} = volume;
  const strides = [1, shape[0], shape[0] * shape[1]];
  const normal = 3 - across - down;
  if (volume.zero) codes.fill(volume.zero);
  if (start[normal] < 0 || start[normal] >= shape[normal]) return;
  const first = Math.max(0, start[across] - shape[across] + 1), last = Math.min(width - 1, start[across]);
  for (let row = 0; row < height; row++) {
    const place = start[down] - row;
    if (place < 0 || place >= shape[down]) continue;
    let at = start[normal] * strides[normal] + place * strides[down] + (start[across] - first) * strides[across];
    for (let column = first, to = row * width + first; column <= last; column++, to++, at -= strides[across]) codes[to] = from[at];
  }
}

function nearest(codes, volume, start, right, below, width, height) {
  const [nx, ny, nz] = volume.shape;
  const from = volume.codes;
  for (let row = 0, at = 0; row < height; row++) {
    let x = start[0] + row * below[0] + 0.5, y = start[1] + row * below[1] + 0.5, z = start[2] + row * below[2] + 0.5;
    for (let column = 0; column < width; column++, at++) {
      const i = Math.floor(x), j = Math.floor(y), k = Math.floor(z);
      codes[at] = i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz
        ? volume.zero : from[i + nx * (j + ny * k)];
      x += right[0]; y += right[1]; z += right[2];
    }
  }
}

function between(codes, volume, start, right, below, width, height) {
  const [nx, ny, nz] = volume.shape;
  const from = volume.codes, area = nx * ny;
  for (let row = 0, at = 0; row < height; row++) {
    let x = start[0] + row * below[0], y = start[1] + row * below[1], z = start[2] + row * below[2];
    for (let column = 0; column < width; column++, at++, x += right[0], y += right[1], z += right[2]) {
      if (x < -0.5 || y < -0.5 || z < -0.5 || x > nx - 0.5 || y > ny - 0.5 || z > nz - 0.5) {
        codes[at] = volume.zero;
        continue;
      }
      const i = x < 0 ? 0 : x | 0, j = y < 0 ? 0 : y | 0, k = z < 0 ? 0 : z | 0;
      const u = x < 0 ? 0 : x - i, v = y < 0 ? 0 : y - j, w = z < 0 ? 0 : z - k;
      const p = i + nx * j + area * k;
      const dx = i + 1 < nx ? 1 : 0, dy = j + 1 < ny ? nx : 0, dz = k + 1 < nz ? area : 0;
      const low = (from[p] * (1 - u) + from[p + dx] * u) * (1 - v) + (from[p + dy] * (1 - u) + from[p + dy + dx] * u) * v;
      const q = p + dz;
      const top = (from[q] * (1 - u) + from[q + dx] * u) * (1 - v) + (from[q + dy] * (1 - u) + from[q + dy + dx] * u) * v;
      codes[at] = low * (1 - w) + top * w + 0.5;
    }
  }
}
