"use strict";
// Asks the training program on this machine for its state, twice a second, and draws it. Texts that come from there
// are put in as text, never as HTML.

const EVERY = 500; // milliseconds between two questions
const PATIENCE = 5000; // after which an answer will not come any more
const TOKEN = document.querySelector("meta[name=token]").content;
const NAMES = {
  waiting: "waiting for the first batch …", running: "● training", paused: "❚❚ paused", completed: "✓ training has ended",
  stopped: "■ training has ended", interrupted: "■ training was interrupted", failed: "✗ training has failed",
};
const SVG = "http://www.w3.org/2000/svg";
let state = null, outcome = { state: "waiting", reason: null }, pictures = [], lost = false;

const $ = (id) => document.getElementById(id);

function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function svg(kind, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- numbers as people write them

function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const small = value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 100000);
  const text = small ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

const isShare = (name) => name !== null && name.endsWith("accuracy");
const whole = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  const two = (n) => String(n).padStart(2, "0");
  if (!minutes) return `${whole} s`;
  return hours ? `${hours}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

// ---- charts

function ticks(low, high, about = 5) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const first = Math.ceil(low / step - 1e-9), found = [];
  for (let i = first; i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

// Lines: [{name, kind, points: [[x, y], …], dots}]. Where `log`, y is drawn by its logarithm.
function chart(box, lines, { unit, log = false, share = false, label }) {
  const width = Math.max(box.clientWidth, 200), height = 240;
  const margin = { left: 46, right: 10, top: 8, bottom: 34 };
  lines = lines.map((line) => ({ ...line, points: line.points.filter(([, y]) => y !== null && (!log || y > 0)) }));
  const points = lines.flatMap((line) => line.points);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const see = (y) => (log ? Math.log10(y) : y);
  let right = Math.max(...points.map(([x]) => x), unit.per), top = 1, bottom = 0;
  if (points.length) {
    const ys = points.map(([, y]) => see(y));
    top = Math.max(...ys);
    bottom = Math.min(...ys);
    if (share) {
      top = Math.max(top, bottom + 0.02);
      top = Math.min(1, top + 0.05 * (top - bottom));
      bottom = Math.max(0, bottom - 0.05 * (top - bottom));
    } else if (!log) {
      bottom = Math.min(bottom, 0);
    }
    if (top === bottom) [top, bottom] = [top + 0.5, bottom - 0.5];
  }
  const X = (x) => margin.left + (x / right) * (width - margin.left - margin.right);
  const Y = (y) => margin.top + ((top - see(y)) / (top - bottom)) * (height - margin.top - margin.bottom);
  const rows = log
    ? ticks(bottom, top, 4).map((power) => 10 ** power)
    : ticks(bottom, top);
  for (const y of rows) {
    drawing.append(
      svg("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: Y(y), y2: Y(y) }),
      svg("text", { x: margin.left - 6, y: Y(y) + 4, "text-anchor": "end" },
        share ? `${number(100 * y)} %` : number(log ? Number(y.toPrecision(2)) : y)),
    );
  }
  for (const x of ticks(0, right / unit.per, Math.min(8, width / 90)).filter((x) => !unit.whole || Number.isInteger(x))) {
    const place = X(x * unit.per);
    const anchor = place > width - 30 ? "end" : "middle";
    drawing.append(svg("text", { x: place, y: height - margin.bottom + 16, "text-anchor": anchor }, number(x, 6)));
  }
  drawing.append(svg("text", { x: width - margin.right, y: height - 4, "text-anchor": "end" }, unit.name));
  for (const line of lines) {
    const path = line.points.map(([x, y], i) => `${i ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
    drawing.append(svg("path", { class: line.kind, d: path }));
    if (line.dots && line.points.length <= 60) {
      for (const [x, y] of line.points) drawing.append(svg("circle", { class: line.kind, cx: X(x), cy: Y(y), r: 3.2 }));
    }
  }
  const legend = element("ul", { class: "legend" });
  for (const line of lines.filter((one) => one.points.length)) {
    const sample = svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" });
    sample.append(svg("path", { class: line.kind, d: "M0 6L28 6", fill: "none" }));
    if (line.dots) sample.append(svg("circle", { class: line.kind, cx: 14, cy: 6, r: 3.2 }));
    legend.append(element("li", {}, sample, line.name));
  }
  box.replaceChildren(drawing, legend);
}

