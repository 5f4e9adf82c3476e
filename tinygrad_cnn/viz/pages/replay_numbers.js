"use strict";
// The numbers of a replay: read from the page, written in few characters, drawn as tables and heat maps.
const data = JSON.parse(document.getElementById("data").textContent);
const { frames, entries, numbers, scenes } = data;
const dark = matchMedia("(prefers-color-scheme: dark)");
const NOT_YET = "not computed yet";
const picks = { operation: "0", data: "0", parameter: "all" };  // which sample, which filter is drawn

const soft = (name) => name.replaceAll(".", ".\u200b");  // a long name may break after its dots

function make(tag, parent, text = "", className = "") {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  element.className = className;
  return element;
}

function array(n) {
  const one = numbers[n];
  if (!one.array) {
    const bytes = Uint8Array.from(atob(one.bytes), (c) => c.charCodeAt(0));
    one.array = new ({ f4: Float32Array, f8: Float64Array, i4: Int32Array }[one.kind])(bytes.buffer);
    one.bytes = null;
  }
  return one.array;
}
const isWhole = (n) => array(n).length === numbers[n].size;

function short(v) {  // as `numbers.short` in Python
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "nan" : v > 0 ? "inf" : "−inf";
  const size = Math.abs(v);
  let text;
  if (Number.isInteger(v) && size < 1e6) text = String(v);
  else if (size >= 1e-3 && !v.toPrecision(4).includes("e")) text = String(Number(v.toPrecision(4)));
  else text = v.toExponential(3).replace(/\.?0*e\+?/, "e");
  return text.replace(/^-/, "−");
}
const exact = (n, v) => Number(numbers[n].kind === "f4" ? v.toPrecision(9) : v) + "";
const inBrief = (n) => {
  if (isWhole(n) && numbers[n].size === 1) return short(array(n)[0]);
  const all = isWhole(n) && numbers[n].size <= 4 ? `[${Array.from(array(n), short).join(", ")}]` : "";
  return all && all.length < 20 ? all : `norm ${numbers[n].norm}`;
};

