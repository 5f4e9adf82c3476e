// Shows a recording again. Every number was computed by the Python package: here they are only looked up and drawn.
const find = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

let at = 0, scene = data.first, looked = null, timer = null, scale = null, sourceOpen = true;

// ---- what is known at a frame

const changes = entries.map(() => []);  // entry → the frames that give it its value, and its gradient piece by piece
frames.forEach((frame, i) => {
  if (i) changes[frame.node].push(i);
  for (const [e] of frame.also ?? []) changes[e].push(i);  // of several events, those that are not shown
});
const pieces = (e) => changes[e].filter((i) => frames[i].phase === "backward" && frames[i].node === e);
const firstBackward = frames.findIndex((frame) => frame.phase !== "start" && frame.phase !== "forward");
const lastForward = (firstBackward < 0 ? frames.length : firstBackward) - 1;
const isComputed = (e) => !changes[e].length || frames[changes[e][0]].phase !== "forward" || changes[e][0] <= at;
const valueOf = (e) => (isComputed(e) ? entries[e].value : null);
function gradientOf(e, until = at) {
  const last = changes[e].filter((i) => i <= until && frames[i].phase !== "forward").at(-1);
  if (last === undefined) return entries[e].grad ?? null;
  return frames[last].node === e ? frames[last].total : frames[last].also.find(([other]) => other === e)[1];
}
const missing = (e, what) => {
  const isSure = what === "value" ? !isComputed(e) : data.backward || entries[e].kind === "parameter" || !isComputed(e);
  return isSure ? NOT_YET : "not recorded";
};

// ---- the panel

const GLOSSARY = {
  im2col: "im2col(x) has the windows of x as columns.",
  col2im: "col2im adds columns back onto the pixels they came from.",
  onehot: "onehot(target) is 1 for the right class and 0 for all others.",
  "Σ": "Σ adds up; for a bias, over samples and places.",
  "ᵀ": "ᵀ swaps rows and columns.",
};

function heading(phase, badge, ...names) {
  const head = make("div", find("panel"), "", `head ${phase}`);
  make("span", head, badge, "badge");
  const title = make("h2", head);
  names.forEach((name, i) => {
    if (i) make("span", title, " ▶ ", "arrow");
    make("span", title, soft(name));
  });
}

function laws(e, input) {  // input: null for the forward formula, else whose gradient it is about
  const entry = entries[e], box = make("div", find("panel"), "", "laws");
  const line = (text, filled, active) => {
    const p = make("p", box, "", active ? "law active" : "law");
    make("span", p, active ? "▶" : "", "pointer");
    const math = make("span", p, "", "math");
    make("span", math, text);
    if (filled && active !== false) make("span", math, text.includes("\n") ? `\n= ${filled}` : ` = ${filled}`, "filled");
  };
  line(entry.forward, isComputed(e) && entry.forward_filled, input === null || undefined);
  for (const [name, text, filled] of entry.backward) {
    const known = gradientOf(e) !== null && data.backward && filled;
    line(text, (input === name || input === undefined) && known, input === name || undefined);
  }
  const all = box.textContent, words = Object.keys(GLOSSARY).filter((word) => all.includes(word));
  if (words.length) make("p", box, words.map((word) => GLOSSARY[word]).join(" "), "stats");
}

function chain(e) {  // nothing yet → +0.3 → +0.7 = 1
  if (changes[e].some((i) => frames[i].count > 1)) return;  // then not every piece has a frame
  const whole = pieces(e), done = whole.filter((i) => i <= at);
  const p = make("p", find("panel"), "", "chain");
  make("span", p, done.length ? "nothing yet" : NOT_YET, "soft");
  for (const i of done) {
    const text = inBrief(frames[i].dx);
    make("span", p, " → ");
    make("span", p, signed(text), i === at ? "new" : "");
  }
  if (done.length) make("b", p, ` = ${inBrief(gradientOf(e, done.at(-1)))}`);
  const left = whole.length - done.length;
  if (left) make("span", p, ` (${left} ${done.length ? "more " : ""}to come)`, "soft");
}

