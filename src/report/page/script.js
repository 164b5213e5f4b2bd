"use strict";
// Highlights, picks, sorts and filters; everything else stands in the page as it is read. Whatever stands for one row of the table
// (a curve, a point, a line of a legend) carries that row's key in data-run, or several keys separated by spaces.

document.documentElement.classList.add("live");
const $ = (id) => document.getElementById(id), all = (selector, of = document) => [...of.querySelectorAll(selector)];
const body = document.querySelector(".runs tbody"), heads = all(".runs thead th");
const rows = new Map(body ? [...body.rows].map((row) => [row.dataset.run, row]) : []);
const state = { picked: null, near: null };

// Everything alive, by key; cells of a matrix only answer to the pointer.
const marks = new Map();
for (const mark of all("svg [data-run]:not(.heat)")) {
  for (const key of mark.dataset.run.split(" ")) marks.has(key) ? marks.get(key).push(mark) : marks.set(key, [mark]);
}
const drawn = (key) => rows.get(key)?.dataset.as ?? key;
const nameOf = (key) => /^\d+$/.test(key) ? `run ${key}` : key.replace("-", " ");

/** Lays copies of what is near and picked on top of each picture. */
function show() {
  for (const top of all("svg .top")) top.replaceChildren();
  for (const kind of ["near", "picked"]) {
    for (const mark of marks.get(drawn(state[kind])) ?? []) {
      for (const part of ["halo", kind]) {
        const copy = mark.cloneNode();
        copy.classList.remove("hidden");
        copy.removeAttribute("opacity");
        copy.classList.add(part);
        mark.ownerSVGElement.querySelector(".top").append(copy);
      }
    }
  }
}

function hover(key) {
  if (key === state.near) return;
  rows.get(state.near)?.classList.remove("near");
  state.near = key;
  rows.get(key)?.classList.add("near");
  show();
}

/** Picks a key, or none; `anchor` is an element that stays where it is on the screen. */
function pick(key, anchor) {
  const before = anchor?.getBoundingClientRect().top;
  rows.get(state.picked)?.removeAttribute("aria-current");
  state.picked = marks.has(drawn(key)) || rows.has(key) ? key : null;
  const row = rows.get(state.picked);
  row?.setAttribute("aria-current", "true");
  if (row && !row.hidden) reveal(row);
  for (const section of all("#chosen > section")) section.classList.toggle("shown", section.dataset.of === state.picked);
  for (const button of all("[data-pick]")) button.setAttribute("aria-pressed", String(button.dataset.pick === state.picked));
  $("bar").hidden = state.picked === null;
  const place = columnOf("accuracy");
  $("picked").textContent = state.picked === null ? "" : nameOf(state.picked) + (row && place > 0 ? ` · accuracy ${row.cells[place].textContent}` : "");
  show();
  if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
  // A link to the pick; where a browser forbids it, nothing depends on it.
  try { history.replaceState(null, "", state.picked === null ? location.pathname + location.search : `#run-${state.picked}`); } catch { /* no link */ }
}
const toggle = (key, anchor) => pick(state.picked === key ? null : key, anchor);

/** Moves the row into the table's own window, and nothing else. */
function reveal(row) {
  const box = row.closest(".scroll"), top = row.offsetTop - heads[0].offsetHeight, bottom = row.offsetTop + row.offsetHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}

