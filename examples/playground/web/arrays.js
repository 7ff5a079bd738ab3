// Nested arrays: x[c][h][w]. A shape is a list of lengths, an index a list of places.

export function zeros([length, ...rest]) {
  return Array.from({ length }, () => (rest.length ? zeros(rest) : 0));
}

export function shapeOf(array) {
  return Array.isArray(array) ? [array.length, ...shapeOf(array[0])] : [];
}

/** Every index of a shape, the last place fastest. */
export function indicesOf([length, ...rest]) {
  if (length === undefined) return [[]];
  const inner = indicesOf(rest);
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

export function map(f, ...arrays) {
  const [first] = arrays;
  return Array.isArray(first) ? first.map((_, i) => map(f, ...arrays.map((a) => a[i]))) : f(...arrays);
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
