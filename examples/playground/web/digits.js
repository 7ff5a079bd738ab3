// Draw a digit: MNISTCNN, trained by this library on the real MNIST, run on what stands in the field.

import { shaped, shapeOf } from "./arrays.js";
import { depthOf } from "./cells.js";
import { el, number, replace, share } from "./dom.js";
import { MNIST, run } from "./network.js";
import { bytesOf, data } from "./store.js";

const MEAN = 0.1307,
  STD = 0.3081; // of MNIST's training pixels
let built = null,
  pixels = new Float64Array(784),
  pen = [14, 14],
  label = "",
  waiting = 0;

let weights = null;

function state() {
  if (!weights) {
    weights = {};
    for (const [name, { shape, base64 }] of Object.entries(data.mnist.weights))
      weights[name] = shaped([...new Float32Array(bytesOf(base64).buffer)], shape);
  }
  return weights;
}

/** What the network gives for the pixels, 0 to 1, as they stand. */
export function look(given, asLabel = 0) {
  const x = [shaped([...given].map((value) => (value - MEAN) / STD), [28, 28])];
  return run(MNIST, state(), x, asLabel);
}

/** Moved so that the ink's centre of mass is the field's, as MNIST's makers did. */
function centred(given) {
  let mass = 0,
    y = 0,
    x = 0;
  given.forEach((value, k) => {
    mass += value;
    y += value * Math.floor(k / 28);
    x += value * (k % 28);
  });
  if (!mass) return given;
  const [dy, dx] = [Math.round(14 - y / mass - 0.5), Math.round(14 - x / mass - 0.5)],
    moved = new Float64Array(784);
  given.forEach((value, k) => {
    const [h, w] = [Math.floor(k / 28) + dy, (k % 28) + dx];
    if (value && h >= 0 && h < 28 && w >= 0 && w < 28) moved[h * 28 + w] = value;
  });
  return moved;
}

/** Ink around a point, in pixels of the field. */
function ink(y, x) {
  for (let h = 0; h < 28; h++)
    for (let w = 0; w < 28; w++) {
      const far = Math.hypot(h + 0.5 - y, w + 0.5 - x),
        dark = Math.max(0, Math.min(1, 1.9 - far));
      pixels[h * 28 + w] = Math.max(pixels[h * 28 + w], dark);
    }
}

function paintMap(canvas, map, scale, style) {
  const [H, W] = shapeOf(map),
    context = Object.assign(canvas, { width: SIDE * W, height: SIDE * H }).getContext("2d");
  map.flat().forEach((value, k) => {
    const size = depthOf(value, scale),
      [y, x] = [SIDE * Math.floor(k / W), SIDE * (k % W)];
    const mixed = (end) => `rgb(${style.paper.slice(0, 3).map((c, i) => c + size * (end[i] - c))})`;
    context.fillStyle = mixed(value > 0 ? style.pos : style.neg);
    context.fillRect(x, y, SIDE, SIDE);
    if (value < 0 && size > 0.2) {
      context.fillStyle = mixed(style.ink);
      context.fillRect(x + 1, y + 2, SIDE - 2, 1);
    }
  });
}

const SIDE = 5; // of an entry, in pixels of the picture: below 0 it has a dash

