// The lens: one number at a time, with the sum that made it, and below it the sum that made its gradient.

import { changed } from "./arrays.js";
import { cellOf } from "./cells.js";
import { el, figure, number, placeOf, replace, titleOf, write, writeFigure, written } from "./dom.js";
import { gradientOf } from "./network.js";
import { change, endOfSeries, store } from "./store.js";
import { hasGradient, light, lightCells, numberAt, shownAs } from "./strip.js";
import { termsOf, tiedIn, usersOf, valueOf } from "./terms.js";

export const EDITABLE = ["x", "conv.weight", "conv.bias", "fc.weight", "fc.bias"];

export function isEditable({ name, side }) {
  return side === "value" && EDITABLE.includes(name);
}

/** Set a pixel or a weight; moves of one slider are undone together. */
export function setCell({ name, index }, value, kind = null) {
  const { x, state, label } = store.situation;
  const situation =
    name === "x"
      ? { x: changed(x, index, value), state, label }
      : { x, state: { ...state, [name]: changed(state[name], index, value) }, label };
  change({ situation }, kind && `${kind} ${written(name, index)}`);
}

const READS = {
  // how many terms stand side by side, and how many make a group, so that they lie as in the tensor
  "conv.out": [3, 9],
  "pool.out": [2, 4],
  "fc.out": [3, 9],
  "conv.dweight": [6, 36],
  "conv.dbias": [6, 36],
};

const SINGLE = { "conv.bias": "bias", "fc.bias": "bias" };

function groupsOf(name, terms) {
  if (name === "conv.dx") {
    const filters = Map.groupBy(terms, ({ cells }) => cells[1][1][0]);
    return [3, [...filters.values()], (group) => `filter ${group[0].cells[1][1][0]}`];
  }
  const [columns, size] = READS[name] ?? [Math.min(3, terms.length || 1), Infinity];
  const groups = [];
  for (let i = 0; i < terms.length; i += size) groups.push(terms.slice(i, i + size));
  const heads = { "fc.out": (group) => group.length > 1 && `map ${Math.floor(group[0].cells[0][1][1] / 9)}` };
  return [columns, groups, heads[name] ?? (() => "")];
}

/** Choose a cell and go there. */
export function goTo(place) {
  change({ selected: place });
  cellOf(place.name, place.side, place.index).focus();
}

/** One term of a sum; `show` puts the numbers of a term of the same place into it. */
function chip(app) {
  const from = el("span.factors"),
    reason = el("span.factors"),
    product = figure(0),
    node = el("li", { tabindex: "0" }, from, el("span.product", reason, product));
  const show = () => lightCells(app.chosen, node.cells);
  const hide = () => light(app, app.chosen);
  for (const type of ["pointerenter", "focus"]) node.addEventListener(type, show);
  for (const type of ["pointerleave", "blur"]) node.addEventListener(type, hide);
  const follow = () => node.cells.length && goTo(shownAs(...node.cells[0]));
  node.addEventListener("click", follow);
  node.addEventListener("keydown", (event) => event.key === "Enter" && follow());
  node.show = ({ value, cells, times, why = "" }) => {
    const factors = cells.map((cell) => number(valueOf(app.tensors, app.situation.state, ...cell), 3));
    const name = cells.length ? (SINGLE[cells[0][0]] ?? cells[0][0]) : "the label";
    if (times !== undefined) factors.push(times);
    write(
      from,
      factors.length > 1
        ? `${times === undefined ? "" : `${name} `}${factors.join(" × ")}`
        : factors[0] !== number(value, 3) && cells.length
          ? `${name} ${factors[0]}`
          : name,
    );
    write(reason, why);
    writeFigure(product, value, 3);
    node.className = value === 0 ? "term none" : "term";
    if (`${node.cells}` !== `${cells}`) node.title = `follow ${cells.map((c) => written(...c)).join(" × ")}`;
    node.cells = cells;
  };
  return node;
}

