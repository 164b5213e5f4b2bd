"""Spectra of weights, conjugate kernel and NTK under small rates, large rates and Adam: Wang 2023."""

import math
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, interval, load_npy, load_safetensors, mean_interval, share

e = Experiment(__file__)
data = e.data("fashion-mnist")
regimes = {
    "small rate": {},
    "large rate": {"train.schedule.rate": 0.2},
    "Adam": {"train.optimizer.kind": "adam", "train.schedule.rate": 0.005},
}
runs = 4
if e.quick:
    data |= {"data.classes": [3, 8], "data.train_limit": 200, "train.batch_size": 8}
    runs = 2


def centred(kernel, n):
    rows = [statistics.fmean(kernel[i * n : (i + 1) * n]) for i in range(n)]
    whole = statistics.fmean(rows)
    return [[kernel[i * n + j] - rows[i] - rows[j] + whole for j in range(n)] for i in range(n)]


def leading(matrix, rounds=300):
    """Largest eigenvalue and its eigenvector, by power iteration."""
    n = len(matrix)
    vector = [math.sin(1.0 + 3 * i) for i in range(n)]
    for _ in range(rounds):
        new = [sum(a * b for a, b in zip(row, vector)) for row in matrix]
        size = math.sqrt(sum(v * v for v in new))
        vector = [v / size for v in new]
    return size, vector


def kernel_facts(before, after, labels, n):
    """How far a kernel has moved (relative, after scaling both to trace 1), and its leading direction's alignment with the labels."""
    traces = [sum(k[i * n + i] for i in range(n)) for k in (before, after)]
    moved = math.sqrt(sum((a / traces[1] - b / traces[0]) ** 2 for a, b in zip(after, before)) / sum((b / traces[0]) ** 2 for b in before))
    out = {"moved": moved}
    target = [label - statistics.fmean(labels) for label in labels]
    size = math.sqrt(sum(t * t for t in target))
    for when, kernel in (("before", before), ("after", after)):
        matrix = centred(kernel, n)
        top, vector = leading(matrix)
        out[f"aligned_{when}"] = (sum(v * t for v, t in zip(vector, target)) / size) ** 2
        out[f"share_{when}"] = top / sum(matrix[i][i] for i in range(n))
    return out


def weight_facts(sweep, run):
    """Singular values of the first layer: how many lie beyond the largest at the start, how far, and how all have moved."""
    start, end = (sorted(load_safetensors(sweep / f"runs/{run:04}/checkpoints/{epoch:04}/spectra.safetensors")["fc1"], reverse=True) for epoch in (0, 12))
    norm = math.sqrt(sum(s * s for s in start))
    return {
        "moved": math.sqrt(sum((a - b) ** 2 for a, b in zip(start, end))) / norm,
        "beyond": sum(s > 1.01 * start[0] for s in end),
        "largest": end[0] / start[0],
        "start": start,
        "end": end,
    }


facts = {}
for name, settings in regimes.items():
    sweep = e.sweep("regimes.toml", name.replace(" ", "-").lower(), data | settings, runs)
    kernels = {}
    for epoch in (0, 12):
        e.harness("export", sweep, "--epoch", epoch, "--to", e.work / f"export-{sweep.name}-{epoch}")
        for kind in ("trace", "conjugate"):
            (_, n, _), kernels[kind, epoch] = load_npy(e.work / f"export-{sweep.name}-{epoch}" / f"kernel_{kind}.npy")
    analysis = e.spread(sweep)
    rows = []
    for run in range(runs):
        probes = load_safetensors(sweep / f"runs/{run:04}/checkpoints/0012/kernel.safetensors")["labels"]
        row = {"error": 1 - analysis["runs"][run]["accuracy"], "weights": weight_facts(sweep, run)}
        for kind in ("trace", "conjugate"):
            part = slice(run * n * n, (run + 1) * n * n)
            row[kind] = kernel_facts(kernels[kind, 0][part], kernels[kind, 12][part], probes, n)
        rows.append(row)
    facts[name] = rows


def mean(name, *path):
    values = []
    for row in facts[name]:
        for key in path:
            row = row[key]
        values.append(row)
    return statistics.fmean(values)