function colours() {
  const of = (name) => {
    const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  return { pos: of("--pos"), neg: of("--neg"), paper: of("--cell"), ink: of("--ink") };
}

function show() {
  waiting = 0;
  const style = colours(),
    empty = !pixels.some(Boolean);
  const says = look(pixels)["loss.probs"];
  const best = says.indexOf(Math.max(...says)),
    asLabel = label === "" ? best : Number(label),
    tensors = look(pixels, asLabel),
    probs = tensors["loss.probs"];
  paintMap(built.field, shaped([...pixels], [28, 28]), 1, { ...style, pos: style.ink });
  built.bars.forEach(({ bar, text, row }, k) => {
    bar.style.setProperty("--share", empty ? 0 : probs[k]);
    text.textContent = empty ? "" : share(probs[k]);
    row.classList.toggle("best", !empty && k === best);
  });
  replace(
    built.verdict,
    empty
      ? "Nothing is drawn yet: each map shows what its bias and an empty field give."
      : `${best}, with probability ${share(probs[best])}; loss ${number(tensors["loss.loss"], 3)} with the label ${asLabel}`,
  );
  built.labels.value = label;
  for (const [name, canvases] of Object.entries(built.maps)) {
    const maps = tensors[name],
      scale = Math.max(...maps.flat(2).map(Math.abs));
    canvases.forEach((canvas, c) => paintMap(canvas, maps[c], scale, style));
  }
  built.gradient.hidden = empty;
}

export function soon() {
  if (!waiting) waiting = requestAnimationFrame(show);
}

function movePen(y, x) {
  pen = [Math.max(0, Math.min(27, y)), Math.max(0, Math.min(27, x))];
  built.pen.style.setProperty("--y", pen[0]);
  built.pen.style.setProperty("--x", pen[1]);
}

const ROWS = [
  ["conv1.out", 16, "convolution 1: 16 maps of 26 × 26"],
  ["pool1.out", 16, "after ReLU and pooling: 13 × 13"],
  ["conv2.out", 32, "convolution 2: 32 maps of 11 × 11"],
  ["pool2.out", 32, "after ReLU and pooling: 5 × 5"],
];

export const digits = {
  title: "Digits",
  build(panel) {
    const field = el("canvas", { width: 28, height: 28, "aria-hidden": "true" }),
      cursor = el("span.pen", { "aria-hidden": "true" });
    const area = el(
      "div.drawing",
      {
        tabindex: "0",
        role: "application",
        "aria-label": "field of 28 by 28 pixels: arrow keys move the pen, Space draws, Delete wipes",
      },
      field,
      cursor,
    );
    const draw = (event) => {
      const box = area.getBoundingClientRect();
      const [y, x] = [
        ((event.clientY - box.y) / box.height) * 28,
        ((event.clientX - box.x) / box.width) * 28,
      ];
      ink(y, x);
      movePen(Math.floor(y), Math.floor(x));
      label = "";
      soon();
    };
    area.addEventListener("pointerdown", (event) => {
      area.setPointerCapture(event.pointerId);
      draw(event);
    });
    area.addEventListener("pointermove", (event) => event.buttons && draw(event));
    const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    let down = false;
    area.addEventListener("keydown", (event) => {
      if (event.key === " ") down = true;
      else if (event.key === "Delete" || event.key === "Backspace") wipe();
      else if (arrows[event.key]) movePen(pen[0] + arrows[event.key][0], pen[1] + arrows[event.key][1]);
      else return;
      event.preventDefault();
      if (down) {
        ink(pen[0] + 0.5, pen[1] + 0.5);
        label = "";
      }
      soon();
    });
    area.addEventListener("keyup", (event) => event.key === " " && (down = false));
    area.addEventListener("blur", () => (down = false));
    const wipe = () => {
      pixels = new Float64Array(784);
      label = "";
      soon();
    };
    const images = bytesOf(data.mnist.images);
    const take = (n) => {
      pixels = Float64Array.from(images.slice(784 * n, 784 * (n + 1)), (value) => value / 255);
      label = String(data.mnist.labels[n]);
      soon();
    };
    const samples = el(
      "p.buttons.samples",
      "test images ",
      data.mnist.labels.map((k, n) =>
        el("button", { onclick: () => take(n), "aria-label": `test image of a ${k}` }, String(k)),
      ),
    );
    const labels = el(
      "select",
      { id: "digit-label" },
      el("option", { value: "" }, "what the network says"),
      data.mnist.labels.map((k) => el("option", { value: k }, String(k))),
    );
    labels.addEventListener("change", () => {
      label = labels.value;
      soon();
    });
    const bars = Array.from({ length: 10 }, (_, k) => {
      const bar = el("span.bar"),
        text = el("span.share");
      return { bar, text, row: el("li", el("span.class", String(k)), bar, text) };
    });
    const verdict = el("p.verdict", { role: "status" }),
      maps = {};
    const strips = ROWS.map(([name, count, said]) => {
      maps[name] = Array.from({ length: count }, () =>
        el("canvas", { width: 1, height: 1, "aria-hidden": "true" }),
      );
      return el("figure.feature-maps", el("figcaption", said), el("div", maps[name]));
    });
    maps["conv1.dx"] = [el("canvas", { width: 1, height: 1, "aria-hidden": "true" })];
    const gradient = el(
      "figure.feature-maps.slope",
      el("figcaption", "gradient of every pixel: above 0 more ink there raises the loss, below 0 it lowers it"),
      el("div", maps["conv1.dx"]),
    );
    const { accuracy, dataset, command } = data.mnist;
    replace(
      panel,
      el(
        "div.columns.digits",
        el(
          "section",
          area,
          el(
            "p.buttons",
            el(
              "button",
              { onclick: () => {
                  pixels = centred(pixels);
                  soon();
                },
              },
              "Centre",
            ),
            el("button", { onclick: wipe }, "Wipe"),
          ),
          el("p.row-of-fields", el("label", { for: "digit-label" }, "label"), labels),
          samples,
        ),
        el(
          "section",
          verdict,
          el("ul.bars", bars.map(({ row }) => row)),
          el(
            "p.note",
            accuracy
              ? [
                  `MNISTCNN, 12,810 weights, ${accuracy} % right on the 10,000 test images of ${dataset}. The weights were made by `,
                  el("code", command),
                ]
              : `MNISTCNN with the weights of ${command}`,
          ),
        ),
        el(
          "section.all-maps",
          el("p.note", "Red is above 0, blue with a dash below 0; the deepest colour is the largest number of its row, a quarter of it is half as deep."),
          gradient,
          strips,
        ),
      ),
    );
    built = { field, bars, verdict, maps, pen: cursor, gradient, labels };
    movePen(14, 14);
    take(3);
  },
  render: soon,
};
