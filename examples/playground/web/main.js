// The page: a strip, one chosen cell, and seven ways to look at it.

import { at, flat, shapeOf } from "./arrays.js";
import { breakIt } from "./break.js";
import { cellOf, shades } from "./cells.js";
import { check } from "./check.js";
import { code } from "./code.js";
import { digits } from "./digits.js";
import { el, replace, write } from "./dom.js";
import { guide } from "./guide.js";
import { beginTyping, fadeIn, isEditable, lens, setCell } from "./lens.js";
import { MISTAKES, networkWith } from "./mistakes.js";
import { TINY, run } from "./network.js";
import {
  asFragment,
  bytesOf,
  canUndo,
  change,
  data,
  fromFragment,
  images,
  isOwn,
  reset,
  stateFromJson,
  store,
  undo,
  weightsAsJson,
  whenChanged,
} from "./store.js";
import {
  buildStrip,
  hasGradient,
  inShort,
  inWords,
  labelStrip,
  light,
  numberAt,
  paintStrip,
  SHOWN,
} from "./strip.js";
import { train } from "./train.js";
import { studentsView } from "./student.js";

const ofClass = (label) => images.flatMap((x, n) => (data.labels[n] === label ? [x] : []));
const flatImage = (value) => [
  Array.from({ length: 8 }, (_, h) => Array.from({ length: 8 }, (_, w) => value(h, w))),
];
const PRESETS = [
  ...ofClass(1)
    .slice(0, 3)
    .map((x, i) => ({ name: `vertical line ${i + 1}`, x, label: 1 })),
  ...ofClass(0)
    .slice(0, 3)
    .map((x, i) => ({ name: `horizontal line ${i + 1}`, x, label: 0 })),
  { name: "clean vertical line", x: flatImage((h, w) => Number(w === 3)), label: 1 },
  { name: "clean horizontal line", x: flatImage((h) => Number(h === 3)), label: 0 },
  { name: "all pixels 1: ties", x: flatImage(() => 1), label: 0 },
  { name: "all pixels 0", x: flatImage(() => 0), label: 0 },
].map((preset) => ({ ...preset, said: `${preset.x}` }));

const VIEWS = { lens, check, break: breakIt, step: train, code };
Object.assign(VIEWS, digits && { digits }, { guide }, studentsView && { student: studentsView }); // as far as they came

const app = { situation: null, tensors: null, right: null, network: null, chosen: null };

function compute() {
  const { situation, mistake } = store;
  if (app.situation === situation && app.mistake === mistake && app.tensors) return;
  Object.assign(app, { situation, mistake, network: networkWith(mistake) });
  app.tensors = run(app.network, situation.state, situation.x, situation.label);
  app.right = mistake ? run(TINY, situation.state, situation.x, situation.label) : app.tensors;
}

// what the page says of itself: its numbers against NumPy's, which came with it

/** How many tensors of NumPy's came with the page, and which of ours are not within their bounds. */
export function selfTest() {
  const { x, state, label } = data.start;
  const ours = run(TINY, state, x, label);
  const wrong = Object.entries(data.numpy).filter(([name, { values, bounds }]) => {
    const theirs = new Float64Array(bytesOf(values).buffer),
      exponents = new Int8Array(bytesOf(bounds).buffer);
    const room = (i) => (exponents[i] === -128 ? 0 : 2 ** (exponents[i] / 2));
    const given = flat(ours[name]);
    return (
      given.length !== theirs.length || given.some((value, i) => !(Math.abs(value - theirs[i]) <= room(i)))
    );
  });
  return { tensors: Object.keys(data.numpy).length, wrong: wrong.map(([name]) => name) };
}

// the frame

const live = el("p.hidden", { role: "status", "aria-live": "polite" }),
  readout = el("p.readout", { "aria-hidden": "true" }); // of the cell under the pointer
let pointed = null;
const panels = {},
  tabs = {};
let strip = null,
  undoButton = null,
  labels = null,
  notice = null,
  presets = null;

function say(text) {
  live.textContent = text;
}

/** Speak of a cell as it is now, before the next frame has painted it. */
function sayCell(place) {
  compute();
  say(inWords(app, place));
}

function button(text, onclick, attributes = {}) {
  return el("button", { onclick, ...attributes }, text);
}