// Pictures: what the pointer is near, and its value read off the axes.
const corners = new Map();
function cornersOf(mark) {
  if (!corners.has(mark)) corners.set(mark, [...mark.getAttribute("d").matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map((found) => [Number(found[1]), Number(found[2])]));
  return corners.get(mark);
}
function centreOf(mark) {
  const box = mark.getBBox();
  return [[box.x + box.width / 2, box.y + box.height / 2]];
}
function axisValue(text, pixel) {
  const [from, to, low, high, factor, log, ...label] = text.split(" ");
  const share = (pixel - from) / (to - from), [a, b] = [Number(low), Number(high)];
  const value = (log === "1" ? a * (b / a) ** share : a + share * (b - a)) * factor, name = label.join(" "), size = Math.abs(value);
  const digits = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : Number(value.toPrecision(4)).toString();
  return { name: name.replace(/ \(.*/, ""), text: digits.replace("-", "\u2212") + (name.endsWith("(%)") ? " %" : "") };
}
function nearest(picture, event) {
  const own = event.target.closest("[data-tip]");
  if (own && !own.closest(".top")) return { key: own.dataset.run?.split(" ")[0] ?? null, text: own.dataset.tip };
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  let best = null, least = 22;
  for (const mark of all("[data-run]", picture)) {
    if (mark.closest(".top") || mark.matches(".hidden, .heat")) continue;
    for (const [px, py] of mark.dataset.tip ? centreOf(mark) : cornersOf(mark)) {
      // One that stands out wins over the crowd that it stands in.
      const distance = Math.hypot(px - x, py - y) - (mark.matches(".typical") ? 0 : 3);
      if (distance < least) [best, least] = [{ mark, px, py }, distance];
    }
  }
  if (!best) return null;
  const key = best.mark.dataset.run.split(" ")[0];
  if (best.mark.dataset.tip || !picture.dataset.x) return { key, text: best.mark.dataset.tip ?? nameOf(key) };
  const along = axisValue(picture.dataset.x, best.px), up = axisValue(picture.dataset.y, best.py);
  return { key, text: `${nameOf(key)}: ${up.text} at ${along.name} ${along.text}` };
}
for (const picture of all(".panels svg")) {
  picture.tabIndex = 0;
  picture.addEventListener("pointermove", (event) => {
    const found = nearest(picture, event), tip = $("tip");
    hover(found?.key ?? null);
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = found.text;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  picture.addEventListener("pointerleave", () => { hover(null); $("tip").hidden = true; });
  picture.addEventListener("click", (event) => { const found = nearest(picture, event); if (found?.key) toggle(found.key, picture); });
  picture.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by && rows.size) { step(by, picture); event.preventDefault(); }
  });
}

// The table. A cell's number is the one that it shows.
const visible = () => [...rows.values()].length ? [...body.rows].filter((row) => !row.hidden) : [];
const numberOf = (row, place) => {
  const found = /[−-]?[\d,]*\.?\d+(?:[eE][−-]?\d+)?/.exec(row.cells[place].textContent);
  return found ? Number(found[0].replace("−", "-").replaceAll(",", "")) : null;
};
const plain = (text) => text.toLowerCase().replace(/[\s_.]+/g, "");
const columnOf = (name) => heads.findIndex((head) => [head.textContent, head.dataset.key].some((held) => held && plain(held) === plain(name)));
const flagsOf = (row) => all("code", row).map((flag) => flag.textContent.toLowerCase());
const known = new Set([...rows.values()].flatMap(flagsOf));

/** The conditions of a filter as tests of a row, and the words that are none. */
function conditions(text) {
  const tests = [], numbers = [], strange = [];
  let rest = text.replace(/\s*(<=|>=|=|<|>)\s*/g, "$1").replace(/\s+%/g, "%");
  for (const head of heads) if (head.textContent.includes(" ")) rest = rest.replaceAll(new RegExp(head.textContent + "(?=[<>=])", "gi"), plain(head.textContent));
  for (const word of rest.split(/[\s,;&]+/).filter((word) => word && word !== "and")) {
    const compared = /^(.+?)(<=|>=|=|<|>)([−-]?[\d.]+)%?$/.exec(word), range = /^(\d+)(?:[-–](\d+))?$/.exec(word);
    const place = compared ? columnOf(compared[1]) : -1, limit = compared && Number(compared[3].replace("−", "-"));
    if (place >= 0 && Number.isFinite(limit)) {
      const holds = { "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit, ">=": (v) => v >= limit, "=": (v) => v === limit }[compared[2]];
      tests.push((row) => { const value = numberOf(row, place); return value !== null && holds(value); });
    } else if (range) numbers.push([Number(range[1]), Number(range[2] ?? range[1])]);
    else if ([...known].some((flag) => flag.startsWith(word.toLowerCase()))) tests.push((row) => flagsOf(row).some((flag) => flag.startsWith(word.toLowerCase())));
    else strange.push(word);
  }
  if (numbers.length) tests.push((row) => numbers.some(([from, to]) => numberOf(row, 0) >= from && numberOf(row, 0) <= to));
  return { tests, strange };
}
function filter() {
  const { tests, strange } = conditions($("find").value);
  for (const row of rows.values()) row.hidden = ($("flagged").checked && !row.matches(".flagged")) || !tests.every((fits) => fits(row));
  const shown = visible();
  $("count").textContent = `${shown.length} of ${rows.size}`;
  $("trouble").hidden = !strange.length;
  $("trouble").textContent = `Not understood and left out: ${strange.join(", ")}. A condition is a number or a range (3-7), a flag (${[...known].slice(0, 3).join(", ") || "alpha"}), or a column with <, >, <=, >= or = and a number (accuracy<97).`;
  reach(shown.find((row) => row.dataset.run === state.picked) ?? shown[0]);
}
/** Makes one row the one that the tab key reaches. */
function reach(row) {
  for (const other of rows.values()) other.tabIndex = -1;
  if (row) row.tabIndex = 0;
}
function sort(head) {
  const place = heads.indexOf(head), before = head.getAttribute("aria-sort");
  // What is worth a look comes first: low accuracies, and high values of everything else.
  const ascending = before === "none" ? place === 0 || /^accuracy/.test(head.textContent) : before === "descending";
  for (const other of heads) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const value = (row) => head.matches(".words") ? flagsOf(row).length : numberOf(row, place);
  body.append(...[...rows.values()].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (ascending ? x - y : y - x) || numberOf(a, 0) - numberOf(b, 0);
  }));
  filter();
}
/** To the next row or the one before, in the order of the table. */
function step(by, anchor) {
  const order = visible().map((row) => row.dataset.run), place = order.indexOf(state.picked);
  if (order.length) pick(order[place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length], anchor);
}
if (body) {
  for (const head of heads) head.firstElementChild.addEventListener("click", () => sort(head));
  $("find").addEventListener("input", filter);
  $("flagged").addEventListener("change", filter);
  const keyOf = (event) => event.target.closest("tr[data-run]")?.dataset.run ?? null;
  body.addEventListener("click", (event) => toggle(keyOf(event)));
  body.addEventListener("pointerover", (event) => hover(keyOf(event)));
  body.addEventListener("pointerleave", () => hover(null));
  body.addEventListener("keydown", (event) => {
    const shown = visible(), place = shown.indexOf(event.target.closest("tr"));
    const moves = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + 10, PageUp: place - 10, Home: 0, End: shown.length - 1 };
    if (event.key in moves) {
      const row = shown[Math.max(0, Math.min(shown.length - 1, moves[event.key]))];
      reach(row);
      row.focus({ preventScroll: true });
      reveal(row);
    } else if (event.key === "Enter" || event.key === " ") toggle(keyOf(event));
    else return;
    event.preventDefault();
  });
  filter();
}
for (const button of all("[data-pick]")) {
  button.addEventListener("click", () => toggle(button.dataset.pick, button));
  button.addEventListener("pointerenter", () => hover(button.dataset.pick));
  button.addEventListener("pointerleave", () => hover(null));
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") { pick(null); hover(null); } });
$("clear").addEventListener("click", () => pick(null));
$("before").addEventListener("click", () => step(-1));
$("after").addEventListener("click", () => step(1));
$("details").addEventListener("click", () => (document.querySelector("#chosen > .shown") ?? body)?.scrollIntoView({ block: "start" }));
$("theme").addEventListener("click", () => {
  const themes = ["", "light", "dark"], root = document.documentElement, theme = themes[(themes.indexOf(root.dataset.theme ?? "") + 1) % 3];
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  $("theme").setAttribute("aria-label", `colours: ${theme || "as the system"}`);
  $("theme").textContent = { "": "◐", light: "○", dark: "●" }[theme];
});
const asked = /^#run-(.+)$/.exec(location.hash);
if (asked) pick(decodeURIComponent(asked[1]));