function details(e, backward) {
  const entry = entries[e], box = find("panel");
  if (entry.where) {
    make("h3", box, "Your code");
    make("p", box, entry.where, "stats");
    if (entry.code) make("pre", box, entry.code);
  }
  const sources = data.sources[entry.source] ?? [];
  if (sources.length && backward) {
    const fold = make("details", box);
    make("summary", fold, `How this package computes it: backward of ${entry.title}`);
    fold.open = sourceOpen;
    fold.ontoggle = () => { sourceOpen = fold.open; };
    for (const source of sources) {
      make("p", fold, source.where, "stats");
      make("pre", fold, source.code);
    }
  }
  const list = make("dl", box);
  const [forward, back] = entry.seconds ?? [];
  const facts = { size: entry.size, settings: entry.details, memory: entry.bytes, forward, backward: back };
  for (const [name, fact] of Object.entries(facts)) {
    if (!fact) continue;
    const pair = make("div", list);
    make("dt", pair, name);
    make("dd", pair, fact);
  }
}

const figures = () => make("div", find("panel"), "", "figures");

function forwardPanel(e) {
  const entry = entries[e];
  heading("forward", "forward", entry.name);
  make("p", find("panel"), `${entry.title} computes its value from ${entry.inputs.map((i) => i.name).join(", ")}.`);
  laws(e, null);
  const row = figures();
  figure(row, `value of ${entry.name}`, valueOf(e), missing(e, "value"), "operation", "→");
  for (const { name, entry: i } of entry.inputs.filter((input) => input.entry !== null)) {
    figure(row, name === entries[i].name ? name : `${name}: ${entries[i].name}`, valueOf(i), missing(i, "value"), entries[i].kind);
  }
  details(e);
}

function backwardPanel(frame) {
  const e = frame.node, entry = entries[e], kind = entry.kind, row = () => figures();
  if (frame.from === undefined) {
    heading("backward", "backward begins", entry.name);
    const p = "If the result itself grows a little, by how much does the loss grow? By just as much: the first gradient is 1.";
    make("p", find("panel"), frame.total !== null && inBrief(frame.total) === "1" ? p : "This gradient was given: backward began with it, or it comes from outside this picture.");
    figure(row(), `∂L/∂${entry.name}`, frame.total);
    return details(e, true);
  }
  const from = entries[frame.from], before = gradientOf(e, at - 1), first = pieces(e)[0] === at;
  heading("backward", "backward", from.name, entry.name);
  const p = make("p", find("panel"));
  make("b", p, from.title);
  make("span", p, from.words ? `: ${from.words}.` : " hands its gradient on.");
  laws(frame.from, frame.input);
  chain(e);
  const box = row();
  figure(box, `gradient that arrived at ${from.name}`, gradientOf(frame.from));
  if (!first) figure(box, `gradient of ${entry.name} so far`, before, NOT_YET, kind);
  figure(box, `what it gives to ${entry.name}`, frame.dx, NOT_YET, kind, first ? "→" : "+");
  if (!first) figure(box, `gradient of ${entry.name} now`, frame.total, NOT_YET, kind, "=");
  details(frame.from, true);
}

function keptPanel(frame) {
  const entry = entries[frame.node];
  heading("backward", "gradient complete", entry.name);
  const more = pieces(frame.node).length && gradientOf(frame.node, at - 1) !== frame.total ? " It held a gradient from before, to which this one was added." : "";
  make("p", find("panel"), `All contributions are in, and the gradient goes to .grad, where the optimizer finds it.${more}`);
  chain(frame.node);
  const row = figures();
  figure(row, `${entry.name}`, entry.value, "not recorded", entry.kind);
  figure(row, `${entry.name}.grad`, frame.total, NOT_YET, entry.kind);
  details(frame.node);
}

function hookedPanel(frame) {
  const e = frame.node, { name, kind } = entries[e];
  heading("backward", "a hook", name);
  make("p", find("panel"), "Your program hung a hook on it, which puts another gradient in the place of the one that arrived.");
  chain(e);
  const row = figures();
  figure(row, `gradient of ${name} so far`, gradientOf(e, at - 1), NOT_YET, kind);
  figure(row, `gradient of ${name} now`, frame.total, NOT_YET, kind, "=");
  details(e);
}

