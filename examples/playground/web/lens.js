// The lens: one number at a time, with the sum that made it, and below it the sum that made its gradient.

import { changed } from "./arrays.js";
import { cellOf } from "./cells.js";
import { el, figure, number, placeOf, replace, titleOf, written } from "./dom.js";
import { gradientOf } from "./network.js";
import { change, endOfSeries, store } from "./store.js";
import { hasGradient, light, lightCells, numberAt, shownAs } from "./strip.js";
import { termsOf, valueOf } from "./terms.js";

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

/** The terms of the sum behind a tensor's cell, in words and numbers. */
export function explanation(app, name, index) {
  const { terms, rule, note } = termsOf(app.tensors, app.situation.state, name, index);
  const value = valueOf(app.tensors, app.situation.state, name, index);
  const read = (cell) => valueOf(app.tensors, app.situation.state, ...cell);
  const chip = (term) => {
    const factors = term.cells.map((from) => el("span", {}, number(read(from), 3)));
    const from =
      factors.length > 1
        ? [factors[0], " × ", factors[1]]
        : factors.length
          ? (SINGLE[term.cells[0][0]] ?? term.cells[0][0])
          : "the label";
    const node = el(
      "li",
      {
        class: `term${term.value === 0 ? " none" : ""}`,
        tabindex: "0",
        title: `follow ${term.cells.map((c) => written(...c)).join(" × ")}`,
      },
      el("span", { class: "factors" }, from),
      figure(term.value, 3),
    );
    const show = () => lightCells(app.chosen, term.cells);
    const hide = () => light(app, app.chosen);
    for (const type of ["pointerenter", "focus"]) node.addEventListener(type, show);
    for (const type of ["pointerleave", "blur"]) node.addEventListener(type, hide);
    const follow = () => term.cells.length && goTo(shownAs(...term.cells[0]));
    node.addEventListener("click", follow);
    node.addEventListener("keydown", (event) => event.key === "Enter" && follow());
    node.cells = term.cells;
    return node;
  };
  const [columns, groups, head] = groupsOf(name, terms);
  const zeros = terms.filter((term) => term.value === 0).length;
  const sum = terms.reduce((s, term) => s + term.value, 0);
  const off = Math.abs(sum - value) > 1e-9 * Math.max(1, Math.abs(sum));
  const count =
    terms.length > 1
      ? `${terms.length} terms${zeros ? `, ${zeros} of them 0` : ""}, add up to `
      : terms.length
        ? "is "
        : "nothing arrives: ";
  return [
    el("p", { class: "rule" }, el("code", {}, rule)),
    written_out(app, name, index),
    el(
      "div",
      { class: "groups" },
      groups.map((group) =>
        el(
          "div",
          { class: "group" },
          head(group) && el("p", { class: "head" }, head(group)),
          el(
            "ul",
            { class: "terms", style: `--columns:${Math.min(columns, group.length)}` },
            group.map(chip),
          ),
        ),
      ),
    ),
    el("p", { class: "total" }, count, figure(sum)),
    off &&
      el(
        "p",
        { class: "bad" },
        "The network has ",
        figure(value),
        " here: the mistake made it, or an earlier one.",
      ),
    note && el("p", { class: "note" }, note),
  ];
}

/** What is no sum, with its numbers. */
function written_out(app, name, [k]) {
  const logits = app.tensors["fc.out"],
    label = app.tensors.label;
  const exp = (value) => `exp(${number(value, 3)})`;
  if (name === "loss.probs")
    return el("p", { class: "formula" }, `${exp(logits[k])} / (${logits.map(exp).join(" + ")})`);
  if (name === "loss.loss")
    return el("p", { class: "formula" }, `−log ${number(app.tensors["loss.probs"][label])}`);
  return null;
}

let built = null;

