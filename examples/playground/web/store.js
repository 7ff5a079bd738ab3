// What the person has set: the situation, the mistake, the cell that is looked at. Undo, and the link.

import { flat, shapeOf, shaped } from "./arrays.js";

export const data = JSON.parse(document.getElementById("data").textContent);

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

const tenths = [...new Int8Array(bytesOf(data.images).buffer)].map((value) => value / 10);
export const images = shaped(tenths, [data.labels.length, 1, 8, 8]);

const BEGIN = {
  situation: data.start,
  mistake: "",
  view: "lens",
  h: 1e-4,
  lr: 0.1,
  images: "all",
  selected: { name: "conv.out", index: [1, 3, 1], side: "value" },
};

export const store = { ...BEGIN };
const past = [];
const listeners = [];
let lastKind = null;

export function whenChanged(listener) {
  listeners.push(listener);
}

/** Set parts of the store. A change of situation or mistake can be undone; a series of one kind as a whole. */
export function change(parts, kind = null) {
  if ("situation" in parts || "mistake" in parts) {
    if (kind === null || kind !== lastKind) past.push({ situation: store.situation, mistake: store.mistake });
    if (past.length > 500) past.shift();
    lastKind = kind;
  }
  Object.assign(store, parts);
  tell();
}

/** The next change is one of its own, whatever its kind. */
export function endOfSeries() {
  lastKind = null;
}

export function undo() {
  if (!past.length) return false;
  Object.assign(store, past.pop());
  lastKind = null;
  tell();
  return true;
}

export function canUndo() {
  return past.length > 0;
}

export function reset() {
  change({ situation: BEGIN.situation, mistake: "" });
}

function tell() {
  for (const listener of listeners) listener();
  remember();
}

// the link: everything that is not as it was at the start

const NAMES = ["conv.weight", "conv.bias", "fc.weight", "fc.bias"];

function pack({ x, state }) {
  const numbers = Float64Array.from([x, ...NAMES.map((name) => state[name])].flatMap(flat));
  const text = String.fromCharCode(...new Uint8Array(numbers.buffer));
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

function unpack(text, label) {
  const bytes = bytesOf(text.replace(/-/g, "+").replace(/_/g, "/"));
  const numbers = [...new Float64Array(bytes.buffer)];
  if (numbers.length !== 178 || !numbers.every(Number.isFinite)) throw new Error("not 178 numbers");
  const take = (like) => shaped(numbers.splice(0, flat(like).length), shapeOf(like));
  const { x, state } = BEGIN.situation;
  return { x: take(x), state: Object.fromEntries(NAMES.map((name) => [name, take(state[name])])), label };
}

export function asFragment() {
  const { situation, mistake, view, h, lr, images, selected } = store;
  const said = { v: view, s: [selected.name, selected.index.join("."), selected.side].join("~") };
  if (mistake) said.m = mistake;
  if (h !== BEGIN.h) said.h = h;
  if (lr !== BEGIN.lr) said.lr = lr;
  if (images !== BEGIN.images) said.i = images;
  if (situation !== BEGIN.situation) Object.assign(said, { y: situation.label, d: pack(situation) });
  return new URLSearchParams(said).toString();
}

/** Read a link; what it does not say is as at the start. Returns what is wrong with it, "" if nothing is. */
export function fromFragment(text, known) {
  const said = new URLSearchParams(text.replace(/^#/, ""));
  try {
    const [name, index, side] = (said.get("s") ?? "conv.out~1.3.1~value").split("~");
    const label = said.get("y") === "1" ? 1 : 0;
    const parts = {
      situation: said.has("d") ? unpack(said.get("d"), label) : BEGIN.situation,
      mistake: said.get("m") ?? "",
      view: said.get("v") ?? BEGIN.view,
      images: said.get("i") ?? BEGIN.images,
      h: Number(said.get("h") ?? BEGIN.h),
      lr: Number(said.get("lr") ?? BEGIN.lr),
      selected: {
        name,
        index: index ? index.split(".").map(Number) : [],
        side: side === "gradient" ? side : "value",
      },
    };
    const fits = known(parts) && parts.h > 0 && parts.h <= 1 && parts.lr >= 0 && parts.lr <= 100;
    if (!fits) throw new Error("a part is unknown");
    change(parts);
    return "";
  } catch (error) {
    return `The link cannot be read (${error.message}): the page begins as it was made.`;
  }
}

let later = null,
  ownFragment = "";

/** Whether a fragment is the one that the page itself wrote. */
export function isOwn(fragment) {
  return fragment === ownFragment;
}

function remember() {
  clearTimeout(later);
  later = setTimeout(() => {
    ownFragment = `#${asFragment()}`;
    history.replaceState(null, "", ownFragment);
  }, 250);
}

// the weights as JSON

export function weightsAsJson() {
  return JSON.stringify(store.situation.state);
}

/** The state in a text of JSON, as `state_dict` names it. Throws an Error whose message is for people. */
export function stateFromJson(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error('this is no JSON, expected {"conv.weight": [...], ...}');
  }
  const own = BEGIN.situation.state;
  for (const name of NAMES) {
    const shape = shapeOf(given?.[name] ?? null),
      wanted = shapeOf(own[name]);
    if (!given || !(name in given)) throw new Error(`${name} is missing`);
    if (`${shape}` !== `${wanted}` || flat(given[name]).length !== flat(own[name]).length)
      throw new Error(`${name} has shape (${shape.join(", ")}), expected (${wanted.join(", ")})`);
    if (!flat(given[name]).every(Number.isFinite)) throw new Error(`${name} holds what is no finite number`);
  }
  for (const name of Object.keys(given)) if (!NAMES.includes(name)) throw new Error(`${name} is unexpected`);
  return Object.fromEntries(NAMES.map((name) => [name, given[name]]));
}