function inspectPanel() {
  const box = scenes[scene].boxes[looked.box], e = looked.entry ?? box.entry, entry = entries[e];
  heading("look", "looking at", looked.entry === undefined && (box.kind === "module" || e === null) ? box.title : entry.name);
  const row = make("p", find("panel"), "", "row");
  if (frames.length > 1) make("button", row, "◀ follow the replay (Esc)").onclick = follow;
  if (e === null) return make("p", find("panel"), "Too many operations to draw; what happens here lights this box.");
  const other = (step) => tabs[tabs.indexOf(scene) + step];
  if (box.open !== undefined) make("button", row, "open this module").onclick = () => show(box.open);
  else if (box.kind === "module" && other(-1) !== undefined) make("button", row, "open modules").onclick = () => show(other(-1), e);
  if (tabs.includes(scene) && other(1) !== undefined) make("button", row, "close modules").onclick = () => show(other(1), e);
  if (box.kind === "module") {
    make("p", find("panel"), `A module: ${box.details}. Its value is that of its last operation. Inside:`);
    const list = make("p", find("panel"), "", "inside");
    for (const i of box.inside) {
      const button = make("button", list, entries[i].name);
      button.setAttribute("aria-pressed", i === e);
      button.onclick = () => { looked.entry = i; refresh(); };
    }
  }
  if (entry.kind === "operation") laws(e);
  if (entry.kind !== "data" && data.backward) chain(e);
  const both = figures();
  figure(both, "value", valueOf(e), missing(e, "value"), entry.kind);
  if (entry.kind === "data") make("p", find("panel"), "Data: nobody asks for its gradient.", "stats");
  else figure(both, "gradient", gradientOf(e), missing(e, "grad"), entry.kind);
  details(e, true);
}

function panel() {
  const frame = frames[at], box = find("panel");
  box.replaceChildren();
  if (looked !== null) return inspectPanel();
  if (frame.phase === "start") {
    heading("look", "replay", frames.length > 1 ? "How to read this page" : "Nothing was recorded");
    box.append(find(frames.length > 1 ? "intro" : "unrecorded").content.cloneNode(true));
    const start = box.querySelector(".start");
    if (start) start.onclick = () => go(1);
  } else if (frame.phase === "forward") forwardPanel(frame.node);
  else if (frame.phase === "backward") backwardPanel(frame);
  else if (frame.phase === "hooked") hookedPanel(frame);
  else keptPanel(frame);
  box.scrollTop = 0;
}

function sentence() {
  const frame = frames[at], name = frame.node === undefined ? "" : entries[frame.node].name;
  if (frame.phase === "start") {
    if (frames.length === 1) return "nothing was recorded: click a box to look at it";
    const back = frames.length - 1 - lastForward;
    return `at the beginning: ${lastForward} steps forward${back ? `, then ${back} backward` : "; backward was not recorded"}`;
  }
  const step = `step ${at} of ${frames.length - 1}: `, more = frame.count > 1 ? ` (${frame.count} events at once)` : "";
  if (frame.phase === "forward") {
    const value = entries[frame.node].value;
    return `${step}${name} computes its value${value === null ? "" : `, ${inBrief(value)}`}${more}`;
  }
  const text = inBrief(frame.dx ?? frame.total);
  if (frame.phase === "hooked") return `${step}a hook makes the gradient of ${name} ${text}${more}`;
  if (frame.phase === "kept") return `${step}${name} has its whole gradient, ${text}, and adds it to .grad${more}`;
  if (frame.from === undefined) return `${step}backward begins: the gradient of ${name} with respect to itself is ${text}`;
  return `${step}${entries[frame.from].name} gives ${name}: ${signed(text)}${more}`;
}

// ---- the drawing

// from the finest to the coarsest; the insides of single modules have no tab
const tabs = scenes.map((one, i) => i).filter((i) => scenes[i].parent === null);
const drawings = [...document.querySelectorAll(".scene")];
const SVG = "http://www.w3.org/2000/svg";

