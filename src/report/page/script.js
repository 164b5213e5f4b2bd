"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = new Map(data.runs.map((run) => [run.run, run]));
  const state = { picked: null, near: null };
  const plots = [];
  const $ = (id) => document.getElementById(id);

  // ---- small helpers

  const NS = "http://www.w3.org/2000/svg";
  function svg(parent, name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  }
  function html(parent, name, attributes, text) {
    const node = document.createElement(name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  }
  const minus = (text) => text.replace("-", "\u2212");
  function number(value, factor) {
    if (value === null || value === undefined) return "\u2013";
    const shown = value * factor;
    const size = Math.abs(shown);
    if (size !== 0 && (size < 1e-3 || size >= 1e5)) return minus(shown.toExponential(2));
    return minus(size >= 100 ? shown.toFixed(0) : size >= 10 ? shown.toFixed(1) : size >= 1 ? shown.toFixed(2) : shown.toFixed(3));
  }
  const isFlagged = (run) => run.flags.length > 0;
  const look = (run) => data.looks[run] || null;
  const colour = (run) => (look(run) ? look(run).colour : "var(--pick)");
  const name = (label) => data.classes[label] || String(label);

  // ---- axes

  function steps(low, high, count) {
    const raw = (high - low) / count;
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    const digit = raw / power;
    const step = (digit <= 1.414 ? 1 : digit <= 3.162 ? 2 : digit <= 7.071 ? 5 : 10) * power;
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i++) {
      ticks.push([i * step, minus((i * step).toFixed(decimals)).replace(/^\u2212(0(\.0*)?)$/, "$1")]);
    }
    return ticks;
  }
  const raised = (power) => String(power).replace(/./g, (d) => (d === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d]));
  function decades(low, high) {
    const ticks = [];
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first + 1) / 7));
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

  // ---- one plot

  const W = 440, H = 300, LEFT = 58, RIGHT = 426, TOP = 12, BOTTOM = 248;

  function frame(plot, figure) {
    const root = svg(figure, "svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": plot.title, tabindex: "0" });
    const axis = (spec, from, to, count) => {
      let [low, high] = spec.range;
      if (!(high > low)) { low -= Math.abs(low) * 0.05 || 0.5; high += Math.abs(high) * 0.05 || 0.5; }
      const factor = spec.factor;
      const share = spec.log
        ? (v) => (v > 0 ? Math.log10(v / low) / Math.log10(high / low) : NaN)
        : (v) => (v - low) / (high - low);
      let ticks = spec.log ? decades(low, high) : steps(low * factor, high * factor, count).map(([v, t]) => [v / factor, t]);
      if (spec.whole) ticks = ticks.filter(([v]) => Math.abs(v - Math.round(v)) < 1e-9);
      return { at: (v) => from + share(v) * (to - from), ticks, low, high };
    };
    const x = axis(plot.x, LEFT, RIGHT, 6), y = axis(plot.y, BOTTOM, TOP, 5);
    for (const [value, text] of x.ticks) {
      const at = x.at(value);
      svg(root, "line", { class: "grid", x1: at, x2: at, y1: TOP, y2: BOTTOM });
      svg(root, "text", { x: at, y: BOTTOM + 17, "text-anchor": "middle" }, text);
    }
    for (const [value, text] of y.ticks) {
      const at = y.at(value);
      svg(root, "line", { class: "grid", x1: LEFT, x2: RIGHT, y1: at, y2: at });
      svg(root, "text", { x: LEFT - 7, y: at + 4, "text-anchor": "end" }, text);
    }
    svg(root, "path", { class: "axis", d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}` });
    svg(root, "text", { class: "label", x: (LEFT + RIGHT) / 2, y: H - 10, "text-anchor": "middle" }, plot.x.label);
    svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(13 ${(TOP + BOTTOM) / 2}) rotate(-90)` }, plot.y.label);
    const id = "clip-" + plots.length;
    const clip = svg(svg(root, "defs", {}), "clipPath", { id });
    svg(clip, "rect", { x: LEFT, y: TOP - 6, width: RIGHT - LEFT + 6, height: BOTTOM - TOP + 6 });
    const inside = svg(root, "g", { "clip-path": `url(#${id})` });
    return { root, inside, x, y };
  }
  function limits(plot, at) {
    for (const limit of plot.limits || []) {
      const y = at.y.at(limit.y);
      svg(at.inside, "line", { class: "limit", x1: LEFT, x2: RIGHT, y1: y, y2: y });
      svg(at.root, "text", { class: "label", x: RIGHT - 3, y: y - 5, "text-anchor": "end" }, limit.label);
    }
  }
  function path(xs, ys, at) {
    let d = "", pen = false;
    for (let i = 0; i < xs.length; i++) {
      const px = ys[i] === null ? NaN : at.x.at(xs[i]), py = ys[i] === null ? NaN : at.y.at(ys[i]);
      if (Number.isFinite(px) && Number.isFinite(py)) {
        d += (pen ? "L" : "M") + px.toFixed(1) + " " + Math.max(-2000, Math.min(2000, py)).toFixed(1);
        pen = true;
      } else pen = false;
    }
    return d;
  }
  function area(xs, low, high, at) {
    const keep = xs.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null && (!plotLog(at) || low[i] > 0));
    const point = (i, v) => at.x.at(xs[i]).toFixed(1) + " " + Math.max(-2000, Math.min(2000, at.y.at(v))).toFixed(1);
    if (keep.length < 2) return "";
    return "M" + keep.map((i) => point(i, high[i])).join("L") + "L" + keep.reverse().map((i) => point(i, low[i])).join("L") + "Z";
  }
  const plotLog = (at) => !Number.isFinite(at.y.at(0));

  function strokes(group, d, run, width) {
    svg(group, "path", { class: "halo", d, "stroke-width": width + 2.4, opacity: 0.8 });
    svg(group, "path", { d, fill: "none", stroke: colour(run), "stroke-width": width, "stroke-dasharray": (look(run) && look(run).dash) || "none" });
  }
  function markPath(mark, x, y, r) {
    switch (mark) {
      case "square": return `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`;
      case "triangle": return `M${x} ${y - r * 1.2}L${x + r * 1.1} ${y + r * 0.8}L${x - r * 1.1} ${y + r * 0.8}Z`;
      case "diamond": return `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`;
      default: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
    }
  }

  const kinds = {
    curves(plot, figure) {
      const at = frame(plot, figure);
      const curves = new Map(plot.runs.map(([run, y]) => [run, y]));
      svg(at.inside, "path", { class: "band", d: area(plot.at, plot.band.low, plot.band.high, at) });
      const typical = plot.runs.filter(([run]) => !look(run));
      if (typical.length <= data.single) {
        svg(at.inside, "path", { class: "typical", d: typical.map(([, y]) => path(plot.at, y, at)).join("") });
      }
      svg(at.inside, "path", { class: "median", d: path(plot.at, plot.band.median, at) });
      if (plot.ideal) svg(at.inside, "path", { class: "limit", d: path(plot.ideal, plot.ideal, at) });
      for (const [run, y] of plot.runs) {
        if (look(run)) svg(at.inside, "path", { d: path(plot.at, y, at), fill: "none", stroke: colour(run), "stroke-width": 1.8, "stroke-dasharray": look(run).dash || "none" });
      }
      limits(plot, at);
      const top = svg(at.inside, "g", { "pointer-events": "none" });
      return {
        root: at.root,
        show() {
          top.replaceChildren();
          for (const [run, width] of [[state.near, 1.8], [state.picked, 2.8]]) {
            if (curves.has(run)) strokes(top, path(plot.at, curves.get(run), at), run, width);
          }
        },
        nearest(px, py) {
          let best = null, least = 22, place = 0;
          plot.at.forEach((x, i) => { if (Math.abs(at.x.at(x) - px) < Math.abs(at.x.at(plot.at[place]) - px)) place = i; });
          for (const [run, y] of plot.runs) {
            // A flagged run wins over the crowd that it stands in.
            const distance = y[place] === null ? NaN : Math.abs(at.y.at(y[place]) - py) - (look(run) ? 3 : 0);
            if (distance < least) { least = distance; best = { run, value: y[place] }; }
          }
          return best && { run: best.run, text: `run ${best.run}: ${number(best.value, plot.y.factor)}` };
        },
      };
    },
    scatter(plot, figure) {
      const at = frame(plot, figure);
      const few = plot.points.length <= 60;
      const points = plot.points.map(([run, x, y, low, high]) => ({ run, px: at.x.at(x), py: at.y.at(y), x, y, low, high }));
      const ordered = points.slice().sort((a, b) => (look(a.run) ? 1 : 0) - (look(b.run) ? 1 : 0));
      for (const p of ordered) {
        const own = look(p.run);
        const paint = own ? own.colour : "var(--typical)";
        if (p.low !== undefined && p.low !== null && (few || own)) svg(at.inside, "line", { x1: p.px, x2: p.px, y1: at.y.at(p.low), y2: at.y.at(p.high), stroke: paint, opacity: 0.8 });
        svg(at.inside, "path", { d: markPath(own && own.mark, p.px, p.py, own ? 4.6 : few ? 3.6 : 2.2), fill: paint, stroke: few || own ? "var(--halo)" : "none", opacity: few || own ? 1 : 0.5 });
      }
      limits(plot, at);
      const top = svg(at.inside, "g", { "pointer-events": "none" });
      return {
        root: at.root,
        show() {
          top.replaceChildren();
          for (const [run, r] of [[state.near, 5.5], [state.picked, 7]]) {
            const p = points.find((p) => p.run === run);
            if (p) svg(top, "path", { d: markPath(look(run) && look(run).mark, p.px, p.py, r), fill: colour(run), stroke: "var(--halo)", "stroke-width": 2 });
          }
        },
        nearest(px, py) {
          let best = null, least = 24;
          for (const p of points) {
            const distance = Math.hypot(p.px - px, p.py - py);
            if (distance < least) { least = distance; best = p; }
          }
          return best && { run: best.run, text: `run ${best.run}: ${number(best.x, plot.x.factor)}, ${number(best.y, plot.y.factor)}` };
        },
      };
    },
    matrix(plot, figure) {
      const count = plot.runs.length, side = 236, left = 76, size = side / count;
      const root = svg(figure, "svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": plot.title, tabindex: "0" });
      const [low, high] = plot.range;
      const paint = (share) => `color-mix(in oklab, ${plot.dark} ${(100 * Math.max(0, Math.min(1, share))).toFixed(1)}%, ${plot.light})`;
      const value = (a, b) => (a < b ? plot.values[a][b - a - 1] : b < a ? plot.values[b][a - b - 1] : null);
      for (let a = 0; a < count; a++) for (let b = 0; b < count; b++) {
        const v = value(a, b);
        svg(root, "rect", { x: left + b * size, y: TOP + a * size, width: size + 0.2, height: size + 0.2, fill: v === null ? "var(--grid)" : paint((v - low) / (high - low || 1)) });
      }
      const every = Math.ceil(count / 12);
      plot.runs.forEach((run, i) => {
        if (i % every) return;
        svg(root, "text", { x: left + (i + 0.5) * size, y: TOP + side + 15, "text-anchor": "middle" }, String(run));
        svg(root, "text", { x: left - 6, y: TOP + (i + 0.5) * size + 4, "text-anchor": "end" }, String(run));
      });
      svg(root, "text", { class: "label", x: left + side / 2, y: H - 10, "text-anchor": "middle" }, "run");
      svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(30 ${TOP + side / 2}) rotate(-90)` }, "run");
      const bar = left + side + 26;
      for (let i = 0; i < 48; i++) svg(root, "rect", { x: bar, y: TOP, width: 12, height: side * (1 - i / 48), fill: paint((i + 0.5) / 48) });
      for (const [v, text] of steps(low * plot.factor, high * plot.factor, 5)) {
        const y = TOP + side * (1 - (v / plot.factor - low) / (high - low || 1));
        svg(root, "text", { x: bar + 17, y: y + 4 }, text);
      }
      svg(root, "text", { class: "label", "text-anchor": "middle", transform: `translate(${bar + 66} ${TOP + side / 2}) rotate(-90)` }, plot.label);
      const top = svg(root, "g", { "pointer-events": "none" });
      return {
        root,
        show() {
          top.replaceChildren();
          for (const [run, width] of [[state.near, 1.2], [state.picked, 2]]) {
            const i = plot.runs.indexOf(run);
            if (i < 0) continue;
            for (const [x, y, w, h] of [[left, TOP + i * size, side, size], [left + i * size, TOP, size, side]]) {
              svg(top, "rect", { x, y, width: w, height: h, fill: "none", stroke: colour(run), "stroke-width": width });
            }
          }
        },
        nearest(px, py) {
          const b = Math.floor((px - left) / size), a = Math.floor((py - TOP) / size);
          if (a < 0 || b < 0 || a >= count || b >= count) return null;
          const v = value(a, b);
          return { run: plot.runs[a], text: v === null ? `run ${plot.runs[a]}` : `runs ${plot.runs[a]} and ${plot.runs[b]}: ${number(v, plot.factor)}` };
        },
      };
    },
  };

  // ---- picking

  const tip = $("tip");
  function hover(run) {
    if (run === state.near) return;
    state.near = run;
    document.querySelectorAll("tr.near").forEach((row) => row.classList.remove("near"));
    const row = run === null ? null : rows.get(run);
    if (row) row.classList.add("near");
    plots.forEach((plot) => plot.show());
  }
  function pick(run, scroll) {
    state.picked = run !== null && runs.has(run) ? run : null;
    for (const [index, row] of rows) {
      const chosen = index === state.picked;
      row.setAttribute("aria-selected", String(chosen));
      if (chosen && scroll && !row.hidden) row.scrollIntoView({ block: "nearest" });
    }
    plots.forEach((plot) => plot.show());
    describe();
    const hash = state.picked === null ? "" : "#run-" + state.picked;
    // Opened from disk a page may not be allowed to change its address; nothing depends on it.
    try { history.replaceState(null, "", hash || location.pathname + location.search); } catch (_) { /* as above */ }
  }
  function step(by) {
    const order = visible().map((row) => Number(row.dataset.run));
    if (!order.length) return;
    const place = order.indexOf(state.picked);
    pick(order[place < 0 ? (by > 0 ? 0 : order.length - 1) : (place + by + order.length) % order.length], true);
  }

  function describe() {
    const box = $("chosen"), bar = $("bar");
    box.replaceChildren();
    box.hidden = bar.hidden = state.picked === null;
    if (state.picked === null) return;
    const run = runs.get(state.picked);
    const flags = run.flags.map((flag) => flag.flag).join(", ");
    const head = html(box, "h3", {}, `Run ${run.run}`);
    head.style.color = look(run.run) ? look(run.run).colour : "inherit";
    for (const flag of run.flags) html(box, "p", {}, `${flag.flag}: ${flag.why}.`);
    if (!run.flags.length) html(box, "p", { class: "quiet" }, "Not flagged.");
    bar.firstElementChild.textContent = `Run ${run.run}` + (flags ? ` \u00b7 ${flags}` : "") + (run.accuracy === null ? "" : ` \u00b7 accuracy ${(run.accuracy * 100).toFixed(2)} %`);
    const own = data.per_class.find((held) => held.run === run.run);
    if (own) {
      const worst = own.alpha.map((alpha, label) => [alpha, label]).filter(([alpha]) => alpha > 0).sort((a, b) => b[0] - a[0]).slice(0, 3);
      html(box, "p", {}, worst.length
        ? "One class against the rest, exact \u03b1: " + worst.map(([alpha, label]) => `${name(label)} ${(alpha * 100).toFixed(1)} %`).join(", ") + "."
        : "One class against the rest: exact \u03b1 is 0 on every class.");
    }
    const alone = data.alone.find((held) => held.run === run.run);
    if (alone) {
      html(box, "p", {}, alone.count === 0
        ? "It stands alone on no example: some other run always shares its decision."
        : `It stands alone on ${alone.count} example${alone.count === 1 ? "" : "s"} (${alone.right} of them right)` + (alone.examples.length < alone.count ? "; the surest:" : ":"));
      const list = html(box, "div", { class: "images" });
      for (const example of alone.examples) {
        const item = html(list, "div", {});
        const pixels = data.images && data.images.pixels[example.example];
        if (pixels) draw(html(item, "canvas", { role: "img", "aria-label": `example ${example.example}` }), pixels);
        const right = example.decision === example.label;
        html(item, "span", { class: right ? "right" : "wrong" }, `${name(example.decision)} (${(example.probability * 100).toFixed(0)} %)`);
        html(item, "br", {});
        html(item, "span", { class: "quiet" }, `others ${name(example.others)}, label ${name(example.label)}, no. ${example.example}`);
      }
    }
  }
  function draw(canvas, encoded) {
    const { channels, height, width } = data.images;
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[(channels >= 3 ? c : 0) * width * height + i];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  // ---- the table

  const body = document.querySelector(".runs tbody");
  const rows = new Map([...body.rows].map((row) => [Number(row.dataset.run), row]));
  const visible = () => [...body.rows].filter((row) => !row.hidden);
  function filter() {
    const words = $("find").value.trim().toLowerCase().split(/[\s,]+/).filter(Boolean);
    for (const [index, row] of rows) {
      const run = runs.get(index);
      const fits = (word) => String(index) === word || run.flags.some((flag) => flag.flag.startsWith(word));
      row.hidden = ($("flagged").checked && !isFlagged(run)) || (words.length > 0 && !words.some(fits));
    }
    const shown = visible();
    $("count").textContent = `${shown.length} of ${rows.size}`;
    reach(shown[0]);
  }
  function reach(row) {
    for (const other of body.rows) other.tabIndex = -1;
    if (row) row.tabIndex = 0;
  }
  function sort(button) {
    const head = button.closest("th"), key = button.dataset.key;
    const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    document.querySelectorAll(".runs thead th").forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
    const alone = new Map(data.alone.map((held) => [held.run, held.count]));
    const value = (run) => key === "flags" ? run.flags.length : key === "alone" ? alone.get(run.run) : run[key];
    const missing = (v) => v === null || v === undefined;
    const ordered = data.runs.slice().sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y) || a.run - b.run;
      return down * (x - y) || a.run - b.run;
    });
    body.append(...ordered.map((run) => rows.get(run.run)));
    reach(visible()[0]);
  }
  document.querySelectorAll(".runs thead button").forEach((button) => button.addEventListener("click", () => sort(button)));
  $("find").addEventListener("input", filter);
  $("flagged").addEventListener("change", filter);
  const rowOf = (event) => event.target.closest("tr[data-run]");
  body.addEventListener("click", (event) => {
    const row = rowOf(event), run = row && Number(row.dataset.run);
    if (row) pick(state.picked === run ? null : run);
  });
  body.addEventListener("pointerover", (event) => { const row = rowOf(event); if (row) hover(Number(row.dataset.run)); });
  body.addEventListener("pointerleave", () => hover(null));
  body.addEventListener("keydown", (event) => {
    const shown = visible(), place = shown.indexOf(rowOf(event));
    const moves = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: shown.length - 1 };
    if (event.key in moves) {
      const row = shown[Math.max(0, Math.min(shown.length - 1, moves[event.key]))];
      reach(row);
      row.focus();
      hover(Number(row.dataset.run));
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      rowOf(event).click();
      event.preventDefault();
    }
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { pick(null); hover(null); } });
  $("clear").addEventListener("click", () => pick(null));
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));

  // ---- colours

  const themes = [["", "colours: as the system", "\u25d0"], ["light", "colours: light", "\u2600"], ["dark", "colours: dark", "\u263e"]];
  $("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "";
    const [theme, label, sign] = themes[(themes.findIndex(([held]) => held === now) + 1) % themes.length];
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    $("theme").setAttribute("aria-label", label);
    $("theme").textContent = sign;
  });

  // ---- start

  for (const plot of data.plots) {
    const figure = html($("plots"), "figure", { id: "plot-" + plot.id });
    html(figure, "h3", {}, plot.title);
    const drawn = kinds[plot.kind](plot, figure);
    html(figure, "figcaption", {}, plot.caption);
    plots.push(drawn);
    const nearest = (event) => {
      const box = drawn.root.getBoundingClientRect();
      return drawn.nearest(((event.clientX - box.left) / box.width) * W, ((event.clientY - box.top) / box.height) * H);
    };
    drawn.root.addEventListener("pointermove", (event) => {
      const found = nearest(event);
      hover(found ? found.run : null);
      tip.style.display = found ? "block" : "none";
      if (found) {
        tip.textContent = found.text;
        tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4) + "px";
        tip.style.top = event.clientY + 14 + "px";
      }
    });
    drawn.root.addEventListener("pointerleave", () => { hover(null); tip.style.display = "none"; });
    drawn.root.addEventListener("click", (event) => { const found = nearest(event); if (found) pick(state.picked === found.run ? null : found.run, true); });
    drawn.root.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (by) { step(by); event.preventDefault(); }
    });
  }
  filter();
  const asked = /^#run-(\d+)$/.exec(location.hash);
  if (asked) pick(Number(asked[1]), true);
})();
