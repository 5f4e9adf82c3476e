"use strict";
// Draws a board (grids of texts) and its steps; every number on it was computed and written by the Python package.
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const make = (tag, parent, text = "", className = "") => {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  element.className = className;
  return element;
};

let board, cells, captions, blocks, widths;  // of the direction that is shown
let at = 0, revealed = true, timer = null;

function lay(direction) {
  board = data.boards.find((each) => each.direction === direction);
  cells = {};
  captions = {};
  widths = longest();
  find("board").replaceChildren();
  find("board").className = Math.max(...Object.values(widths)) > 3 ? direction : `${direction} short`;
  blocks = board.blocks.map((block) => {
    const box = make("div", find("board"), "", "block");
    const title = make("h2", box, block.title);
    const row = make("div", box, "", "grids");
    for (const stack of block.stacks) {
      const column = make("div", row, "", "stack");
      for (const line of stack) {
        const grids = make("div", column, "", "grids");
        for (const key of line) table(grids, key);
      }
    }
    return { box, title, text: block.title };
  });
  find("notes").replaceChildren();
  for (const note of board.notes) make("li", find("notes"), note);
  find("now").lastChild.textContent = ` ${board.now}`;
  const grids = Object.values(board.grids);
  document.querySelector(".for-border").hidden = !grids.some((grid) => grid.border.length);
  document.querySelector(".for-max").hidden = !board.steps.some((step) =>
    Object.values(step.marks).flat().some(([, , mark]) => mark === "winner"));
  for (const button of find("directions").children) {
    button.setAttribute("aria-pressed", button.dataset.direction === direction);
  }
  find("slider").max = board.steps.length - 1;
}

function table(parent, key) {
  const grid = board.grids[key];
  const element = make("table", make("div", parent, "", "scroll"));
  captions[key] = make("caption", element, grid.title);
  element.style.setProperty("--chars", widths[grid.kind]);
  if (grid.columns.length) {
    const head = make("tr", element);
    if (grid.rows.length) make("th", head);
    for (const column of grid.columns) make("th", head, minus(column)).scope = "col";
  }
  const borders = new Set(grid.border.map(String));
  cells[key] = grid.cells.map((texts, i) => {
    const row = make("tr", element);
    if (grid.rows.length) make("th", row, minus(grid.rows[i])).scope = "row";
    return texts.map((text, j) => {
      const cell = make("td", row, text);
      cell.dataset.base = borders.has(`${i},${j}`) ? "border" : "";
      if (cell.dataset.base) cell.title = "padding";
      return cell;
    });
  });
}

const minus = (number) => String(number).replace("-", "−");

function longest() {  // the longest text of each kind of grid: columns must not jump when their numbers change
  const found = {}, starred = new Set();
  for (const [key, marks] of board.steps.flatMap((step) => Object.entries(step.marks))) {
    if (marks.some(([, , mark]) => mark === "winner")) starred.add(board.grids[key].kind);
  }
  for (const [key, { kind, cells }] of Object.entries(board.grids)) {
    const written = board.steps.flatMap((step) => step.cells[key] ?? []).map(([, , text]) => text);
    found[kind] = Math.max(found[kind] ?? 1, ...[...cells.flat(), ...written].map((text) => text.length));
  }
  for (const kind of starred) found[kind] += 1;  // the star does not cover a digit
  return found;
}