still = mean("small rate", "weights", "moved") < 0.02 and mean("small rate", "trace", "moved") < 0.15
outlier = mean("large rate", "weights", "beyond") >= 1 and mean("large rate", "trace", "aligned_after") > mean("large rate", "trace", "aligned_before") + 0.1
heavy = mean("Adam", "weights", "beyond") > 3 * max(1.0, mean("large rate", "weights", "beyond"))
e.check(mean("small rate", "weights", "moved") < mean("large rate", "weights", "moved"), "weights move less at the small rate")
e.check(mean("Adam", "weights", "beyond") > mean("small rate", "weights", "beyond"), "Adam puts singular values beyond the bulk")
parts = [still, outlier, heavy]
errors = {name: mean_interval([r["error"] for r in rows]) for name, rows in facts.items()}
e.finish(
    claim="Small rates leave the spectra of weights, conjugate kernel and NTK as they are; large ones make an outlier aligned with the labels; Adam makes heavy tails",
    source="Wang 2023 (arXiv 2211.06506, NeurIPS)",
    theirs="shown in figures (two-layer networks, synthetic data and others); no numbers are known to us",
    ours=f"spectrum of weights moved {share(mean('small rate', 'weights', 'moved'))}, {share(mean('large rate', 'weights', 'moved'))}, {share(mean('Adam', 'weights', 'moved'))}; values beyond the bulk {mean('small rate', 'weights', 'beyond'):.1f}, {mean('large rate', 'weights', 'beyond'):.1f}, {mean('Adam', 'weights', 'beyond'):.1f} (small rate, large rate, Adam)",
    verdict="reproduced" if all(parts) else "partly" if any(parts) else "not",
    why=(
        f"Small rate: singular values of the first layer move by {share(mean('small rate', 'weights', 'moved'))} of their norm, the NTK by {share(mean('small rate', 'trace', 'moved'), 0)}, the conjugate kernel by {share(mean('small rate', 'conjugate', 'moved'), 0)}"
        f" ({'invariant' if still else 'not invariant'} by our limits, 2 % and 15 %). Large rate: {mean('large rate', 'weights', 'beyond'):.1f} values leave the bulk, the NTK's leading direction has cos² {mean('large rate', 'trace', 'aligned_before'):.2f} with the labels before and "
        f"{mean('large rate', 'trace', 'aligned_after'):.2f} after training. Adam: {mean('Adam', 'weights', 'beyond'):.1f} values leave it, {'a tail' if heavy else 'no tail by our limit, three times as many as at the large rate'}. Errors: "
        + ", ".join(f"{name} {share(v[0])}" for name, v in errors.items()) + "."
    ),
    advice="Record `record.spectra = true` once: no value beyond the start's largest means that the network has not learned features, whatever its accuracy, and that a longer or faster training may be another procedure.",
    table=[
        row
        for name in regimes
        for row in (
            (f"{name}: singular values of the first layer, moved", {"small rate": "invariant"}.get(name, "moved"), share(mean(name, "weights", "moved"))),
            (f"{name}: values beyond the largest at the start", {"small rate": "none", "large rate": "one or few", "Adam": "heavy tail"}[name], f"{mean(name, 'weights', 'beyond'):.1f}; largest {mean(name, 'weights', 'largest'):.2f} times that at the start"),
            (f"{name}: NTK, conjugate kernel moved", {"small rate": "invariant"}.get(name, "moved"), f"{share(mean(name, 'trace', 'moved'), 0)}, {share(mean(name, 'conjugate', 'moved'), 0)}"),
            (f"{name}: cos² of the NTK's leading direction with the labels, before and after", {"large rate": "aligned after"}.get(name, "not known to us"), f"{mean(name, 'trace', 'aligned_before'):.2f}, {mean(name, 'trace', 'aligned_after'):.2f}"),
            (f"{name}: … of the conjugate kernel's", {"large rate": "aligned after"}.get(name, "not known to us"), f"{mean(name, 'conjugate', 'aligned_before'):.2f}, {mean(name, 'conjugate', 'aligned_after'):.2f}"),
            (f"{name}: test error", "differs with the spectra", interval([100 * v for v in errors[name]]) + " %"),
        )
    ],
    numbers={name: [{key: value if key == "error" else {k: v for k, v in value.items() if k not in ("start", "end")} for key, value in row.items()} for row in rows] for name, rows in facts.items()},
    panels=[
        {
            "title": f"{name[0].upper()}{name[1:]}: first layer of run 0",
            "x": "rank of the singular value",
            "y": "singular value",
            "log_x": True,
            "log_y": True,
            "series": [
                {"kind": "line", "name": "before training", "colour": "#808080", "x": list(range(1, len(rows[0]["weights"]["start"]) + 1)), "y": rows[0]["weights"]["start"]},
                {"kind": "line", "name": "after", "x": list(range(1, len(rows[0]["weights"]["end"]) + 1)), "y": rows[0]["weights"]["end"]},
            ],
        }
        for name, rows in facts.items()
    ]
    + [
        {
            "title": f"Test error, {runs} runs each",
            "x": "how it was trained",
            "y": "test error, in %",
            "series": [{"kind": "bars", "x": list(errors), **{to: [100 * v[k] for v in errors.values()] for k, to in enumerate(("y", "low", "high"))}}],
        }
    ],
)