// A box's place and size, from its corners: a page in a frame that is not shown yet has no layout to ask.
function extent(shape) {
  const numbers = (shape.getAttribute("points") ?? shape.getAttribute("d")).match(/-?[\d.]+/g).map(Number);
  const xs = numbers.filter((_, i) => i % 2 === 0), ys = numbers.filter((_, i) => i % 2);
  const x = Math.min(...xs), y = Math.min(...ys);
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

function prepared(s) {  // finds the boxes and arrows of a drawing when it is first shown
  const known = scenes[s];
  if (known.nodes) return known;
  const svg = drawings[s].querySelector("svg"), part = (id) => svg.querySelector(`[id="s${s}-${id}"]`);
  svg.setAttribute("role", "group");
  svg.removeAttribute("aria-labelledby");
  known.svg = svg;
  known.root = svg.querySelector("g");
  known.nodes = known.boxes.map((box, i) => {
    const g = part(`n${i}`), texts = [...g.querySelectorAll("text")], shape = extent(g.querySelector("path, polygon"));
    const grad = texts.at(-1)?.textContent.startsWith("grad not") ? texts.pop() : null;
    const value = texts.at(-1)?.textContent.startsWith("value not") ? texts.pop() : null;
    for (const text of [value, grad]) {
      if (!text) continue;
      text.setAttribute("text-anchor", "middle");
      text.setAttribute("x", shape.x + shape.width / 2);
    }
    g.tabIndex = 0;
    g.setAttribute("role", "button");
    g.querySelector("title")?.remove();
    g.onclick = () => inspect(i);
    g.onkeydown = (event) => { if (event.key === "Enter") inspect(i); };
    return { g, shape, value, grad };
  });
  known.edges = known.arrows.map((_, k) => part(`a${k}`));
  return known;
}

function paint() {
  const known = prepared(scene), frame = frames[at], spot = (e) => (e === undefined ? undefined : known.place[e] ?? undefined);
  const active = spot(frame.node), sender = spot(frame.from), phase = frame.phase === "forward" ? "forward" : "backward";
  known.svg.querySelectorAll(".mark").forEach((mark) => mark.remove());
  known.nodes.forEach(({ g, shape, value, grad }, i) => {
    const box = known.boxes[i], e = box.entry, data_ = box.kind === "data";
    const v = e === null ? null : valueOf(e), d = e === null ? null : gradientOf(e);
    const pending = e !== null && !isComputed(e), words = e === null ? [] : [
      `value ${v === null ? missing(e, "value") : inBrief(v)}`, data_ ? "" : `grad ${d === null ? missing(e, "grad") : inBrief(d)}`];
    if (value) value.textContent = words[0];
    if (grad) grad.textContent = words[1];
    const marks = { pending, graded: d !== null, active: i === active, sender: i === sender, picked: looked?.box === i };
    g.setAttribute("class", ["node", box.kind, phase, ...Object.keys(marks).filter((mark) => marks[mark])].join(" "));
    g.setAttribute("aria-label", [box.kind, box.title, ...words].filter(Boolean).join(", ") + (i === active ? "; active" : ""));
    if (i === active) badge(known.root, shape.x, shape.y, phase);
  });
  const lit = new Set();
  const light = (from, to, name) => {
    const between = known.arrows.map((arrow, k) => k).filter((k) => known.arrows[k][0] === from && known.arrows[k][1] === to);
    const k = between.find((each) => known.arrows[each][2] === name) ?? between[0];
    if (from !== to && k !== undefined) lit.add(k);
  };
  if (frame.phase === "forward") for (const input of entries[frame.node].inputs) light(spot(input.entry ?? undefined), active, input.name);
  else if (sender !== undefined) light(active, sender, frame.input);
  known.edges.forEach((g, k) => g.setAttribute("class", `edge ${lit.has(k) ? `lit ${phase}` : ""}`));
  lit.forEach((k) => travel(known, k, phase));
  if (looked === null) keep([active, sender].filter((i) => i !== undefined).map((i) => known.nodes[i].g));
}

function badge(parent, x, y, phase) {
  const g = parent.appendChild(document.createElementNS(SVG, "g"));
  g.setAttribute("class", `mark badge ${phase}`);
  g.setAttribute("transform", `translate(${x + 3} ${y + 3})`);
  for (const [tag, shape] of [["circle", { r: 9 }], ["path", { d: "M-3,-5 L5,0 L-3,5 Z" }]]) {
    const element = g.appendChild(document.createElementNS(SVG, tag));
    for (const [name, value] of Object.entries(shape)) element.setAttribute(name, value);
  }
}

function travel(known, k, phase) {  // a triangle on an arrow: the way the value goes, or the gradient against it
  const path = known.edges[k].querySelector("path"), total = path.getTotalLength(), { shape } = known.nodes[known.arrows[k][0]];
  const begin = path.getPointAtLength(0), end = path.getPointAtLength(total), middle = [shape.x + shape.width / 2, shape.y + shape.height / 2];
  const far = (point) => Math.hypot(point.x - middle[0], point.y - middle[1]);
  const onwards = (far(begin) < far(end)) === (phase === "forward");
  const mark = document.createElementNS(SVG, "path");
  known.edges[k].append(mark);
  mark.setAttribute("class", `mark flow ${phase}`);
  mark.setAttribute("d", "M-6,-5.5 L7,0 L-6,5.5 Z");
  const put = (t) => {
    const [p, q] = [t - 0.02, t + 0.02].map((s) => path.getPointAtLength(total * (onwards ? s : 1 - s)));
    mark.setAttribute("transform", `translate(${q.x} ${q.y}) rotate(${(Math.atan2(q.y - p.y, q.x - p.x) * 180) / Math.PI})`);
  };
  if (still.matches) return put(0.5);
  const since = performance.now();
  const move = (now) => {
    const t = Math.min(1, (now - since) / 450);
    put(0.05 + 0.5 * t * (2 - t));
    if (t < 1 && mark.isConnected) requestAnimationFrame(move);
  };
  put(0.05);
  requestAnimationFrame(move);
}

function keep(parts) {  // in view
  if (!parts.length) return;
  const paper = find("paper"), view = paper.getBoundingClientRect(), boxes = parts.map((g) => g.getBoundingClientRect());
  const [left, top] = ["left", "top"].map((side) => Math.min(...boxes.map((box) => box[side])));
  const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...boxes.map((box) => box[side])));
  const calm = left >= view.left && right <= view.right && top >= view.top + 30 && bottom <= view.bottom - 30;
  if (calm) return;
  const across = (left + right - view.left - view.right) / 2, down = (top + bottom - view.top - view.bottom) / 2;
  const isJump = still.matches || Math.abs(down) > view.height || (timer && Number(find("speed").value) < 500);
  paper.scrollBy({ left: across, top: down, behavior: isJump ? "auto" : "smooth" });
}

