// Picking a run, colours, and putting everything on the page.

const tip = $("tip");
let plots = [];

function hover(run) {
  if (run === state.near) return;
  const mark = (run, on) => { if (rows.has(run)) rows.get(run).classList.toggle("near", on); };
  mark(state.near, false);
  state.near = run;
  mark(run, true);
  show();
}

function show() {
  for (const plot of plots) plot.show();
  if (ownMargins) ownMargins.show();
}

/** Picks a run, or none; `anchor` is an element that stays where it is on the screen. */
function pick(run, anchor) {
  const before = anchor && anchor.getBoundingClientRect().top;
  if (rows.has(state.picked)) rows.get(state.picked).removeAttribute("aria-current");
  state.picked = runs.has(run) ? run : null;
  const row = rows.get(state.picked);
  if (row) {
    row.setAttribute("aria-current", "true");
    if (!row.hidden) reveal(row);
  }
  describe();
  show();
  for (const key of document.querySelectorAll("#keys button")) key.setAttribute("aria-pressed", String(Number(key.dataset.run) === state.picked));
  if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
  // A link to the pick; where a browser forbids it, nothing depends on it.
  try { history.replaceState(null, "", state.picked === null ? location.pathname + location.search : `#run-${state.picked}`); } catch { /* no link then */ }
}
const toggle = (run, anchor) => pick(state.picked === run ? null : run, anchor);

/** To the next run or the one before, in the order of the table. */
function step(by, anchor) {
  const order = visible().map((row) => Number(row.dataset.run));
  if (!order.length) return;
  const place = order.indexOf(state.picked);
  pick(order[place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length], anchor);
}

/** Draws a plot into its figure, as wide as there is room. */
function draw(plot, figure) {
  const holder = figure.querySelector(".holder");
  const now = kinds[plot.kind](plot, holder, Math.round(Math.max(260, Math.min(640, holder.clientWidth))));
  now.root.setAttribute("tabindex", "0");
  const nearest = (event) => {
    const box = now.root.getBoundingClientRect();
    return now.nearest((event.clientX - box.left) / box.width * now.width, (event.clientY - box.top) / box.height * now.height);
  };
  now.root.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    hover(found ? found.run : null);
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = found.text;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
  now.root.addEventListener("pointerleave", () => { hover(null); tip.hidden = true; });
  now.root.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found) toggle(found.run, figure);
  });
  now.root.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    step(by, figure);
    event.preventDefault();
  });
  return now;
}

const figures = data.plots.map((plot) => {
  const figure = html(null, "figure", { id: `plot-${plot.id}` });
  html(figure, "h3", {}, plot.title);
  html(figure, "div", { class: "holder" });
  html(figure, "figcaption", {}, plot.caption);
  return figure;
});
$("plots").replaceChildren(...figures);
$("keys").hidden = false;

let drawnWidth = 0;
function drawAll() {
  const width = figures.length ? figures[0].clientWidth : 0;
  if (width === drawnWidth) return;
  drawnWidth = width;
  const focused = figures.findIndex((figure) => figure.contains(document.activeElement));
  for (const figure of figures) figure.querySelector(".holder").replaceChildren();
  plots = figures.map((figure, i) => draw(data.plots[i], figure));
  if (focused >= 0) plots[focused].root.focus({ preventScroll: true });
  describe();
  show();
}
window.addEventListener("resize", drawAll);

for (const key of document.querySelectorAll("#keys button")) {
  const run = Number(key.dataset.run);
  svg(svg(key.querySelector("i"), "svg", { viewBox: "0 0 14 14" }), "path", { d: mark(look(run).mark, 7, 7, 5), fill: look(run).colour });
  key.addEventListener("click", () => toggle(run, $("keys")));
  key.addEventListener("pointerenter", () => hover(run));
  key.addEventListener("pointerleave", () => hover(null));
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") { pick(null); hover(null); } });
$("clear").addEventListener("click", () => pick(null));
$("before").addEventListener("click", () => step(-1));
$("after").addEventListener("click", () => step(1));
$("details").addEventListener("click", () => $("chosen").scrollIntoView({ block: "start" }));

const THEMES = [["", "as the system", "\u25d0"], ["light", "light", "\u25cb"], ["dark", "dark", "\u25cf"]];
$("theme").addEventListener("click", () => {
  const root = document.documentElement, now = THEMES.findIndex(([theme]) => theme === (root.dataset.theme || ""));
  const [theme, label, sign] = THEMES[(now + 1) % THEMES.length];
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  $("theme").setAttribute("aria-label", `colours: ${label}`);
  $("theme").textContent = sign;
});

filter();
const asked = /^#run-(\d+)$/.exec(location.hash);
if (asked) state.picked = runs.has(Number(asked[1])) ? Number(asked[1]) : null;
drawAll();
if (asked) pick(Number(asked[1]));