function drawCharts() {
  const { curves, finished, batches, metric, validation } = state;
  const unit = batches ? { name: "epochs", per: batches, whole: false } : { name: "batches", per: 1, whole: true };
  const along = (name) => curves.step.map((x, i) => [x, curves[name][i]]);
  const epochs = (name) => finished.map((record) => [record.step, record[name] ?? null]);
  const last = (points) => points.filter(([, y]) => y !== null).at(-1)?.[1];
  chart($("loss"), [
    { name: "each batch", kind: "raw", points: along("loss") },
    { name: "running average", kind: "smooth", points: along("smooth") },
    { name: validation, kind: "validation", points: epochs("val_loss"), dots: true },
  ], { unit, log: $("log").checked, label: `loss over time, now ${number(last(along("smooth")))}` });
  $("metric-card").hidden = metric === null;
  if (metric === null) return;
  const title = metric.replaceAll("_", " ");
  setText($("metric-title"), title[0].toUpperCase() + title.slice(1));
  chart($("metric"), [
    { name: "training, running average", kind: "smooth", points: along("metric") },
    { name: validation, kind: "validation", points: epochs(`val_${metric}`), dots: true },
  ], { unit, share: isShare(metric), label: `${title} over time, now ${number(last(along("metric")))}` });
}

// ---- pictures

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Tiles of one size side by side; `side` is how large each should be on the screen.
function paint(canvas, { tiles, height, width, colours }, side) {
  const columns = Math.ceil(Math.sqrt(tiles.length)), rows = Math.ceil(tiles.length / columns);
  const gap = tiles.length > 1 ? 1 : 0;
  const W = columns * (width + gap) - gap, H = rows * (height + gap) - gap;
  const scale = Math.max(1, Math.round(side / Math.max(height, width) + 0.2));
  if (canvas.width !== W || canvas.height !== H) Object.assign(canvas, { width: W, height: H });
  if (side) Object.assign(canvas.style, { width: `${W * scale}px` });
  const pen = canvas.getContext("2d");
  tiles.forEach((tile, i) => {
    const from = bytes(tile), image = pen.createImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = from[p * colours + (colours === 3 ? c : 0)];
      image.data[4 * p + 3] = 255;
    }
    pen.putImageData(image, (i % columns) * (width + gap), Math.floor(i / columns) * (height + gap));
  });
}

// As many children as there are things, made once, so that what has the focus keeps it.
function children(box, count, make) {
  while (box.children.length > count) box.lastElementChild.remove();
  while (box.children.length < count) box.append(make(box.children.length));
  return [...box.children];
}

function bar(kind = "") {
  const track = element("span", { class: `track ${kind}` }, element("span"));
  return element("div", { class: "bar" }, element("span", { class: "name" }), track, element("span", { class: "value" }));
}

function fill(row, name, share, value) {
  setText(row.children[0], name);
  row.children[0].title = name;
  row.children[1].firstElementChild.style.width = `${Math.min(Math.max(100 * share, 0), 100)}%`;
  setText(row.children[2], value);
}

// A column that fits the longest name, within reason.
const nameWidth = (letters) => `${Math.min(Math.max(letters, 1), 11) * 0.5 + 0.3}rem`;

