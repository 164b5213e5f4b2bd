"use strict";
// Elements, numbers and axes.

// Without a script there is nothing to filter, sort or switch, and none of it is shown.
document.documentElement.classList.add("live");

const NS = "http://www.w3.org/2000/svg";

function filled(node, attributes, text, parent) {
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}
const svg = (parent, name, attributes, text) => filled(document.createElementNS(NS, name), attributes, text, parent);
const html = (parent, name, attributes, text) => filled(document.createElement(name), attributes, text, parent);

const minus = (text) => text.replace("-", "\u2212");

/** A number as a tooltip shows it: three significant digits. */
function number(value, factor) {
  if (value === null || value === undefined) return "\u2013";
  const shown = value * factor, size = Math.abs(shown);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return minus(shown.toExponential(2));
  return minus(shown.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3));
}

/** The same with the unit that stands in brackets at the end of an axis's label, where that is a per cent sign. */
const withUnit = (value, axis) => number(value, axis.factor) + (axis.label.endsWith("(%)") ? " %" : "");

/** Ticks at round numbers: [place, text]. */
function steps(low, high, count) {
  const raw = (high - low) / count;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const digit = raw / power;
  // Bounds are the geometric means of neighbours.
  const step = (digit <= 1.414 ? 1 : digit <= 3.162 ? 2 : digit <= 7.071 ? 5 : 10) * power;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i++) {
    ticks.push([i * step, minus((i * step).toFixed(decimals)).replace(/^\u2212(0(\.0*)?)$/, "$1")]);
  }
  return ticks;
}

const raised = (power) => String(power).replace(/./g, (sign) => sign === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[sign]);

/** Ticks at powers of ten, and between them where there are too few. */
function decades(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / 6));
  const ticks = [];
  for (let p = last; p >= first; p -= every) ticks.push([Math.pow(10, p), p === 0 ? "1" : p === 1 ? "10" : "10" + raised(p)]);
  if (ticks.length > 1) return ticks;
  const fine = [];
  for (let p = first - 1; p <= last + 1; p++) {
    for (const digit of [1, 2, 5]) {
      const value = digit * Math.pow(10, p);
      if (value >= low * 0.999999 && value <= high * 1.000001) fine.push([value, value.toFixed(Math.max(0, -p))]);
    }
  }
  return fine;
}

/** Places values between two pixels. */
function scale(spec, from, to, count) {
  let [low, high] = spec.range;
  if (!(high > low)) {
    const room = Math.abs(low) * 0.05 || 0.5;
    [low, high] = [low - room, high + room];
  }
  const share = spec.log
    ? (value) => value > 0 ? Math.log10(value / low) / Math.log10(high / low) : NaN
    : (value) => (value - low) / (high - low);
  let ticks = spec.log
    ? decades(low, high)
    : steps(low * spec.factor, high * spec.factor, count).map(([value, text]) => [value / spec.factor, text]);
  if (spec.whole) ticks = ticks.filter(([value]) => Math.abs(value - Math.round(value)) < 1e-9);
  return { at: (value) => value === null ? NaN : from + share(value) * (to - from), ticks };
}
