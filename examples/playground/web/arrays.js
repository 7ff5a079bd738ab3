// Nested arrays: x[c][h][w]. A shape is a list of lengths, an index a list of places.

export function zeros([length, ...rest]) {
  const array = new Array(length);
  for (let i = 0; i < length; i++) array[i] = rest.length ? zeros(rest) : 0;
  return array;
}

export function shapeOf(array) {
  return Array.isArray(array) ? [array.length, ...shapeOf(array[0])] : [];
}

const known = new Map(); // indices by shape: the same few shapes are asked for again and again

/** Every index of a shape, the last place fastest. Nobody may change what this returns. */
export function indicesOf(shape) {
  const key = shape.join();
  if (!known.has(key)) known.set(key, makeIndices(shape));
  return known.get(key);
}

function makeIndices([length, ...rest]) {
  if (length === undefined) return [[]];
  const inner = makeIndices(rest);
  return Array.from({ length }, (_, i) => inner.map((index) => [i, ...index])).flat();
}

export function at(array, index) {
  return index.reduce((part, i) => part[i], array);
}

/** A copy of `array` with one entry changed. */
export function changed(array, [i, ...rest], value) {
  const copy = array.slice();
  copy[i] = rest.length ? changed(array[i], rest, value) : value;
  return copy;
}

/** f of every entry of one array, or of two of the same shape. */
export function map(f, a, b) {
  if (!Array.isArray(a)) return f(a, b);
  return b === undefined ? a.map((part) => map(f, part)) : a.map((part, i) => map(f, part, b[i]));
}

export function flat(array) {
  return Array.isArray(array) ? array.flat(Infinity) : [array];
}

/** The numbers of a flat list in a shape. */
export function shaped(numbers, [length, ...rest]) {
  if (length === undefined) return numbers[0];
  const size = numbers.length / length;
  return Array.from({ length }, (_, i) => shaped(numbers.slice(i * size, (i + 1) * size), rest));
}
