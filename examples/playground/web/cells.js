// A tensor as a grid of cells: painted by sign and size, walked through by arrow keys.

import { el, signed } from "./dom.js";

const cells = new Map(); // "conv.out value 0,2,2" -> element

export const keyOf = (name, side, index) => `${name} ${side} ${index.join()}`;
export const cellOf = (name, side, index) => cells.get(keyOf(name, side, index));

/** All cells of a tensor in maps of rows of indices; `side` is "value" or "gradient". */
export function grid(name, side, maps, label) {
  const cell = (index) => {
    const node = el("div", { role: "gridcell", class: "cell nil", tabindex: "-1" });
    node.at = { name, side, index };
    cells.set(keyOf(name, side, index), node);
    return node;
  };
  const row = (indices) => el("div", { role: "row", class: "row" }, indices.map(cell));
  const map = (rows) => el("div", { role: "rowgroup", class: "map" }, rows.map(row));
  const node = el(
    "div",
    { role: "grid", class: "maps", "aria-label": label, "data-name": name },
    maps.map(map),
  );
  node.querySelector(".cell").tabIndex = 0;
  node.addEventListener("keydown", walk);
  return node;
}

const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/** To the nearest cell in the direction of the arrow, wherever the maps stand; Home and End to the ends. */
function walk(event) {
  if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...event.currentTarget.querySelectorAll(".cell")];
  let next;
  if (event.key === "Home") next = all[0];
  else if (event.key === "End") next = all.at(-1);
  else if (ARROWS[event.key]) next = nearest(event.target, all, ...ARROWS[event.key]);
  else return;
  event.preventDefault();
  next?.click();
}

function nearest(from, all, right, down) {
  const middle = (node) => {
    const box = node.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(from),
    size = from.offsetWidth / 2;
  let best = null,
    least = Infinity;
  for (const node of all) {
    const [a, b] = middle(node);
    const along = right ? (a - x) * right : (b - y) * down,
      aside = Math.abs(right ? b - y : a - x);
    if (along > size && aside < size && along < least) [best, least] = [node, along];
  }
  return best;
}

const DEPTHS = 24;

/** A rule of style for each sign and depth of colour; classes repaint faster than a style of each cell's own. */
export function shades() {
  const rule = (sign, depth) =>
    `.${sign}.d${depth}{background-color:color-mix(in oklab,var(--${sign}) ${Math.round((88 * depth) / DEPTHS)}%,var(--cell))}`;
  const depths = Array.from({ length: DEPTHS + 1 }, (_, depth) => depth);
  return el("style", ["pos", "neg"].flatMap((sign) => depths.map((depth) => rule(sign, depth))).join("\n"));
}

/** 0 to 1 by the square root of the size: beside an outlier the small numbers of a tensor still have colour. */
export function depthOf(value, scale) {
  return scale > 0 ? Math.sqrt(Math.min(1, Math.abs(value) / scale)) : 0;
}

/** Sign by colour and by mark, size by depth of colour, against the largest of the tensor. */
export function paint(node, value, scale, wrong) {
  const depth = Math.ceil(DEPTHS * depthOf(value, scale));
  const kind = `cell ${signed(value)} d${depth}${wrong ? " wrong" : ""}`;
  if (node.kind !== kind) {
    node.kind = kind;
    node.className = kind + (node.marks ?? "");
  }
}

/** Put marks (" chosen", " lit", " also") on cells and take them off all others. */
export function mark(marks) {
  for (const [key, node] of cells) {
    const own = marks.get(key) ?? "";
    if ((node.marks ?? "") !== own) {
      node.marks = own;
      node.className = node.kind + own;
    }
  }
}

export function everyCell() {
  return cells.values();
}
