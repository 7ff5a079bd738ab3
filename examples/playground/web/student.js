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
    const { x, state, label } = data.start,
      right = run(TINY, state, x, label),
      { file, tensors, error, verdicts } = data.student;
    const cells = (name) => {
      const own = shaped(tensors[name].map(Number), shapeOf(right[name]));
      const scale = Math.max(1e-300, ...flat(right[name]).map(Math.abs));
      return indicesOf(shapeOf(right[name]))
        .map((index) => ({ index, own: at(own, index), right: at(right[name], index) }))
        .filter((entry) => !(Math.abs(entry.own - entry.right) <= 1e-9 * scale))
        .sort((a, b) => Math.abs(b.own - b.right) - Math.abs(a.own - a.right));
    };
    const are = (word) => verdicts.filter(({ verdict }) => verdict === word),
      [fine, absent] = [are("match"), are("never computed")],
      wrong = verdicts.filter((found) => !fine.includes(found) && !absent.includes(found)),
      names = (found) => found.map(({ name }) => name).join(", ");
    const rows = wrong.map(({ name, verdict, said }) => {
      const off = tensors[name] ? cells(name) : [],
        [first] = off,
        place = first && shownAs(name, first.index);
      return el(
        "tr",
        el("th", { scope: "row" }, el("code", name)),
        el("td.bad", `✗ ${verdict}`),
        el("td", off.length ? `${off.length} of ${flat(right[name]).length}` : ""),
        el(
          "td",
          first
            ? [
                el(
                  "button.link",
                  { onclick: () =>
                      change({ situation: data.start, mistake: "", view: "lens", selected: place }),
                  },
                  written(name, first.index),
                ),
                " yours ",
                figure(first.own),
                ", right ",
                figure(first.right),
              ]
            : "",
        ),
        el("td", said),
      );
    });
    replace(
      panelOf,
      el("h3", `${file} against the right TinyCNN, on the image and weights that the page begins with`),
      error && el("p.bad", error),
      el(
        "p",
        { class: fine.length < verdicts.length ? "bad" : "good" },
        fine.length < verdicts.length
          ? `✗ ${wrong.length} of ${verdicts.length} tensors differ${absent.length ? `, ${absent.length} were never computed` : ""}`
          : `✓ all ${verdicts.length} tensors are right`,
      ),
      wrong.length > 0 &&
        el(
          "table.students",
          el("caption", "What differs, in the order of computation"),
          el(
            "thead",
            el(
              "tr",
              ["tensor", "verdict", "differ", "farthest off", "the doctor"].map((head) =>
                el("th", { scope: "col" }, head),
              ),
            ),
          ),
          el("tbody", rows),
        ),
      fine.length > 0 && el("p.note", `Right: ${names(fine)}`),
      absent.length > 0 && el("p.note", `Never computed: ${names(absent)}`),
    );
  },
};