function drawPredictions() {
  const shown = state.predictions ?? [];
  $("predictions-card").hidden = !pictures.length;
  const longest = Math.max(...shown.flatMap((said) => said.bars.map(([name]) => name.length)), 0);
  $("predictions").style.setProperty("--name", nameWidth(longest));
  $("predictions").style.setProperty("--card", longest > 4 ? "17rem" : "13rem");
  const cards = children($("predictions"), pictures.length, (i) => {
    const button = element("button", { type: "button" }, element("canvas", { "aria-hidden": "true" }));
    button.addEventListener("click", () => command({ do: "look", image: i }));
    return element("div", { class: "seen" }, element("p", { class: "verdict" }), button, element("div"));
  });
  cards.forEach((card, i) => {
    const [verdict, button, bars] = card.children, said = shown[i];
    paint(button.firstElementChild, pictures[i], 0);
    button.setAttribute("aria-pressed", String(state.image === i));
    button.setAttribute("aria-label", `image ${i + 1}${said?.label ? ` (class ${said.label})` : ""}: see what the layers make of it`);
    if (!said) return;
    const mark = said.right === null ? "" : said.right ? "✓ " : "✗ ";
    const truth = said.right === false ? `, is ${said.label}` : "";
    setText(verdict, `${mark}${said.guess}${truth}`);
    verdict.className = `verdict ${said.right === null ? "" : said.right ? "right" : "wrong"}`;
    children(bars, said.bars.length, () => bar()).forEach((row, c) => {
      const [name, share, isGuess] = said.bars[c];
      row.classList.toggle("guess", isGuess);
      row.classList.toggle("none", share < 0.005);
      fill(row, name, share, whole(share));
    });
  });
}

function drawLayers() {
  const layers = state.layers ?? [];
  $("layers-card").hidden = !layers.length;
  setText($("layers-note"), state.skipped
    ? `${layers.length} of ${layers.length + state.skipped} layers. Black: smallest, white: largest number of the layer.`
    : "Black is the smallest, white the largest number of the layer.");
  children($("layers"), layers.length, () =>
    element("figure", {}, element("figcaption", {}, element("b"), element("span"), element("span")), element("canvas")),
  ).forEach((figure, i) => {
    const layer = layers[i], [caption, canvas] = figure.children;
    const more = layer.shape.length === 3 && layer.tiles.length < layer.shape[0] ? `, ${layer.tiles.length} shown` : "";
    setText(caption.children[0], layer.name);
    setText(caption.children[1], `${layer.kind} ${layer.shape.join("×")}${more}`);
    setText(caption.children[2], `${number(layer.low, 2)} … ${number(layer.high, 2)}`);
    paint(canvas, layer, layer.shape.length === 3 ? 40 : 180);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `output of ${layer.name}, ${layer.shape.join(" by ")}`);
  });
}

function drawRest() {
  const filters = state.filters ?? { tiles: [] }, sizes = state.sizes ?? [], classes = state.classes;
  $("filters-card").hidden = !filters.tiles.length;
  if (filters.tiles.length) {
    const [canvas] = children($("filters"), 1, () => element("canvas", { role: "img" }));
    const { tiles, height, width, colours } = filters;
    canvas.setAttribute("aria-label", `${tiles.length} filters, ${height} by ${width}`);
    setText($("filters-note"), colours === 3
      ? "Grey is 0; a colour says which of the image's colours a filter looks for."
      : "Grey is 0, black the most negative, white the most positive weight.");
    paint(canvas, filters, Math.min(90, 300 / Math.ceil(Math.sqrt(filters.tiles.length))));
  }
  $("classes-card").hidden = !classes.length;
  $("classes").style.setProperty("--name", nameWidth(Math.max(...classes.map((one) => one.name.length), 0)));
  children($("classes"), classes.length, () => bar()).forEach((row, c) => {
    fill(row, classes[c].name, classes[c].share ?? 0, whole(classes[c].share));
  });
  $("sizes-card").hidden = !sizes.length;
  const logarithm = (value) => (value > 0 ? (Math.log10(value) + 7) / 8 : 0); // from 10⁻⁷ to 10
  children($("sizes"), sizes.length, () =>
    element("div", { class: "size" }, element("div", { class: "title" }), bar(), bar("gradient")),
  ).forEach((row, i) => {
    setText(row.children[0], sizes[i].name);
    row.style.setProperty("--name", "4.2rem");
    fill(row.children[1], "weights", logarithm(sizes[i].weight), number(sizes[i].weight, 2));
    fill(row.children[2], "gradient", logarithm(sizes[i].gradient), number(sizes[i].gradient, 2));
  });
}

