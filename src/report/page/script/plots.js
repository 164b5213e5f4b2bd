// Plots: each kind draws itself into a figure of some width and gives back what it takes to show and to find runs:
// { root, width, height, show(), nearest(x, y) }.

const data = JSON.parse(document.getElementById("data").textContent);
const runs = new Map(data.runs.map((run) => [run.run, run]));
const state = { picked: null, near: null };

const look = (run) => data.looks[run];
const colour = (run) => look(run) ? look(run).colour : "var(--pick)";
/** In whose place a run is drawn: a run that repeats another in that one's. */
const drawn = (run) => run in data.originals ? data.originals[run] : run;
/** What is to be shown on top, with how much weight. */
const highlighted = () => [[state.near, 0], [state.picked, 1]].filter(([run]) => run !== null).map(([run, weight]) => [drawn(run), weight]);

const TOP = 10, BELOW = 46, LEFT = 52, RIGHT = 12;

/** Grid, axes, labels, and a group whose contents end at the frame. */
function frame(plot, holder, width) {
  const height = Math.round(Math.min(330, Math.max(230, width * 0.66)));
  const root = svg(holder, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${plot.title}: ${plot.y.label} against ${plot.x.label}` });
  const [right, bottom] = [width - RIGHT, height - BELOW];
  const x = scale(plot.x, LEFT, right, Math.round(width / 80)), y = scale(plot.y, bottom, TOP, 5);
  for (const [value, text] of x.ticks) {
    const at = x.at(value);
    svg(root, "line", { class: "grid", x1: at, x2: at, y1: TOP, y2: bottom });
    svg(root, "text", { x: at, y: bottom + 16, "text-anchor": "middle" }, text);
  }
  for (const [value, text] of y.ticks) {
    const at = y.at(value);
    svg(root, "line", { class: "grid", x1: LEFT, x2: right, y1: at, y2: at });
    svg(root, "text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, text);
  }
  svg(root, "path", { class: "axis", d: `M${LEFT} ${TOP}V${bottom}H${right}` });
  svg(root, "text", { class: "label", x: (LEFT + right) / 2, y: height - 9, "text-anchor": "middle" }, plot.x.label);
  svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(12 ${(TOP + bottom) / 2}) rotate(-90)` }, plot.y.label);
  const id = "inside-" + ++frame.count;
  svg(svg(svg(root, "defs", {}), "clipPath", { id }), "rect", { x: LEFT, y: TOP - 6, width: right - LEFT + 6, height: bottom - TOP + 7 });
  const inside = svg(root, "g", { "clip-path": `url(#${id})` });
  return { root, inside, x, y, width, height, right, bottom };
}
frame.count = 0;

function limits(plot, at) {
  const heights = plot.limits.map((limit) => at.y.at(limit.y));
  plot.limits.forEach((limit, i) => {
    const y = heights[i];
    // Of two labels that would lie on each other, the lower one goes below its line.
    const crowded = heights.some((other) => other < y && y - other < 18);
    svg(at.inside, "line", { class: "limit", x1: LEFT, x2: at.right, y1: y, y2: y });
    svg(at.root, "text", { class: "label haloed", x: at.right - 2, y: crowded ? y + 14 : y - 5, "text-anchor": "end" }, limit.label);
  });
}

/** The line through values, interrupted where one has no place. */
function line(xs, ys, at) {
  let d = "", pen = false;
  xs.forEach((value, i) => {
    const x = at.x.at(value), y = at.y.at(ys[i]);
    if (Number.isFinite(x) && Number.isFinite(y)) {
      d += `${pen ? "L" : "M"}${x.toFixed(1)} ${Math.max(-2000, Math.min(2000, y)).toFixed(1)}`;
      pen = true;
    } else pen = false;
  });
  return d;
}

function area(xs, { low, high }, at) {
  const side = (ys) => xs.map((value, i) => [at.x.at(value), at.y.at(ys[i])]).filter((point) => point.every(Number.isFinite));
  const points = side(high).concat(side(low).reverse());
  return points.length < 4 ? "" : "M" + points.map(([x, y]) => `${x.toFixed(1)} ${Math.max(-2000, Math.min(2000, y)).toFixed(1)}`).join("L") + "Z";
}