function show(number, reveal = !find("predict").checked) {
  at = Math.max(0, Math.min(number, board.steps.length - 1));
  revealed = reveal;
  const step = board.steps[at];
  const texts = Object.fromEntries(Object.entries(board.grids).map(([key, grid]) => [key, grid.cells.map((row) => [...row])]));
  const titles = Object.fromEntries(Object.entries(board.grids).map(([key, grid]) => [key, grid.title]));
  for (const each of board.steps.slice(0, at + 1)) {
    for (const [key, changes] of Object.entries(each.cells)) for (const [i, j, text] of changes) texts[key][i][j] = text;
    Object.assign(titles, each.titles);
  }
  if (!revealed) hide(step, texts);
  for (const [key, rows] of Object.entries(cells)) {
    captions[key].textContent = titles[key];
    rows.forEach((row, i) => row.forEach((cell, j) => {
      if (cell.textContent !== texts[key][i][j]) cell.textContent = texts[key][i][j];
      cell.className = cell.dataset.base;
    }));
    for (const [i, j, mark] of step.marks[key] ?? []) {
      if (mark !== "winner" || revealed) rows[i][j].classList.add(mark);
      else rows[i][j].classList.add("window");
    }
    follow(key, step);
  }
  blocks.forEach(({ box, title, text }, i) => {
    const idle = step.idle.includes(i);
    box.classList.toggle("idle", idle);
    title.textContent = idle ? `${text}: not seen by this filter` : text;
  });
  find("say").textContent = revealed ? step.say + step.result : `${step.say}: what comes out?`;
  find("lines").replaceChildren();
  for (const line of revealed ? step.lines : ["Work it out, then press → or the button."]) make("li", find("lines"), line);
  find("answer").hidden = revealed;
  find("slider").value = at;
  find("slider").setAttribute("aria-valuetext", `step ${at + 1} of ${board.steps.length}`);
  find("count").textContent = `${at + 1} / ${board.steps.length}`;
}

function hide(step, texts) {  // predict first: what this step computes
  for (const [key, changes] of Object.entries(step.cells)) {
    if (["x", "w", "dy"].includes(board.grids[key].kind)) continue;
    for (const [i, j, text] of changes) if (text) texts[key][i][j] = "?";
  }
  for (const [key, marks] of Object.entries(step.marks)) {
    const kind = board.grids[key].kind;
    for (const [i, j, mark] of marks) if (kind === "terms" || (kind !== "dy" && mark === "now")) texts[key][i][j] = "?";
  }
}

function follow(key, step) {  // a grid too wide for the screen shows the window
  const marked = step.marks[key]?.[0];
  const frame = cells[key][0][0].closest(".scroll");
  if (marked && frame.scrollWidth > frame.clientWidth) {
    frame.scrollLeft = cells[key][marked[0]][marked[1]].offsetLeft - frame.clientWidth / 3;
  }
}

function forth() {
  if (!revealed) show(at, true);
  else if (at < board.steps.length - 1) show(at + 1);
  else return false;
  return true;
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => { if (!forth()) play(false); }, Number(find("speed").value)) : null;
  find("play").textContent = on ? "pause" : "play";
  find("say").setAttribute("aria-live", on ? "off" : "polite");  // nobody can listen that fast
}

function turn(direction) {
  play(false);
  lay(direction);
  show(at);
}

const actions = {
  first: () => show(0), back: () => show(at - 1, true), next: forth, last: () => show(board.steps.length - 1, true),
};
for (const [id, action] of Object.entries(actions)) find(id).addEventListener("click", () => { play(false); action(); });
find("answer").addEventListener("click", () => { show(at, true); find("next").focus(); });
find("play").addEventListener("click", () => {
  const start = timer === null;
  if (start && at === board.steps.length - 1 && revealed) show(0);
  play(start);
});
find("slider").addEventListener("input", () => { play(false); show(Number(find("slider").value)); });
find("speed").addEventListener("change", () => { if (timer !== null) play(true); });
find("predict").addEventListener("change", () => show(at));
const keys = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last", " ": "play", p: "predict" };
document.addEventListener("keydown", (event) => {
  const id = keys[event.key];
  if (!id || event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
  if (event.key === " " && event.target.closest("button, input")) return;  // it presses what has the focus
  event.preventDefault();
  find(id).click();
});
for (const { direction } of data.boards) {
  const button = make("button", find("directions"), direction);
  button.type = "button";
  button.dataset.direction = direction;
  button.addEventListener("click", () => turn(direction));
}
lay(data.start);
show(0);