// ---- the page

function drawFacts() {
  const { curves, finished, metric, validation } = state;
  const shown = (value) => (isShare(metric) ? percent(value) : number(value));
  const facts = [
    ["epoch", `${state.epoch} / ${state.epochs}`],
    ["batch", state.batches ? `${state.batch} / ${state.batches}` : String(state.batch)],
    ["loss", number(curves.smooth.at(-1))],
  ];
  if (metric !== null) {
    facts.push([metric.replaceAll("_", " "), shown(curves.metric.at(-1))]);
    const measured = finished.at(-1)?.[`val_${metric}`];
    if (measured !== undefined) facts.push([`${validation} ${metric.replaceAll("_", " ")}`, shown(measured)]);
  }
  facts.push(
    ["learning rate", number(state.lr)],
    ["images/s", state.speed ? Math.round(state.speed).toLocaleString("en") : "–"],
    ["time", duration(state.seconds)],
    ["time left", isOver() ? "–" : duration(state.seconds_left)],
  );
  children($("facts"), facts.length, () => element("div", {}, element("dt"), element("dd"))).forEach((row, i) => {
    setText(row.children[0], facts[i][0]);
    setText(row.children[1], facts[i][1]);
  });
  $("progress").value = state.batches ? (state.epoch - 1 + state.batch / state.batches) / state.epochs : 0;
  $("progress").setAttribute("aria-label", `epoch ${state.epoch} of ${state.epochs}`);
  setText($("model"), `${state.model}, ${state.parameters.toLocaleString("en")} parameters`);
}

const isOver = () => !["waiting", "running", "paused"].includes(outcome.state);

function drawStatus() {
  const name = lost ? "⚠ no connection to the training; this is its last state" : NAMES[outcome.state] ?? outcome.state;
  const status = $("status");
  setText(status, outcome.reason && !lost ? `${name}: ${outcome.reason}` : name);
  status.className = lost ? "lost" : outcome.state;
  const active = !lost && ["running", "paused"].includes(outcome.state);
  $("pause").disabled = $("stop").disabled = !active;
  setText($("pause"), outcome.state === "paused" ? "Resume" : "Pause");
  const plain = lost ? "no connection" : outcome.state;
  document.title = state ? `${plain}: epoch ${state.epoch}/${state.epochs}, ${state.model}` : "training dashboard";
}

function draw() {
  if (state) {
    drawFacts();
    drawCharts();
    drawPredictions();
    drawLayers();
    drawRest();
  }
  drawStatus();
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  return { ok: answer.ok, content: await answer.json() };
}

async function command(what) {
  try {
    const body = JSON.stringify(what);
    const answer = await ask("control", { method: "POST", headers: { "X-Token": TOKEN }, body });
    if (answer.ok && what.do !== "look") await look();
  } catch { /* the next question will notice that nobody is there */ }
}

async function look() {
  try {
    const { content } = await ask(state ? `state?seen=${state.version}` : "state");
    if (content.news) {
      if (state && content.news.version < state.version) location.reload(); // another training has our address now
      state = content.news;
      if (state.image !== undefined && !pictures.length) pictures = (await ask("pictures")).content;
    }
    outcome = content.status;
    lost = false;
    if (content.news || isOver()) draw();
  } catch {
    lost = true;
  }
  drawStatus();
}

async function watch() {
  if (!isOver()) await look();
  if (!isOver()) setTimeout(watch, lost ? 4 * EVERY : EVERY);
}

$("pause").addEventListener("click", () => command({ do: outcome.state === "paused" ? "resume" : "pause" }));
$("stop").addEventListener("click", () => {
  const button = $("stop");
  if (button.classList.contains("sure")) command({ do: "stop" });
  else setTimeout(() => { button.classList.remove("sure"); setText(button, "Stop"); }, 4000);
  button.classList.toggle("sure");
  setText(button, button.classList.contains("sure") ? "Really stop?" : "Stop");
});
$("log").addEventListener("change", () => state && drawCharts());
new ResizeObserver(() => state && drawCharts()).observe(document.querySelector("main"));
watch();