function zoom(wanted) {  // CSS pixels per point; null: as fits well
  const paper = find("paper"), { svg } = prepared(scene), { width, height } = svg.viewBox.baseVal;
  const wide = (paper.clientWidth - 12) / width, all = Math.min(wide, (paper.clientHeight - 24) / height, 1.9);
  scale = wanted;
  const readable = all > 0.9 ? all : Math.min(1.7, Math.max(0.85, wide));
  const used = Math.min(4, Math.max(0.05, wanted === "fit" ? all : wanted ?? readable));
  svg.style.width = `${width * used}px`;
  svg.style.height = `${height * used}px`;
  return used;
}

function show(s, near = frames[at].node) {  // near which entry
  scene = s;
  looked = null;
  drawings.forEach((drawing, i) => { drawing.hidden = i !== s; });
  [...find("levels").children].forEach((button) => button.setAttribute("aria-pressed", Number(button.dataset.scene) === s));
  find("up").hidden = scenes[s].parent === null;
  find("paper").scrollTo(0, 0);
  zoom(scale === "fit" ? "fit" : scale);
  const { svg, nodes, place: places } = prepared(s);
  find("paper").scrollLeft = (svg.clientWidth - find("paper").clientWidth) / 2;
  refresh();
  if (places[near] != null) keep([nodes[places[near]].g]);
  const kinds = new Set(scenes[s].boxes.map((box) => box.kind));
  for (const item of find("legend").children) item.hidden = item.dataset.kind && !kinds.has(item.className);
}

function inspect(box) {
  pause();
  looked = looked?.box === box ? null : { box };
  refresh();
}
function follow() { looked = null; refresh(); }

// ---- the controls