const signed = (text) => (/^[−[]/.test(text) ? text : /^\d/.test(text) ? `+${text}` : `+ ${text}`);

// ---- pictures of numbers

const POLES = {  // purple, middle, orange, as in the figures: with any colour vision, in grey by lightness on each side
  light: [[84, 39, 136], [153, 142, 195], [247, 247, 247], [241, 163, 64], [179, 88, 6]],
  dark: [[196, 184, 255], [112, 96, 190], [27, 33, 43], [190, 104, 24], [255, 196, 120]],
};
function colour(t) {
  const poles = POLES[dark.matches ? "dark" : "light"];
  if (!Number.isFinite(t)) return [0, 158, 115];
  const place = (Math.max(-1, Math.min(1, t)) + 1) * 2, i = Math.min(3, Math.floor(place));
  return poles[i].map((c, k) => Math.round(c + (poles[i + 1][k] - c) * (place - i)));
}

// Where each number is drawn: the last two dimensions are tiles, all tiles a mosaic with gaps of one cell.
function mosaic(shape, pick) {
  if (shape.length < 2) {
    const n = shape[0] ?? 1, columns = n <= 16 ? n : Math.ceil(Math.sqrt(2 * n));
    return { rows: Math.ceil(n / columns), columns, index: (r, c) => (r * columns + c < n ? r * columns + c : -1) };
  }
  const [H, W] = shape.slice(-2), lead = shape.slice(0, -2);
  let tiles = lead.reduce((a, b) => a * b, 1), first = 0, across, turned = 0;
  if (lead.length > 1 && pick !== "all") {
    tiles /= lead[0];
    first = Number(pick) * tiles;
  } else if (lead.length > 1 && tiles > lead[0]) {  // filters and channels: the longer side across
    across = Math.max(lead[0], tiles / lead[0]);
    turned = across === lead[0] ? tiles / lead[0] : 0;
  }
  across ??= Math.min(tiles, Math.max(1, Math.ceil(Math.sqrt((tiles * H * 1.6) / W))));
  const gap = tiles > 1 ? 1 : 0, h = H + gap, w = W + gap;
  return {
    rows: Math.ceil(tiles / across) * h - gap, columns: across * w - gap,
    index: (r, c) => {
      const [down, right] = [Math.floor(r / h), Math.floor(c / w)], tile = turned ? right * turned + down : down * across + right;
      return r % h < H && c % w < W && tile < tiles ? ((first + tile) * H + (r % h)) * W + (c % w) : -1;
    },
  };
}

function figure(parent, title, n, empty = NOT_YET, kind = "operation", sign = "") {
  const wide = n != null && numbers[n].size <= 64 && numbers[n].shape.length > 1 && numbers[n].shape.at(-1) > 4;
  const box = make("figure", parent, "", wide ? "wide" : "");
  const caption = make("figcaption", box);
  if (sign) make("b", caption, sign + " ", "sign");
  make("span", caption, soft(title));
  if (n === null || n === undefined) {
    make("p", box, empty, "empty");
    return;
  }
  const one = numbers[n], values = array(n), tile = one.shape.slice(-2).reduce((a, b) => a * b, 1);
  const isTiled = one.shape.length > 2 && values.length % tile === 0;
  const shape = isWhole(n) ? one.shape : isTiled ? [values.length / tile, ...one.shape.slice(-2)] : [values.length];
  if (one.size === 1 && isWhole(n)) {
    make("p", box, short(values[0]), "scalar").title = exact(n, values[0]);
    return;
  }
  if (shape.length > 3 && shape[0] > 1 && one.size > 64) choice(box, kind, shape[0]);
  if (isWhole(n) && one.size <= 64) table(box, n);
  else if (values.length) heat(box, n, shape, shape.length > 3 ? (shape[0] > 1 ? picks[kind] : "0") : "all", title);
  make("p", box, `${one.shape.join("×")} · mean ${one.mean} · std ${one.std} · norm ${one.norm}`, "stats");
  if (one.bad) make("p", box, `${one.bad} not finite`, "stats bad");
  if (!isWhole(n)) make("p", box, `only the first ${values.length} of ${one.size} numbers are in this file`, "stats");
}

function choice(box, kind, count) {
  const label = make("label", box, kind === "parameter" ? "filter " : "sample ", "stats");
  const select = make("select", label);
  for (const k of [...Array(count).keys(), "all"]) make("option", select, k).value = k;
  select.value = Number(picks[kind]) < count ? picks[kind] : "all";
  select.dataset.kind = kind;
  select.onchange = () => {
    picks[kind] = select.value;
    panel();
    find("panel").querySelector(`select[data-kind=${kind}]`)?.focus();
  };
}

function table(box, n) {
  const { shape, limit } = numbers[n], flat = shape.length < 2;
  let row = flat ? make("div", box, "", "cells") : make("table", make("div", box, "", "scroll"));
  const element = row;
  array(n).forEach((v, i) => {
    if (!flat && i % shape.at(-1) === 0) row = make("tr", element);
    const cell = make(flat ? "span" : "td", row, short(v)), [r, g, b] = colour(v / (limit || 1));
    cell.title = exact(n, v);
    cell.style.backgroundColor = `rgb(${r},${g},${b})`;
    cell.style.color = 0.3 * r + 0.6 * g + 0.1 * b > 140 ? "#000" : "#fff";
  });
}

function heat(box, n, shape, pick, title) {
  const values = array(n), limit = numbers[n].limit || 1, { rows, columns, index } = mosaic(shape, pick);
  const frame = make("div", box, "", "heat"), canvas = make("canvas", frame), cursor = make("i", frame, "", "cursor");
  Object.assign(canvas, { width: columns, height: rows, tabIndex: 0 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}, ${shape.join("×")} numbers; arrow keys read them one by one`);
  const paper = canvas.getContext("2d"), image = paper.createImageData(columns, rows);
  for (let r = 0, k = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, k += 4) {
      const i = index(r, c);
      if (i >= 0) image.data.set([...colour(values[i] / limit), 255], k);
    }
  }
  paper.putImageData(image, 0, 0);
  const width = Math.min(22 * columns, Math.max(240 * columns / rows, 60));
  frame.style.width = `${width}px`;
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  canvas.style.minHeight = `${Math.min(14 * rows, 28)}px`;
  const scaleBar = make("div", box, "", "scale"), said = make("output", box, "point at a cell to read it", "said");
  for (const text of [short(-limit), "0", `+${short(limit)}`]) make("span", scaleBar, text);
  let r = 0, c = 0;
  const read = () => {
    let i = index(r, c), where = [];
    const text = i < 0 ? "" : exact(n, values[i]);
    for (const size of [...shape].reverse()) [where, i] = [[i % size, ...where], Math.floor(i / size)];
    said.textContent = text && `[${where.join(", ")}] = ${text.replace("-", "−")}`;
    const w = canvas.clientWidth / columns, h = canvas.clientHeight / rows;
    Object.assign(cursor.style, { left: `${c * w}px`, top: `${r * h}px`, width: `${w}px`, height: `${h}px` });
  };
  canvas.onpointermove = (event) => {
    c = Math.min(columns - 1, Math.max(0, Math.floor((event.offsetX / canvas.clientWidth) * columns)));
    r = Math.min(rows - 1, Math.max(0, Math.floor((event.offsetY / canvas.clientHeight) * rows)));
    read();
  };
  canvas.onfocus = read;
  canvas.onkeydown = (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    if (down === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    do [r, c] = [r + down, c + right]; while (index(r, c) < 0 && r >= 0 && c >= 0 && r < rows && c < columns);  // over a gap
    [r, c] = [Math.max(0, Math.min(rows - 1, r)), Math.max(0, Math.min(columns - 1, c))];
    read();
  };
}
