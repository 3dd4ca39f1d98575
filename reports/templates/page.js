"use strict";
// Sorts tables and shows the details of cells. Text is inserted as text nodes only, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const panel = document.getElementById("panel");
let shown = null;   // the cell whose details are shown
let pinned = false; // whether they stay until they are closed

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svgElement(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// --- details of a cell ---

function detailsOf(cell) {
  const grid = data.grids[cell.closest("[data-grid]").dataset.grid];
  const details = grid.cells[cell.dataset.cell];
  const row = cell.parentElement.querySelector("th").textContent;
  const table = cell.closest("table");
  const head = table.tHead.rows[table.tHead.rows.length - 1].cells[cell.cellIndex];
  const column = head.dataset.name;
  const parts = [element("h4", {}, row + ", " + column), element("p", {class: "what"}, details.what)];
  const facts = element("dl");
  for (const {name, text} of details.facts) facts.append(element("dt", {}, name), element("dd", {}, text));
  parts.push(facts);
  if (details.curve) parts.push(curve(details.curve, details.what));
  if (details.seeds.length) parts.push(seeds(details.seeds, grid));
  if (details.settings.length) {
    parts.push(element("h5", {}, "Settings that differ from " + (details.base || "the usual ones")));
    const list = element("dl");
    for (const {field, value, other} of details.settings)
      list.append(element("dt", {}, field), element("dd", {}, value, element("small", {}, (details.base ? " there " : " usually ") + other)));
    parts.push(list);
  } else if (details.seeds.length) {
    const of = details.base ? "those of " + details.base : "the usual ones of this grid";
    parts.push(element("p", {class: "what"}, "All settings are " + of + "."));
  }
  return parts;
}

function seeds(list, grid) {
  const body = element("tbody");
  for (const {run, number} of list) {
    const {id, seed, state, detail} = grid.runs[run];
    const words = state === "done" ? "" : state + (detail ? ": " + detail : "");
    body.append(element("tr", {}, element("td", {}, String(seed)), element("td", {}, number || words),
      element("td", {}, element("code", {}, id)), element("td", {}, number ? words : "")));
  }
  const head = element("tr");
  for (const name of ["seed", "value", "run", ""]) head.append(element("th", {scope: "col"}, name));
  return element("table", {class: "seeds"}, element("thead", {}, head), body);
}

function curve(line, what) {
  const [width, height, left, bottom, top] = [300, 110, 42, 18, 6];
  const {epochs, mean, std} = line; // null replaces NaN
  const low = mean.map((value, i) => value === null ? null : value - (std[i] || 0));
  const high = mean.map((value, i) => value === null ? null : value + (std[i] || 0));
  const known = [...low, ...high].filter(value => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const [first, last] = [epochs[0], epochs[epochs.length - 1]];
  const x = value => left + (width - left - 6) * (value - first) / (last - first || 1);
  const y = value => top + (height - top - bottom) * (most - value) / (most - least || 1);
  const defined = epochs.map((_, i) => i).filter(i => mean[i] !== null);
  const point = (i, side) => x(epochs[i]).toFixed(1) + "," + y(side[i]).toFixed(1);
  const svg = svgElement("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", class: "curve",
    "aria-label": "Learning curve: " + what + ", from " + mean[defined[0]] + " to " + mean[defined[defined.length - 1]]});
  svg.append(svgElement("line", {x1: left, x2: width - 6, y1: height - bottom, y2: height - bottom, class: "axis"}));
  svg.append(svgElement("polygon", {class: "band",
    points: [...defined.map(i => point(i, high)), ...defined.reverse().map(i => point(i, low))].join(" ")}));
  svg.append(svgElement("polyline", {class: "line", points: defined.reverse().map(i => point(i, mean)).join(" ")}));
  for (const [text, px, py, anchor] of [[most.toPrecision(3), left - 4, top + 8, "end"],
    [least.toPrecision(3), left - 4, height - bottom, "end"], ["epoch " + first, left, height - 4, "start"],
    [String(last), width - 6, height - 4, "end"]]) {
    const label = svgElement("text", {x: px, y: py, "text-anchor": anchor});
    label.textContent = text;
    svg.append(label);
  }
  return svg;
}

function show(cell, pin) {
  if (shown) shown.classList.remove("shown");
  shown = cell;
  pinned = pin;
  cell.classList.add("shown");
  const parts = detailsOf(cell);
  if (pin) {
    const close = element("button", {type: "button", class: "close", "aria-label": "Close"}, "×");
    close.addEventListener("click", hide);
    parts.unshift(close);
  }
  panel.replaceChildren(...parts);
  panel.hidden = false;
  place(cell);
  if (pin) panel.focus({preventScroll: true});
}

function place(cell) {
  const box = cell.getBoundingClientRect();
  if (window.innerWidth < 700) { // a sheet at the bottom, below the cell
    panel.style.left = panel.style.top = "";
    window.scrollBy(0, Math.max(0, box.bottom + panel.offsetHeight + 8 - window.innerHeight));
    return;
  }
  const left = Math.min(box.left, document.documentElement.clientWidth - panel.offsetWidth - 12);
  const below = box.bottom + 6 + panel.offsetHeight <= window.innerHeight || box.top < panel.offsetHeight + 6;
  const top = below ? box.bottom + 6 : box.top - panel.offsetHeight - 6;
  panel.style.left = Math.max(8, left) + window.scrollX + "px";
  panel.style.top = top + window.scrollY + "px";
}

function hide() {
  if (!shown) return;
  const back = pinned && panel.contains(document.activeElement) ? shown : null;
  shown.classList.remove("shown");
  shown = null;
  pinned = false;
  panel.hidden = true;
  if (back) back.focus({preventScroll: true});
}

function prepare(table) {
  const cells = [...table.querySelectorAll("td[data-cell]")];
  for (const cell of cells) {
    cell.tabIndex = -1;
    cell.setAttribute("aria-haspopup", "dialog");
  }
  if (cells.length) cells[0].tabIndex = 0;
  const at = event => event.target.closest("td[data-cell]");
  let wait = 0;
  table.addEventListener("pointerover", event => {
    const cell = at(event);
    clearTimeout(wait);
    if (event.pointerType === "mouse") wait = setTimeout(() => pinned || (cell ? show(cell, false) : hide()), 90);
  });
  table.addEventListener("pointerleave", () => { clearTimeout(wait); if (!pinned) hide(); });
  table.addEventListener("click", event => { if (at(event)) show(at(event), true); });
  table.addEventListener("keydown", event => {
    const cell = at(event);
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(cell, true); return; }
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...table.querySelectorAll("tbody tr:not(.block)")];
    const row = rows[rows.indexOf(cell.parentElement) + step[0]];
    const next = row && row.cells[cell.cellIndex + step[1]];
    if (next && next.tagName === "TD") { cell.tabIndex = -1; next.tabIndex = 0; next.focus(); }
  });
}