function refresh() {
  find("slider").value = at;
  find("say").textContent = sentence();
  find("slider").setAttribute("aria-valuetext", sentence());
  for (const [id, from, to] of [["forward", 1, lastForward], ["backward", firstBackward, frames.length - 1]]) {
    find(id).setAttribute("aria-pressed", from > 0 && at >= from && at <= to);
  }
  find("home").disabled = find("back").disabled = at === 0;
  find("next").disabled = find("end").disabled = at === frames.length - 1;
  panel();
  paint();
}
function go(i) {
  at = Math.max(0, Math.min(frames.length - 1, i));
  if (at === frames.length - 1) pause();
  refresh();
}
function pause() {
  clearInterval(timer);
  timer = null;
  find("play").lastChild.textContent = " play";
  find("play").firstChild.textContent = "▶";
}
function play() {
  if (timer) return pause();
  if (at === frames.length - 1) at = 0;
  looked = null;
  timer = setInterval(() => go(at + 1), Number(find("speed").value));
  find("play").lastChild.textContent = " pause";
  find("play").firstChild.textContent = "❚❚";
  go(at + 1);
}
const by = (step) => { pause(); go(at + step); };

find("slider").max = frames.length - 1;
find("slider").oninput = (event) => { pause(); go(Number(event.target.value)); };
find("home").onclick = () => by(-Infinity);
find("back").onclick = () => by(-1);
find("next").onclick = () => by(1);
find("end").onclick = () => by(Infinity);
find("play").onclick = play;
find("speed").onchange = () => { if (timer) { pause(); play(); } };
for (const [id, first, last] of [["forward", 1, lastForward], ["backward", firstBackward, frames.length - 1]]) {
  const count = first > 0 ? last - first + 1 : 0;
  find(id).textContent = count ? `${id} ${count}` : `${id}: not recorded`;
  find(id).disabled = !count;
  find(id).style.flexGrow = count || 5;
  find(id).onclick = () => { pause(); go(first); };
}
find("smaller").onclick = () => zoom(zoom(scale) / 1.25);
find("larger").onclick = () => zoom(zoom(scale) * 1.25);
find("full").onclick = () => { zoom(4 / 3); paint(); };
find("fit").onclick = () => zoom("fit");
find("up").onclick = () => show(scenes[scene].parent);

for (const i of tabs.length > 1 ? tabs : []) {
  const button = make("button", find("levels"), scenes[i].name);
  button.dataset.scene = i;
  button.onclick = () => show(i);
}

document.addEventListener("keydown", (event) => {
  const own = event.target.closest("select, input, button, summary, canvas");
  if (event.ctrlKey || event.altKey || event.metaKey || own?.matches("select")) return;
  if (event.key === "Escape") follow();
  else if (event.key === " " && !own?.matches("button, summary")) play();
  else if (own?.matches("input")) return;  // the slider knows these keys itself
  else if (event.key === "ArrowLeft") by(-1);
  else if (event.key === "ArrowRight") by(1);
  else if (event.key === "Home") by(-Infinity);
  else if (event.key === "End") by(Infinity);
  else return;
  event.preventDefault();
});

find("paper").onpointerdown = (event) => {  // drag; fingers scroll anyway
  if (event.pointerType !== "mouse" || event.target.closest(".node")) return;
  const paper = find("paper"), drag = (now) => paper.scrollBy(-now.movementX, -now.movementY);
  paper.addEventListener("pointermove", drag);
  addEventListener("pointerup", () => paper.removeEventListener("pointermove", drag), { once: true });
};
addEventListener("resize", () => { if (scale === null || scale === "fit") zoom(scale); });
dark.addEventListener("change", panel);

if (frames.length === 1) for (const id of ["controls", "keys"]) find(id).hidden = true;
if (data.samples) {
  find("description").append(`; ${data.samples} large arrays are here as samples of their numbers, with the statistics of all`);
}
show(scene);

// For tests and the curious: replay.go(17); replay.gradient("features.conv1.weight")
const named = (name) => entries.findIndex((entry) => entry.name === name);
const whole = (n) => (n === null ? null : array(n));
window.replay = {
  frames, go, inspect,
  at: () => at,
  value: (name) => whole(valueOf(named(name))),
  gradient: (name) => whole(gradientOf(named(name))),
};