function header() {
  const { tensors, wrong } = selfTest();
  const proof = wrong.length
    ? el("p.proof.bad", `✗ ${wrong.join(", ")} differ from NumPy's`)
    : el("p.proof.good", `✓ at the start: ${tensors} tensors equal to NumPy’s`);
  presets = el(
    "select",
    { id: "preset" },
    el("option", { value: "" }, "your own"),
    PRESETS.map(({ name }, i) => el("option", { value: i }, name)),
  );
  presets.addEventListener("change", () => {
    if (presets.value === "") return;
    const { x, label } = PRESETS[presets.value];
    change({ situation: { x, state: store.situation.state, label } });
  });
  labels = el(
    "select",
    { id: "label" },
    el("option", { value: "0" }, "0, horizontal"),
    el("option", { value: "1" }, "1, vertical"),
  );
  labels.addEventListener("change", () =>
    change({ situation: { ...store.situation, label: Number(labels.value) } }),
  );
  undoButton = button("Undo", () => say(undo() ? "undone" : "nothing to undo"), { title: "Ctrl+Z" });
  notice = el("p.notice", { role: "alert" });
  return el(
    "header",
    el("div.title", el("h1", "Touch the backward pass"), proof),
    el(
      "div.tools",
      el("span.pair", el("label", { for: "preset" }, "image"), presets),
      el("span.pair", el("label", { for: "label" }, "label"), labels),
      undoButton,
      button("Reset", reset),
      button("Copy link", copyLink),
      button("Weights", () => openWeights()),
    ),
    el(
      "p.lead",
      "Every number has a gradient: how fast the loss rises with it. Click one to see why; change a pixel or a weight, and all follow. ",
      el("span.keys-help", "Arrow keys walk, Enter goes into the lens, Escape back."),
    ),
    notice,
  );
}

async function copyLink() {
  history.replaceState(null, "", `#${asFragment()}`);
  notice.textContent = (await copied(location.href))
    ? "The link is copied: it holds everything that you see."
    : "The address of this page holds everything that you see: copy it there.";
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

const dialog = el("dialog", { "aria-labelledby": "weights-title" });

function openWeights() {
  const area = el("textarea", { id: "weights-text", rows: "10", spellcheck: "false" });
  const said = el("p.error", { role: "alert" });
  area.value = weightsAsJson();
  replace(
    dialog,
    el("h2", { id: "weights-title" }, "The weights as JSON"),
    el("p", "Take them to Python, or put others in their place:"),
    el(
      "pre",
      el(
        "code",
        "model.load_state_dict(json.loads(text))                    # tinycnn_numpy\nmodule.load_state_dict({k: torch.tensor(v) for k, v in json.loads(text).items()})\njson.dumps({k: v.tolist() for k, v in model.state_dict().items()})     # and back",
      ),
    ),
    el("label", { for: "weights-text" }, "state_dict"),
    area,
    said,
    el(
      "p.buttons",
      button("Copy", async () => {
        area.select();
        said.textContent = (await copied(area.value)) ? "copied" : "The text is selected: press Ctrl+C.";
      }),
      button("Use these", () => {
        try {
          change({ situation: { ...store.situation, state: stateFromJson(area.value) } });
          dialog.close();
          say("the weights are in use");
        } catch (error) {
          said.textContent = error.message;
        }
      }),
      button("Close", () => dialog.close()),
    ),
  );
  dialog.showModal();
  area.focus();
  area.select();
}

function tabList() {
  const list = el("div", { role: "tablist", "aria-label": "ways to look at the chosen number" });
  for (const [name, view] of Object.entries(VIEWS)) {
    tabs[name] = el(
      "button",
      { role: "tab",
        id: `tab-${name}`,
        "aria-controls": `panel-${name}`,
        onclick: () => open(name),
      },
      view.title,
    );
    panels[name] = el("section", {
      role: "tabpanel",
      id: `panel-${name}`,
      "aria-labelledby": `tab-${name}`,
      class: `panel ${name}`,
      tabindex: "0",
    });
    list.append(tabs[name]);
  }
  list.addEventListener("keydown", (event) => {
    const names = Object.keys(VIEWS),
      here = names.indexOf(store.view);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1 + names.length, Home: 0, End: names.length - 1 }[
      event.key
    ];
    if (to === undefined) return;
    event.preventDefault();
    open(names[to % names.length]);
    tabs[store.view].focus();
  });
  return list;
}

function open(name) {
  if (name === store.view) return;
  VIEWS[store.view].leave?.(app);
  change({ view: name });
  VIEWS[name].enter?.(app);
}

// the chosen cell

function choose(place) {
  change({ selected: place });
  sayCell(place);
}

/** The number under the pointer, as it is now. */
function readPointed() {
  write(readout, pointed ? inShort(app, pointed) : "");
}

