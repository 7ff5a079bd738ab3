// A line chart: axes, curves, points; nothing that the eye does not need.

import { el, number, svg } from "./dom.js";

/** curves: [{ name, points: [[x, y], ...], kind, end: words at the last point }]; log axes where asked for; `words` says what is to be seen. */
export function chart({
  curves,
  words,
  xLabel,
  yLabel,
  logX = false,
  logY = false,
  hollow = () => false,
  mark = null,
}) {
  const W = 340,
    H = 170,
    left = 46,
    bottom = 30,
    top = 8,
    right = 10;
  const sx = (x) => (logX ? Math.log10(x) : x),
    sy = (y) => (logY ? Math.log10(Math.max(y, 1e-17)) : y);
  const all = curves.flatMap((curve) => curve.points).filter(([, y]) => Number.isFinite(y));
  const xs = all.map(([x]) => sx(x)),
    ys = all.map(([, y]) => sy(y));
  let [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  if (logY) [y0, y1] = [Math.floor(y0), Math.ceil(y1)];
  else [y0, y1] = [Math.min(0, y0), y1 + 0.05 * (y1 - y0)];
  if (!(x1 > x0)) x1 = x0 + 1;
  if (!(y1 > y0)) y1 = y0 + 1;
  const px = (x) => left + ((sx(x) - x0) / (x1 - x0)) * (W - left - right);
  const py = (y) => H - bottom - ((sy(y) - y0) / (y1 - y0)) * (H - bottom - top);
  const text = (x, y, said, anchor) => svg("text", { x, y, "text-anchor": anchor }, said);
  const parts = [svg("path", { class: "axis", d: `M${left} ${top}V${H - bottom}H${W - right}` })];
  const name = (value, log) => (log ? `1e${Math.round(value)}`.replace("-", "−") : number(value, 2));
  for (const y of [y0, (y0 + y1) / 2, y1]) {
    const place = py(logY ? 10 ** y : y);
    parts.push(
      svg("path", { class: "grid", d: `M${left} ${place}H${W - right}` }),
      text(left - 5, place + 4, name(y, logY), "end"),
    );
  }
  for (const x of [x0, x1])
    parts.push(text(px(logX ? 10 ** x : x), H - bottom + 14, name(x, logX), x === x0 ? "start" : "end"));
  parts.push(text((left + W - right) / 2, H - 3, xLabel, "middle"), svg("title", {}, words));
  for (const { points, kind } of curves) {
    const fine = points.filter(([, y]) => Number.isFinite(y));
    parts.push(
      svg("path", {
        class: `curve ${kind}`,
        d: fine.map(([x, y], i) => `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join(""),
      }),
    );
    if (points.length <= 30 && kind === "main")
      for (const point of fine)
        parts.push(
          svg("circle", {
            class: `point ${kind}${hollow(point) ? " hollow" : ""}`,
            cx: px(point[0]),
            cy: py(point[1]),
            r: 3,
          }),
        );
  }
  for (const { points, end } of curves.filter((curve) => curve.end)) {
    const [x, y] = [px(points.at(-1)[0]), py(points.at(-1)[1])];
    const anchor = x < W / 2 ? "start" : "end";
    parts.push(svg("text", { class: "rate", x, y: Math.max(y - 8, top + 8), "text-anchor": anchor }, end));
  }
  if (mark !== null) parts.push(svg("path", { class: "mark", d: `M${px(mark)} ${top}V${H - bottom}` }));
  const keys =
    curves.length > 1 &&
    curves[0].name &&
    el(
      "span.keys",
      curves.map(({ name: said, kind }) =>
        el(
          "span",
          svg(
            "svg",
            { class: "key", viewBox: "0 0 20 6" },
            svg("path", { class: `curve ${kind}`, d: "M0 3H20" }),
          ),
          said,
        ),
      ),
    );
  return el(
    "figure.chart",
    el("figcaption", yLabel, keys),
    svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": words }, ...parts),
  );
}
