// The picked run: why it is flagged, where it stands, its margins, and the examples on which it stands alone.

const STRIPS = ["accuracy", "nll", "ece", "churn", "ks", "alpha_hat"];
/** The name of a class; a number is no name in a sentence. */
const className = (label) => data.classes[label] || String(label);
const named = (label) => /^\d*$/.test(data.classes[label] || "") ? `class ${label}` : data.classes[label];
const percent = (share, decimals) => `${(share * 100).toFixed(decimals)} %`;

function link(parent, run) {
  const button = html(parent, "button", { type: "button", class: "link" }, `run ${run}`);
  button.addEventListener("click", () => pick(run));
}

/** All runs on a line for each quantity, the picked one on top. */
function strips(box, run) {
  const list = html(box, "dl", { class: "strips" });
  const W = 170, H = 18;
  for (const key of STRIPS) {
    const place = heads.findIndex((head) => head.firstElementChild.dataset.key === key);
    const others = data.runs.filter((other) => typeof other[key] === "number" && !(other.run in data.originals));
    if (typeof run[key] !== "number" || others.length < 2) continue;
    html(list, "dt", { title: heads[place].title }, heads[place].textContent);
    const values = others.map((other) => other[key]), low = Math.min(...values), high = Math.max(...values);
    const x = (value) => 8 + (W - 16) * (high > low ? (value - low) / (high - low) : 0.5);
    const strip = svg(html(list, "dd", {}), "svg", { viewBox: `0 0 ${W} ${H}`, width: W, height: H, "aria-hidden": "true" });
    svg(strip, "line", { class: "grid", x1: 8, x2: W - 8, y1: H / 2, y2: H / 2 });
    for (const other of others) {
      const own = look(other.run);
      svg(strip, "path", { d: mark(own && own.mark, x(other[key]), H / 2, 3), fill: own ? own.colour : "var(--typical)", opacity: others.length > 60 && !own ? 0.25 : 0.7 });
    }
    svg(strip, "path", { class: "mark", d: mark(look(run.run) && look(run.run).mark, x(run[key]), H / 2, 6), fill: colour(drawn(run.run)) });
    // As the table has it: one number is written one way.
    html(list, "dd", { class: "value" }, rows.get(run.run).cells[place].textContent.replace(/ \(.*/, ""));
  }
}

function words(box, run) {
  for (const flag of run.flags) html(box, "p", {}, `${flag.flag}: ${flag.why}.`);
  if (!run.flags.length) html(box, "p", {}, "Not flagged: typical of this ensemble.");
  if (run.run in data.originals) html(box, "p", {}, `Plots show it in the place of run ${data.originals[run.run]}, which it repeats.`);
  const ends = data.neighbours[run.run];
  if (ends) {
    const text = html(box, "p", {}, "It decides most like ");
    link(text, ends.nearest[0]);
    text.append(` (${percent(ends.nearest[1], 2)} of the examples differently) and least like `);
    link(text, ends.farthest[0]);
    text.append(` (${percent(ends.farthest[1], 2)}).`);
  }
  const own = data.per_class.find((held) => held.run === drawn(run.run));
  if (own) {
    const worst = own.alpha.map((alpha, label) => [alpha, label]).filter(([alpha]) => alpha > 0).sort((a, b) => b[0] - a[0]).slice(0, 3);
    html(box, "p", {}, worst.length
      ? "One class against the rest, exact \u03b1: " + worst.map(([alpha, label]) => `${named(label)} ${percent(alpha, 1)}`).join(", ") + "."
      : "One class against the rest: exact \u03b1 is 0 for every class.");
  }
}

function examples(box, run) {
  const alone = aloneOf.get(drawn(run.run));
  if (!alone) return;
  html(box, "h4", {}, "Where it stands alone");
  if (alone.count === 0) {
    html(box, "p", {}, "On no example: some other run always shares its decision.");
    return;
  }
  const right = alone.right === 0 ? "none of which it has right" : `${alone.right} of which it has right`;
  html(box, "p", {}, `On ${alone.count} example${alone.count === 1 ? "" : "s"}, ${alone.count === 1 ? (alone.right ? "which it has right" : "which it has wrong") : right}, no other run decides as it does${alone.examples.length < alone.count ? `; these are the ${alone.examples.length} on which it is surest` : ""}.`);
  const list = html(box, "div", { class: "examples" });
  for (const example of alone.examples) {
    const item = html(list, "figure", {});
    const pixels = data.images && data.images.pixels[example.example];
    if (pixels) picture(html(item, "canvas", { role: "img", "aria-label": `example ${example.example}, ${named(example.label)}` }), pixels);
    const text = html(item, "figcaption", {});
    const good = example.decision === example.label;
    html(text, "b", { class: good ? "right" : "wrong" }, `${good ? "\u2713" : "\u2717"} ${className(example.decision)}`);
    html(text, "span", {}, ` ${percent(example.probability, 0)} sure`);
    html(text, "br", {});
    html(text, "span", {}, `others: ${className(example.others)}`);
    html(text, "br", {});
    html(text, "span", {}, `label: ${className(example.label)}`);
    html(text, "br", {});
    html(text, "span", { class: "quiet" }, `example ${example.example}`);
  }
}

function picture(canvas, encoded) {
  const { channels, height, width } = data.images;
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[(channels >= 3 ? c : 0) * width * height + i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

let ownMargins = null;
function describe() {
  const box = $("chosen"), bar = $("bar");
  box.replaceChildren();
  ownMargins = null;
  bar.hidden = state.picked === null;
  box.classList.toggle("empty", state.picked === null);
  if (state.picked === null) {
    html(box, "p", { class: "quiet" }, "No run is picked. Pick one in the table or in a plot to see it in all plots, and here its margins and the examples on which it stands alone.");
    return;
  }
  const run = runs.get(state.picked), flags = run.flags.map((flag) => flag.flag).join(", ");
  const title = `Run ${run.run}` + (flags ? ` \u00b7 ${flags}` : "");
  $("picked").textContent = title + (run.accuracy === null ? "" : ` \u00b7 accuracy ${rows.get(run.run).cells[1].textContent}`);
  const head = html(box, "h3", {});
  html(head, "i", { class: "key", style: `background: ${colour(drawn(run.run))}` });
  head.append(title);
  const columns = html(box, "div", { class: "columns" });
  const text = html(columns, "div", {});
  words(text, run);
  strips(text, run);
  const margins = data.plots.find((plot) => plot.id === "margins");
  if (margins && run.accuracy !== null) {
    const figure = html(columns, "figure", {});
    html(figure, "h4", {}, "Its margins");
    const holder = html(figure, "div", {});
    ownMargins = kinds.curves(margins, holder, Math.max(260, Math.min(520, holder.clientWidth)));
    ownMargins.show();
    html(figure, "figcaption", {}, "Bold: this run. Outside the band of the typical runs, it knows something different.");
  }
  examples(box, run);
}