function mark(shape, x, y, r) {
  switch (shape) {
    case "square": return `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`;
    case "triangle": return `M${x} ${y - r * 1.2}L${x + r * 1.1} ${y + r * 0.8}L${x - r * 1.1} ${y + r * 0.8}Z`;
    case "diamond": return `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`;
    default: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
}

const kinds = {
  curves(plot, holder, width) {
    const at = frame(plot, holder, width);
    const curves = new Map(plot.runs);
    const dash = (run) => look(run) && look(run).dash || "none";
    svg(at.inside, "path", { class: "band", d: area(plot.at, plot.band, at) });
    const typical = plot.runs.filter(([run]) => !look(run));
    if (typical.length <= data.single) svg(at.inside, "path", { class: "typical", d: typical.map(([, y]) => line(plot.at, y, at)).join("") });
    if (plot.ideal) svg(at.inside, "path", { class: "limit", d: line(plot.ideal, plot.ideal, at) });
    svg(at.inside, "path", { class: "median", d: line(plot.at, plot.band.median, at) });
    for (const [run, y] of plot.runs) {
      if (look(run)) svg(at.inside, "path", { d: line(plot.at, y, at), fill: "none", stroke: colour(run), "stroke-width": 1.8, "stroke-dasharray": dash(run) });
    }
    limits(plot, at);
    const top = svg(at.inside, "g", { class: "top" });
    return {
      ...at,
      show() {
        top.replaceChildren();
        for (const [run, weight] of highlighted()) {
          if (!curves.has(run)) continue;
          const d = line(plot.at, curves.get(run), at), stroke = weight ? 2.8 : 2;
          svg(top, "path", { class: "halo", d, "stroke-width": stroke + 2.6 });
          svg(top, "path", { "data-run": run, d, fill: "none", stroke: colour(run), "stroke-width": stroke, "stroke-dasharray": dash(run) });
        }
      },
      nearest(x, y) {
        let place = 0;
        plot.at.forEach((value, i) => { if (Math.abs(at.x.at(value) - x) < Math.abs(at.x.at(plot.at[place]) - x)) place = i; });
        let best = null, least = 22;
        for (const [run, values] of plot.runs) {
          // A flagged run wins over the crowd that it stands in.
          const distance = Math.abs(at.y.at(values[place]) - y) - (look(run) ? 3 : 0);
          if (distance < least) [best, least] = [[run, values[place]], distance];
        }
        const where = plot.x.label.replace(/ \(.*/, "");
        return best && { run: best[0], text: `run ${best[0]}: ${withUnit(best[1], plot.y)} at ${where} ${withUnit(plot.at[place], plot.x)}` };
      },
    };
  },

  scatter(plot, holder, width) {
    const at = frame(plot, holder, width);
    const few = plot.points.length <= data.single;
    const points = plot.points.map(([run, x, y, low, high]) => ({ run, x, y, low, high, px: at.x.at(x), py: at.y.at(y) }));
    // Flagged ones last: on top.
    for (const p of points.slice().sort((a, b) => Boolean(look(a.run)) - Boolean(look(b.run)))) {
      const own = look(p.run), paint = own ? own.colour : "var(--typical)";
      if (p.low !== null) svg(at.inside, "line", { x1: p.px, x2: p.px, y1: at.y.at(p.low), y2: at.y.at(p.high), stroke: paint, "stroke-width": 1.2, opacity: 0.8 });
      svg(at.inside, "path", { class: few || own ? "mark" : "", d: mark(own && own.mark, p.px, p.py, own ? 5 : few ? 4 : 2.4), fill: paint, opacity: few || own ? 1 : 0.5 });
    }
    limits(plot, at);
    const top = svg(at.inside, "g", { class: "top" });
    return {
      ...at,
      show() {
        top.replaceChildren();
        for (const [run, weight] of highlighted()) {
          const p = points.find((p) => p.run === run);
          if (p) svg(top, "path", { "data-run": run, class: "mark", d: mark(look(run) && look(run).mark, p.px, p.py, weight ? 7 : 6), fill: colour(run) });
        }
      },
      nearest(x, y) {
        let best = null, least = 24;
        for (const p of points) {
          const distance = Math.hypot(p.px - x, p.py - y);
          if (distance < least) [best, least] = [p, distance];
        }
        return best && { run: best.run, text: `run ${best.run}: ${withUnit(best.x, plot.x)}, ${withUnit(best.y, plot.y)}` };
      },
    };
  },

  matrix(plot, holder, width) {
    const [low, high] = plot.range;
    const ticks = high > low ? steps(low * plot.factor, high * plot.factor, 5) : [[low * plot.factor, number(low, plot.factor)]];
    const room = 36 + 7 * Math.max(...ticks.map(([, text]) => text.length));
    const count = plot.runs.length, left = 46, side = Math.min(400, width - left - room - 12), size = side / count, height = side + TOP + BELOW;
    const root = svg(holder, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${plot.title}: ${plot.label}` });
    const share = (value) => high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0.5;
    const channels = data.ramp.map((text) => [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16)));
    const paint = (part) => {
      const place = part * (channels.length - 1), lower = Math.min(Math.floor(place), channels.length - 2);
      return `rgb(${channels[lower].map((from, i) => Math.round(from + (channels[lower + 1][i] - from) * (place - lower))).join(" ")})`;
    };
    const value = (a, b) => a === b ? null : plot.values[Math.min(a, b)][Math.abs(a - b) - 1];
    for (let a = 0; a < count; a++) for (let b = 0; b < count; b++) {
      const held = value(a, b), part = held === null ? null : share(held);
      svg(root, "rect", { x: left + b * size, y: TOP + a * size, width: size + 0.3, height: size + 0.3, fill: part === null ? "var(--line)" : paint(part) });
      if (part !== null && size >= 24) {
        svg(root, "text", { class: "cell", x: left + (b + 0.5) * size, y: TOP + (a + 0.5) * size + 3.5, "text-anchor": "middle", style: `fill: ${part > 0.55 ? "#fff" : "#222"}` }, minus((held * plot.factor).toFixed(plot.decimals)));
      }
    }
    const every = Math.ceil(count / Math.min(20, side / 20));
    plot.runs.forEach((run, i) => {
      if (i % every) return;
      const style = look(run) ? `fill: ${colour(run)}; font-weight: 700` : "";
      svg(root, "text", { x: left + (i + 0.5) * size, y: TOP + side + 15, "text-anchor": "middle", style }, String(run));
      svg(root, "text", { x: left - 5, y: TOP + (i + 0.5) * size + 4, "text-anchor": "end", style }, String(run));
    });
    svg(root, "text", { class: "label", x: left + side / 2, y: height - 9, "text-anchor": "middle" }, "run");
    svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(12 ${TOP + side / 2}) rotate(-90)` }, "run");
    const bar = left + side + 12;
    for (let i = 0; i < 48; i++) svg(root, "rect", { x: bar, y: TOP, width: 10, height: side * (1 - i / 48), fill: paint((i + 0.5) / 48) });
    for (const [held, text] of ticks) {
      svg(root, "text", { x: bar + 14, y: TOP + side * (1 - share(held / plot.factor)) + 4 }, text);
    }
    svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(${bar + room - 12} ${TOP + side / 2}) rotate(-90)` }, plot.label);
    const top = svg(root, "g", { class: "top" });
    return {
      root, width, height,
      show() {
        top.replaceChildren();
        // A repeated run has a row of its own here.
        for (const [run, stroke] of [[state.near, 1.4], [state.picked, 2.4]]) {
          const i = plot.runs.indexOf(run);
          if (i < 0) continue;
          for (const [x, y, w, h] of [[left, TOP + i * size, side, size], [left + i * size, TOP, size, side]]) {
            svg(top, "rect", { class: "halo", x, y, width: w, height: h, "stroke-width": stroke + 2 });
            svg(top, "rect", { "data-run": run, x, y, width: w, height: h, fill: "none", stroke: colour(run), "stroke-width": stroke });
          }
        }
      },
      nearest(x, y) {
        const b = Math.floor((x - left) / size), a = Math.floor((y - TOP) / size);
        if (a < 0 || b < 0 || a >= count || b >= count) return null;
        const held = value(a, b), unit = plot.label.endsWith("(%)") ? " %" : "";
        return { run: plot.runs[a], text: held === null ? `run ${plot.runs[a]}` : `runs ${plot.runs[a]} and ${plot.runs[b]}: ${number(held, plot.factor)}${unit}` };
      },
    };
  },
};
