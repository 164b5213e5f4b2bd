// The table of runs: sorting, filtering, and moving through it with the keyboard.

const $ = (id) => document.getElementById(id);
const body = document.querySelector(".runs tbody"), heads = [...document.querySelectorAll(".runs thead th")];
const rows = new Map([...body.rows].map((row) => [Number(row.dataset.run), row]));
const visible = () => [...body.rows].filter((row) => !row.hidden);
const aloneOf = new Map(data.alone.map((held) => [held.run, held]));

/** What a run is sorted and filtered by in a column. */
function valueOf(run, key) {
  if (key === "flags") return run.flags.length;
  if (key === "alone") return aloneOf.has(run.run) ? aloneOf.get(run.run).count : null;
  return run[key];
}

/** A test of runs for one word of the filter: `12`, `3-7`, a flag, or a comparison such as `churn>2%`. */
function test(word) {
  const comparison = /^(.+?)(<=|>=|<|>)([0-9.]+)(%?)$/.exec(word);
  if (comparison) {
    const [, name, sign, digits, percent] = comparison;
    const head = heads.map((head) => head.firstElementChild).find((button) => [button.dataset.key, button.textContent.toLowerCase()].includes(name));
    const limit = Number(digits) / (percent ? 100 : 1);
    // What differs by rounding only is equal: 98.4 / 100 is not 0.984.
    const over = (v) => Math.abs(v - limit) < 1e-9 ? 0 : v - limit;
    const holds = { "<": (v) => over(v) < 0, ">": (v) => over(v) > 0, "<=": (v) => over(v) <= 0, ">=": (v) => over(v) >= 0 }[sign];
    return (run) => {
      const value = head ? valueOf(run, head.dataset.key) : null;
      return value !== null && value !== undefined && holds(value);
    };
  }
  const range = /^(\d+)(?:-(\d+))?$/.exec(word);
  if (range) return (run) => run.run >= Number(range[1]) && run.run <= Number(range[2] || range[1]);
  return (run) => run.flags.some((flag) => flag.flag.startsWith(word));
}

function filter() {
  const tests = $("find").value.toLowerCase().split(/[\s,]+/).filter(Boolean).map(test);
  for (const [index, row] of rows) {
    const run = runs.get(index);
    row.hidden = ($("flagged").checked && !run.flags.length) || (tests.length > 0 && !tests.some((fits) => fits(run)));
  }
  const shown = visible();
  $("count").textContent = `${shown.length} of ${rows.size}`;
  reach(shown.find((row) => Number(row.dataset.run) === state.picked) || shown[0]);
}

/** Makes one row the one that the tab key reaches. */
function reach(row) {
  for (const other of rows.values()) other.tabIndex = -1;
  if (row) row.tabIndex = 0;
}

function sort(button) {
  const head = button.closest("th"), key = button.dataset.key, before = head.getAttribute("aria-sort");
  // What is worth a look comes first: low accuracies, and high values of everything else.
  const ascending = before === "none" ? key === "run" || key === "accuracy" : before === "descending";
  for (const other of heads) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const missing = (value) => value === null || value === undefined;
  const ordered = data.runs.slice().sort((a, b) => {
    const [x, y] = [valueOf(a, key), valueOf(b, key)];
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a.run - b.run;
    return (ascending ? x - y : y - x) || a.run - b.run;
  });
  body.append(...ordered.map((run) => rows.get(run.run)));
  filter();
}

/** Moves the row into the table's own window, and nothing else. */
function reveal(row) {
  const box = row.closest(".scroll"), head = heads[0].offsetHeight;
  const top = row.offsetTop - head, bottom = row.offsetTop + row.offsetHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}

for (const head of heads) head.firstElementChild.addEventListener("click", (event) => sort(event.currentTarget));
$("find").addEventListener("input", filter);
$("flagged").addEventListener("change", filter);
const runOf = (event) => {
  const row = event.target.closest("tr[data-run]");
  return row && Number(row.dataset.run);
};
body.addEventListener("click", (event) => toggle(runOf(event)));
body.addEventListener("pointerover", (event) => hover(runOf(event)));
body.addEventListener("pointerleave", () => hover(null));
body.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) hover(runOf(event)); });
body.addEventListener("focusout", () => hover(null));
body.addEventListener("keydown", (event) => {
  const shown = visible(), place = shown.indexOf(event.target.closest("tr"));
  const moves = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + 10, PageUp: place - 10, Home: 0, End: shown.length - 1 };
  if (event.key in moves) {
    const row = shown[Math.max(0, Math.min(shown.length - 1, moves[event.key]))];
    reach(row);
    row.focus({ preventScroll: true });
    reveal(row);
  } else if (event.key === "Enter" || event.key === " ") toggle(runOf(event));
  else return;
  event.preventDefault();
});
