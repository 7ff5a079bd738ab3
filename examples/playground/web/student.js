// Your model: what the student's own layers gave for the page's first situation, beside what is right.

import { at, flat, indicesOf, shapeOf, shaped } from "./arrays.js";
import { el, figure, replace, written } from "./dom.js";
import { TINY, run } from "./network.js";
import { change, data } from "./store.js";
import { shownAs } from "./strip.js";

let panelOf = null;

export const studentsView = {
  title: "Your model",
  build(panel) {
    panelOf = panel;
  },
  render() {
    const { x, state, label } = data.start, right = run(TINY, state, x, label), { file, tensors, error, verdicts } = data.student;
    const cells = (name) => {
      const own = shaped(flat(tensors[name]), shapeOf(right[name]));
      const scale = Math.max(1e-300, ...flat(right[name]).map(Math.abs));
      return indicesOf(shapeOf(right[name])).map((index) => ({ index, own: at(own, index), right: at(right[name], index) }))
        .filter((entry) => !(Math.abs(entry.own - entry.right) <= 1e-9 * scale)).sort((a, b) => Math.abs(b.own - b.right) - Math.abs(a.own - a.right));
    };
    const rows = verdicts.map(({ name, verdict, said }) => {
      const wrong = tensors[name] && verdict !== "match" ? cells(name) : [];
      const first = wrong[0], place = first && shownAs(name, first.index);
      return el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), el("td", { class: verdict === "match" ? "good" : "bad" }, verdict === "match" ? "✓ right" : `✗ ${verdict}`),
        el("td", {}, wrong.length ? `${wrong.length} of ${flat(right[name]).length}` : ""),
        el("td", {}, first ? [el("button", { type: "button", onclick: () => change({ situation: data.start, mistake: "", view: "lens", selected: place }) }, written(name, first.index)), " yours ", figure(first.own), ", right ", figure(first.right)] : ""),
        el("td", {}, said));
    });
    replace(panelOf, el("h3", {}, `${file} against the right TinyCNN, on the image and weights that the page begins with`), error && el("p", { class: "bad" }, error),
      el("table", { class: "students" }, el("caption", {}, "Every tensor in the order of computation"),
        el("thead", {}, el("tr", {}, ["tensor", "verdict", "differ", "farthest off", "the doctor"].map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, rows)));
  },
};