/** The sum behind a cell of a tensor: elements, and `update`, false if the sum has another number of terms now. */
export function explanation(app, name, index) {
  const look = () => termsOf(app.tensors, app.situation.state, name, index);
  const { terms, rule } = look(),
    chips = new Map(terms.map((term) => [term, chip(app)])),
    [columns, groups, head] = groupsOf(name, terms);
  const formula = el("p.formula"),
    count = el("span"),
    total = figure(0),
    own = figure(0),
    remark = el("p.note"),
    off = el("p.bad", "The network has ", own, " here: the mistake made it, or an earlier one.");
  const list = (group) =>
    el(
      "ul.terms",
      { style: `--columns:${Math.min(columns, group.length)}` },
      group.map((term) => chips.get(term)),
    );
  const nodes = [
    el("p.rule", el("code", rule), rule.includes("dout") && "dout: the gradient that arrives from the right"),
    formula,
    el("p.total", count, total),
    off,
    remark,
    el("div.groups", groups.map((group) => el("div.group", head(group) && el("p.head", head(group)), list(group)))),
  ];
  const update = () => {
    const now = look();
    if (now.terms.length !== chips.size) return false;
    [...chips.values()].forEach((node, i) => node.show(now.terms[i]));
    const sum = now.terms.reduce((s, term) => s + term.value, 0),
      zeros = now.terms.filter((term) => term.value === 0).length,
      value = valueOf(app.tensors, app.situation.state, name, index);
    write(formula, formulaOf(app, name, index));
    const several = `${chips.size} terms${zeros ? `, ${zeros} of them 0` : ""}, add up to `;
    write(count, chips.size > 1 ? several : "is ");
    writeFigure(total, sum);
    writeFigure(own, value);
    off.hidden = Math.abs(sum - value) <= 1e-9 * Math.max(1, Math.abs(sum));
    write(remark, now.note ?? "");
    return true;
  };
  return { nodes, update };
}

/** What is no sum, with its numbers. */
function formulaOf(app, name, [k]) {
  const logits = app.tensors["fc.out"],
    exp = (value) => `exp(${number(value, 3)})`;
  if (name === "loss.probs") return `${exp(logits[k])} / (${logits.map(exp).join(" + ")})`;
  if (name === "loss.loss") return `−log ${number(app.tensors["loss.probs"][app.tensors.label])}`;
  return "";
}

/** Who is handed the chosen gradient: a sentence with links. */
function handedOn(app, name, index) {
  if (/weight|bias/.test(name)) return ["The way back ends here: a step moves the weight by −lr × gradient."];
  if (name === "conv.dx") return ["The way back ends here, at the image. Training does not need it."];
  const users = usersOf(app.tensors, app.situation.state, name, index).filter(([, all]) => all.length);
  const link = (place) =>
    el("button.link", { onclick: () => goTo(shownAs(...place)) }, written(...place));
  const said = users.flatMap(([next, all], i) => [
    i ? ", " : "",
    all.length > 1 ? `${all.length} entries of ` : "",
    all.length > 1 ? el("code", next) : link([next, all[0]]),
  ]);
  const tie = name === "flatten.dx" && tiedIn(app.tensors, index) ? " Of equal numbers the first takes all." : "";
  if (said.length) return ["Handed on to ", said, ".", tie];
  return [
    valueOf(app.tensors, app.situation.state, name, index) === 0
      ? "It is 0: nothing is handed on."
      : "Nobody takes it: the ReLU before it is shut.",
  ];
}

let built = null;

/** One half of the lens: an element, and `update`. */
function side(app, which) {
  const { name, index, side: chosenSide } = app.chosen;
  const forward = which === "value",
    tensor = forward ? name : gradientOf(name);
  const { nodes, update } =
    forward || hasGradient(name)
      ? explanation(app, tensor, index)
      : { nodes: el("p.note", "The way back begins behind this number, at the logits."), update: () => true };
  const onward = el("p.onward"),
    hands = !forward && hasGradient(name),
    ends = /weight|bias|conv.dx/.test(tensor); // then the sentence is always the same
  const node = el(
    `section.side.${which}${chosenSide === which ? ".on" : ""}`,
    el("h3", forward ? "forward: where the value comes from" : "backward: where its gradient comes from"),
    hands &&
      el(
        "p.what",
        el("code", written(tensor, index)),
        /\.dx$/.test(tensor) && ", named after the layer that sends it back",
        `: how fast the loss rises with ${written(name, index)}`,
      ),
    nodes,
    hands && onward,
  );
  return {
    node,
    update() {
      if (hands && !(ends && onward.firstChild)) replace(onward, handedOn(app, tensor, index));
      return update();
    },
  };
}

let walking = null;

/** From cell to cell in reading order, until another one is chosen or Stop is pressed. */
function walk() {
  if (walking) return stand();
  let here = store.selected;
  walking = setInterval(() => {
    if (store.selected !== here) return stand();
    const cell = cellOf(here.name, here.side, here.index),
      all = [...cell.closest("[role=grid]").querySelectorAll(".cell")];
    here = all[(all.indexOf(cell) + 1) % all.length].at;
    return change({ selected: here });
  }, 500);
  return write(built.walker, "Stop");
}

function stand() {
  clearInterval(walking);
  walking = null;
  write(built.walker, "Walk over all cells");
}