// --- sorting ---

function key(row, column) {
  const cell = row.cells[column];
  if ("value" in cell.dataset) return Number(cell.dataset.value);
  const number = Number(cell.textContent);
  return cell.tagName === "TD" && cell.textContent && !Number.isNaN(number) ? number : cell.textContent;
}

function compare(a, b) { // numbers first, then texts
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
}

function sort(table, head, bodies) { // sorts the rows within each block
  const before = head.getAttribute("aria-sort");
  const up = head.dataset.better === "min" || head.cellIndex === 0; // the best value, or A, first
  const order = up ? ["ascending", "descending", null] : ["descending", "ascending", null];
  const now = order[(order.indexOf(before) + 1) % 3];
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  if (now) head.setAttribute("aria-sort", now);
  const sign = now === "descending" ? -1 : 1;
  for (const [body, rows] of bodies) {
    const sorted = now ? [...rows].sort((a, b) => {
      const [x, y] = [key(a, head.cellIndex), key(b, head.cellIndex)];
      return typeof x === typeof y ? sign * compare(x, y) : compare(x, y); // rows without a number stay at the end
    }) : rows;
    body.append(...sorted);
  }
}

function sortable(table) {
  const bodies = [...table.tBodies].map(body => [body, [...body.querySelectorAll("tr:not(.block)")]]);
  for (const head of table.tHead.rows[table.tHead.rows.length - 1].cells) {
    const button = element("button", {type: "button", title: "Sort"});
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head, bodies));
  }
}

// --- the list of runs, created when it is opened ---

function runs(details) {
  const grid = data.grids[details.closest("[data-grid]").dataset.grid];
  const head = element("tr");
  for (const name of ["run", ...grid.axes, "seed", "state"]) head.append(element("th", {scope: "col"}, name));
  const body = element("tbody");
  for (const {id, seed, state, detail, labels} of grid.runs) {
    const row = element("tr", {}, element("td", {}, element("code", {}, id)));
    for (const label of [...labels, String(seed), state + (detail ? ": " + detail : "")]) row.append(element("td", {}, label));
    body.append(row);
  }
  const table = element("table", {class: "runs sortable"}, element("thead", {}, head), body);
  details.append(element("div", {class: "wide"}, table));
  sortable(table);
}

for (const table of document.querySelectorAll("table.cells")) prepare(table);
for (const table of document.querySelectorAll("table.sortable")) sortable(table);
for (const details of document.querySelectorAll("details.runs"))
  details.addEventListener("toggle", () => { if (!details.querySelector("table")) runs(details); });
document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
document.addEventListener("click", event => {
  if (pinned && !panel.contains(event.target) && !event.target.closest("td[data-cell]")) hide();
});