function side(app, which) {
  const { name, index } = app.chosen;
  const heading = el(
    "h3",
    {},
    which === "value" ? "forward: where the value comes from" : "backward: where its gradient comes from",
  );
  const on = app.chosen.side === which;
  let body;
  if (which === "value")
    body = EDITABLE.includes(name)
      ? el(
          "p",
          { class: "note" },
          name === "x"
            ? "A pixel: it is given. Change it and watch."
            : "A weight: it is learned. Change it and watch.",
        )
      : explanation(app, name, index);
  else if (!hasGradient(name))
    body = el("p", { class: "note" }, "The way back begins behind this number, at the logits.");
  else
    body = [
      el(
        "p",
        { class: "what" },
        el("code", {}, written(gradientOf(name), index)),
        ": how fast the loss rises with this number",
      ),
      explanation(app, gradientOf(name), index),
    ];
  return el("section", { class: `side ${which}${on ? " on" : ""}` }, heading, body);
}

export const lens = {
  title: "Lens",
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
    const head = el("div", { class: "head-of-lens" });
    const editor = el(
      "div",
      { class: "editor" },
      el("label", { for: "value" }, "value"),
      field,
      slider,
      el("span", { class: "error", role: "alert" }),
    );
    const sides = el("div", { class: "sides" });
    replace(panel, el("div", { class: "cell-of-lens" }, head, editor), sides);
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
    built = { field, slider, head, editor, sides };
  },
  render(app) {
    const { field, slider, head, editor, sides } = built,
      { name, index } = app.chosen;
    const value = numberAt(app, { name, index, side: "value" });
    const gradient = hasGradient(name) ? numberAt(app, { name, index, side: "gradient" }) : null;
    replace(
      head,
      el("h3", {}, written(name, index)),
      el("p", { class: "place" }, [titleOf(name), placeOf(name, index)].filter(Boolean).join(": ")),
      el(
        "dl",
        {},
        el("dt", {}, "value"),
        el("dd", {}, figure(value)),
        gradient !== null && [el("dt", {}, "gradient"), el("dd", {}, figure(gradient))],
      ),
    );
    const editable = EDITABLE.includes(name);
    editor.hidden = !editable;
    if (editable) {
      if (document.activeElement !== field) field.value = number(value, 6).replace("−", "-");
      if (document.activeElement !== slider || Number(slider.value) !== value) {
        const reach = Math.max(2, Math.ceil(Math.abs(value)));
        Object.assign(slider, { min: -reach, max: reach });
        slider.value = value;
      }
    }
    sides.className = `sides ${editable ? "given" : app.chosen.side}`;
    replace(sides, side(app, "value"), side(app, "gradient"));
  },
};

/** Begin to type a number into the chosen cell. */
export function beginTyping(first = "") {
  if (built.editor.hidden) return;
  built.field.focus();
  built.field.value = first || built.field.value;
  if (!first) built.field.select();
}

/** Numbers fly from the strip to their terms, once, where moves are welcome. */
export function fly(app) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const section = built.sides.querySelector(".side.on");
  const chips = [...(section?.querySelectorAll(".term:not(.none)") ?? [])].slice(0, 12);
  for (const chip of chips)
    for (const [name, index] of chip.cells) {
      const place = shownAs(name, index),
        from = cellOf(place.name, place.side, place.index);
      const a = from?.getBoundingClientRect(),
        b = chip.getBoundingClientRect();
      if (!a || !b.width || b.top > innerHeight) continue;
      const ghost = el("div", {
        class: `${from.className} ghost`,
        "aria-hidden": "true",
        style: `left:${a.x}px;top:${a.y}px;width:${a.width}px;height:${a.height}px`,
      });
      document.body.append(ghost);
      const move = `translate(${b.x + b.width / 2 - a.x - a.width / 2}px, ${b.y + b.height / 2 - a.y - a.height / 2}px)`;
      const flight = ghost.animate(
        [
          { transform: "none", opacity: 0.9 },
          { transform: move, opacity: 0.2 },
        ],
        { duration: 420, easing: "cubic-bezier(.3,0,.2,1)" },
      );
      flight.finished.catch(() => {}).finally(() => ghost.remove());
    }
}