export const lens = {
  title: "Lens",
  leave: stand,
  build(panel, app) {
    const field = el("input", {
      type: "text",
      inputmode: "decimal",
      id: "value",
      autocomplete: "off",
      spellcheck: "false",
    });
    const slider = el("input", {
      type: "range",
      min: "-2",
      max: "2",
      step: "0.01",
      "aria-label": "value, by slider",
    });
    const head = el("div.head-of-lens");
    const raise = () => {
      const { x, state, label } = store.situation;
      const raised = state["fc.bias"].map((value) => Math.round((value + 1) * 1e6) / 1e6);
      change({ situation: { x, state: { ...state, "fc.bias": raised }, label } });
    };
    const raiser = el("button", { onclick: raise }, "Add 1 to both logits");
    const editor = el(
      "div.editor",
      el("label", { for: "value" }, "change it"),
      field,
      slider,
      el("span.error", { role: "alert" }),
    );
    const sides = el("div.sides");
    const walker = el("button", { onclick: walk });
    replace(panel, el("div.cell-of-lens", head, editor, walker, raiser), sides);
    const commit = () => {
      const value = Number(field.value.replace("−", "-").replace(",", "."));
      const fine = field.value.trim() !== "" && Number.isFinite(value) && Math.abs(value) <= 1e6;
      editor.lastChild.textContent = fine
        ? ""
        : `${field.value || "nothing"} is no number between −1e6 and 1e6`;
      if (fine && value !== numberAt(app, app.chosen)) setCell(app.chosen, value);
      return fine;
    };
    field.addEventListener("change", commit);
    field.addEventListener("keydown", (event) => {
      const { name, side: which, index } = app.chosen;
      if (event.key === "Enter" && commit()) cellOf(name, which, index).focus();
      if (event.key === "Escape") {
        field.value = number(numberAt(app, app.chosen), 17);
        cellOf(name, which, index).focus();
      }
    });
    slider.addEventListener("input", () => setCell(app.chosen, Number(slider.value), "slide"));
    for (const type of ["pointerup", "blur"]) slider.addEventListener(type, endOfSeries);
    built = { field, slider, head, walker, raiser, editor, sides };
    stand();
  },
  render(app) {
    const { field, slider, head, editor, sides } = built,
      { name, index, side: chosenSide } = app.chosen;
    const value = numberAt(app, { name, index, side: "value" });
    const editable = EDITABLE.includes(name);
    if (built.of !== app.chosen) {
      built.of = app.chosen;
      built.figures = [figure(0), hasGradient(name) && figure(0)];
      replace(
        head,
        el("h3", written(name, index)),
        el(
          "p.place",
          [titleOf(name), placeOf(name, index)].filter(Boolean).join(": "),
          editable && (name === "x" ? " (given)" : " (learned)"),
        ),
        el(
          "dl",
          [el("dt", "value"), el("dd", built.figures[0])],
          built.figures[1] && [el("dt", "gradient"), el("dd", built.figures[1])],
        ),
      );
      editor.hidden = !editable;
      built.raiser.hidden = name !== "fc.out";
      sides.className = `sides ${editable ? "given" : chosenSide}`;
      built.halves = null;
    }
    writeFigure(built.figures[0], value);
    if (built.figures[1]) writeFigure(built.figures[1], numberAt(app, { name, index, side: "gradient" }));
    if (editable) {
      if (document.activeElement !== field) field.value = number(value, 6).replace("−", "-");
      if (document.activeElement !== slider || Number(slider.value) !== value) {
        const reach = Math.max(2, Math.ceil(Math.abs(value)));
        Object.assign(slider, { min: -reach, max: reach });
        slider.value = value;
      }
    }
    if (built.halves?.every((half) => half.update())) return;
    built.halves = (editable ? ["gradient"] : ["value", "gradient"]).map((which) => side(app, which));
    for (const half of built.halves) half.update();
    replace(sides, built.halves.map(({ node }) => node));
  },
};

/** Begin to type a number into the chosen cell. */
export function beginTyping(first = "") {
  if (built.editor.hidden) return;
  built.field.focus();
  built.field.value = first || built.field.value;
  if (!first) built.field.select();
}

/** Each term fades in together with the cells that it is made from, once, where moves are welcome. */
export function fadeIn() {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const terms = [...built.sides.querySelectorAll(".side.on .term:not(.none)")].slice(0, 12);
  terms.forEach((term, i) => {
    const places = term.cells.map((cell) => shownAs(...cell)),
      cells = places.map(({ name, side: which, index }) => cellOf(name, which, index));
    for (const node of [term, ...cells])
      node?.animate([{ opacity: 0.1 }, { opacity: 1 }], { duration: 200, delay: 25 * i, fill: "backwards" });
  });
}
