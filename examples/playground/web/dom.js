// Small helpers: elements, numbers as text, places in words.

/** el("p.note", { title: "x" }, "text", child): classes stand behind the tag, attributes may be left out. */
export function el(kind, ...children) {
  const [tag, ...classes] = kind.split("."),
    node = document.createElement(tag);
  const attributes = children[0]?.constructor === Object ? children.shift() : {};
  if (classes.length) node.className = classes.join(" ");
  if (tag === "button") node.type = "button";
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  replace(node, children);
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
}

/** A number for people: four digits that count, a true minus sign. */
export function number(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  if (size === 0) return "0";
  const small = size < 1e-3 || size >= 1e5;
  const text = small
    ? value.toExponential(Math.max(0, digits - 3))
    : String(Number(value.toPrecision(digits)));
  return text.replace(/-/g, "−").replace("e+", "e");
}

/** A probability; what rounds to 1 is not called so. */
export function share(value) {
  return value > 0.999 ? "> 0.999" : number(value, 3);
}

export function signed(value) {
  return value > 0 ? "pos" : value < 0 ? "neg" : "nil";
}

/** The text of an element, touched only where it changes: what is not touched is not laid out again. */
export function write(node, text) {
  if (node.said !== text) node.textContent = node.said = text;
}

/** A number in the colour of its sign; the sign itself stands before it. */
export function figure(value, digits) {
  const node = el("span");
  writeFigure(node, value, digits);
  return node;
}

export function writeFigure(node, value, digits) {
  write(node, number(value, digits));
  const kind = `figure ${signed(value)}`;
  if (node.className !== kind) node.className = kind;
}

export const CLASSES = ["horizontal", "vertical"];

const TITLES = {
  x: "the image",
  "conv.weight": "convolution weight",
  "conv.bias": "convolution bias",
  "conv.out": "convolution",
  "relu.out": "ReLU",
  "pool.out": "max pool",
  "fc.weight": "dense weight",
  "fc.bias": "dense bias",
  "fc.out": "logit",
  "loss.probs": "probability",
  "loss.loss": "the loss",
};

export function titleOf(name) {
  return TITLES[name];
}

/** "filter 2, row 0, column 1" */
export function placeOf(name, index) {
  const [a, b, c, d] = index;
  if (name === "x") return `row ${b}, column ${c}`;
  if (name === "conv.weight") return `filter ${a}, row ${c}, column ${d}`;
  if (name === "conv.bias") return `filter ${a}`;
  if (name === "fc.weight")
    return `to class ${a} from map ${Math.floor(b / 9)}, row ${Math.floor(b / 3) % 3}, column ${b % 3}`;
  if (index.length === 3) return `map ${a}, row ${b}, column ${c}`;
  return index.length ? `class ${a}, ${CLASSES[a]}` : "";
}

export function written(name, index) {
  return index.length ? `${name}[${index.join(",")}]` : name;
}