function listen() {
  strip.addEventListener("focusin", (event) => {
    const place = event.target.at;
    if (!place) return;
    for (const node of event.target.closest("[role=grid]").querySelectorAll("[tabindex='0']"))
      node.tabIndex = -1;
    event.target.tabIndex = 0;
    sayCell(place);
  });
  strip.addEventListener("click", ({ target, detail }) => {
    if (!target.at) return;
    target.focus();
    choose(target.at);
    if (detail && store.view === "lens") requestAnimationFrame(fadeIn); // no arrow key
  });
  const point = ({ target }) => {
    pointed = target.at ?? null;
    light(app, app.chosen, pointed ?? app.chosen);
    readPointed();
  };
  strip.addEventListener("pointerover", point);
  strip.addEventListener("pointerleave", point);
  strip.addEventListener("keydown", (event) => {
    const place = event.target.at;
    if (!place || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = {
      ArrowUp: event.shiftKey && 0.1,
      ArrowDown: event.shiftKey && -0.1,
      PageUp: 1,
      PageDown: -1,
    }[event.key];
    const types = /^[-−0-9.]$/.test(event.key);
    if (((step || types) && isEditable(place)) || event.key === "Enter") choose(place);
    if (step && isEditable(place)) {
      setCell(place, Math.round((numberAt(app, place) + step) * 1e6) / 1e6, "keys");
      sayCell(place);
    } else if (types && isEditable(place)) {
      if (store.view !== "lens") open("lens");
      render();
      beginTyping(event.key);
    } else if (event.key === "Enter") {
      if (store.view !== "lens") open("lens");
      render();
      if (isEditable(place)) beginTyping();
      else panels.lens.querySelector(".side.on .term")?.focus();
      fadeIn();
    } else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (
      (event.ctrlKey || event.metaKey) &&
      event.key === "z" &&
      !/INPUT|TEXTAREA/.test(event.target.tagName)
    ) {
      event.preventDefault();
      say(undo() ? "undone" : "nothing to undo");
    }
    if (event.key === "Escape" && event.target.closest?.(".panel")) {
      const { name, side, index } = app.chosen;
      cellOf(name, side, index).focus();
    }
  });
  addEventListener("hashchange", () => {
    if (!isOwn(location.hash)) notice.textContent = fromFragment(location.hash, known);
  });
}

/** Whether a link names what there is. */
function known({ selected: { name, index, side }, view, mistake, images }) {
  const array = data.start.state[name] ?? run(TINY, data.start.state, data.start.x, data.start.label)[name];
  const there =
    SHOWN.includes(name) && index.length === shapeOf(array).length && Number.isFinite(at(array, index));
  const sides = side === "value" || hasGradient(name);
  return (
    there &&
    sides &&
    view in VIEWS &&
    (!mistake || MISTAKES.includes(mistake)) &&
    ["all", "one"].includes(images)
  );
}

function showView() {
  document.body.dataset.view = store.view;
  for (const view of Object.keys(VIEWS)) {
    tabs[view].setAttribute("aria-selected", String(view === store.view));
    tabs[view].tabIndex = view === store.view ? 0 : -1;
    panels[view].hidden = view !== store.view;
  }
}

let waiting = 0,
  labelling = 0;

function render() {
  cancelAnimationFrame(waiting);
  waiting = 0;
  compute();
  app.chosen = store.selected;
  if (document.body.dataset.view !== store.view) showView();
  paintStrip(app);
  light(app, app.chosen);
  readPointed();
  const { name, side, index } = app.chosen,
    cell = cellOf(name, side, index);
  for (const node of cell.closest("[role=grid]").querySelectorAll("[tabindex='0']")) node.tabIndex = -1;
  cell.tabIndex = 0;
  VIEWS[store.view].render(app);
  undoButton.disabled = !canUndo();
  labels.value = String(store.situation.label);
  if (presets.of !== store.situation.x) {
    presets.of = store.situation.x;
    const text = `${presets.of}`;
    presets.value = String(PRESETS.findIndex(({ said }) => said === text)).replace("-1", "");
  }
  clearTimeout(labelling);
  labelling = setTimeout(() => labelStrip(app), 200);
}

function begin() {
  compute();
  app.chosen = store.selected;
  strip = buildStrip(app);
  const top = header();
  document.head.append(shades());
  document.body.append(
    top,
    el(
      "main",
      strip,
      el("div.ways", el("div.top-of-ways", tabList(), readout), Object.values(panels)),
    ),
    live,
    dialog,
  );
  for (const [name, view] of Object.entries(VIEWS)) view.build(panels[name], app);
  listen();
  whenChanged(() => {
    if (!waiting) waiting = requestAnimationFrame(render);
  });
  if (location.hash) notice.textContent = fromFragment(location.hash, known);
  render();
  if (location.hash) cellOf(app.chosen.name, app.chosen.side, app.chosen.index).scrollIntoView({ block: "nearest" });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
}

begin();

/** For tests and for the console: every tensor as the page has it. */
globalThis.playground = { tensors: () => app.tensors, situation: () => store.situation, selfTest };
