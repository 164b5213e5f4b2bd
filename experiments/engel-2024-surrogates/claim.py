"""Kernel surrogates of networks, and poisoned data found by attribution: Engel 2024."""

import gzip
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import ROOT, Experiment, interval, mean_interval, save_npz, share

e = Experiment(__file__)
tasks = {
    "FMNIST2": (e.data("fashion-mnist") | ({} if e.quick else {"data.dataset": "fashion-mnist"}), 0.88),
    "CIFAR2": (e.data("cifar10"), 0.71),
}
runs, fit, test, poisoned_runs = 4, 600, 500, 3
if e.quick:
    tasks = {"digits 3, 8": (e.data("cifar10") | {"data.classes": [3, 8], "data.train_limit": 200}, None)}
    runs, fit, test, poisoned_runs = 2, 200, 100, 1

kinds, surrogates = [], {}
for task, (data, _) in tasks.items():
    sweep = e.sweep("two.toml", task.split()[0].lower(), data, runs)
    for found in e.side_by_side(lambda run: e.json("kernel", "surrogate", sweep, "--run", run, "--train", fit, "--test", test), range(runs)):
        for kind in found["kinds"]:
            surrogates.setdefault((task, kind["kernel"]), []).append(kind | {"network": found["network_accuracy"]})
    kinds = [kind["kernel"] for kind in found["kinds"]]
tau = {key: mean_interval([r["tau"] for r in rows]) for key, rows in surrogates.items()}
tad = {key: statistics.fmean(r["tad"] for r in rows) for key, rows in surrogates.items()}


def images(folder):
    """Raw images of two classes, training and evaluation: (bytes of an image, label)."""
    if e.quick:
        raw = gzip.decompress((ROOT / "src/data/assets/digits.bin.gz").read_bytes())
        rows = [(bytes(min(255, 16 * v) for v in raw[k + 1 : k + 65]), raw[k]) for k in range(0, len(raw), 65)]
        rows = [(pixels, int(label == 8)) for pixels, label in rows if label in (3, 8)]
        return rows[:240], rows[240:], (1, 8, 8)
    read = []
    for name, most in (("data_batch_1.bin", 300), ("test_batch.bin", 150)):
        raw = (pathlib.Path(folder) / name).read_bytes()
        rows = [(raw[k + 1 : k + 3073], raw[k]) for k in range(0, len(raw), 3073) if raw[k] < 2]
        read.append([r for c in (0, 1) for r in [row for row in rows if row[1] == c][:most]])
    return *read, (3, 32, 32)


def marked(pixels, shape):
    """A bright square in the corner at the lower right."""
    channels, height, width = shape
    side = max(2, height // 8)
    out = bytearray(pixels)
    for c in range(channels):
        for y in range(height - side, height):
            for x in range(width - side, width):
                out[(c * height + y) * width + x] = 255 if c < 2 else 0
    return bytes(out)


train, evaluation, shape = images(tasks.get("CIFAR2", ({"data.path": ""},))[0].get("data.path"))
first = [k for k, (_, label) in enumerate(train) if label == 0]
poison = set(first[:: max(1, len(first) // 60)][:60]) if not e.quick else set(first[::6])
train = [(marked(p, shape), 1) if k in poison else (p, label) for k, (p, label) in enumerate(train)]
clean = [k for k, (_, label) in enumerate(evaluation) if label == 0][:60]
evaluation = evaluation + [(marked(evaluation[k][0], shape), 0) for k in clean]
triggered = range(len(evaluation) - len(clean), len(evaluation))
e.npz = e.work / "poisoned.npz"
save_npz(e.npz, shape, train, evaluation)

sweep = e.sweep("poisoned.toml", "poisoned", {"data.path": str(e.npz)}, poisoned_runs)
top = 5
attacks, looks = [], {}
for kind in ("trace", "conjugate"):
    arguments = ["--train", len(train), "--test", len(evaluation), "--kernel", kind, "--kinds", kind, "--top", len(train), "--explain", ",".join(map(str, triggered))]
    for report in e.side_by_side(lambda run: e.json("kernel", "surrogate", sweep, "--run", run, *arguments), range(poisoned_runs)):
        fooled = [row for row in report["attribution"] if row["network"] == 1]
        attacks.append(len(fooled) / len(clean))
        for row in fooled:
            # What speaks most for the decision; and what the kernel holds for most alike.
            speaks_for = sorted(row["weighs_most"], key=lambda w: -w["contribution"])[:top]
            most_alike = sorted(row["weighs_most"], key=lambda w: -w["similarity"])[:top]
            for how, chosen in (("contribution", speaks_for), ("similarity", most_alike)):
                looks.setdefault(f"{kind}, {how}", []).append([w["example"] in poison for w in chosen])
recall = {how: statistics.fmean(any(hits) for hits in rows) for how, rows in looks.items()}
precision = {how: mean_interval([sum(hits) / len(hits) for hits in rows]) for how, rows in looks.items()}
base = len(poison) / len(train)

mean_tau = {kind: statistics.fmean(tau[task, kind][0] for task in tasks) for kind in kinds}
ranking = sorted(kinds, key=lambda kind: -mean_tau[kind])
trace_first = mean_tau["trace"] >= max(mean_tau.values()) - 0.02
worst_is_conjugate = ranking[-1] == "conjugate"
near = all(abs(tau[task, "trace"][0] - theirs) < 0.1 for task, (_, theirs) in tasks.items() if theirs)
poison_found = recall["trace, similarity"] > 0.95
e.check(mean_tau["trace"] > 0.3, f"the trace kernel's surrogate ranks as the network does: {mean_tau['trace']:.2f}")
e.check(precision["trace, similarity"][0] > base, "poisoned examples are more than their share of what the kernel holds for most like a poisoned image")
parts = [trace_first, poison_found, near, worst_is_conjugate]
e.finish(
    claim="A kernel machine on the trace NTK stands in for a network (best of all kernels, conjugate kernel worst), and its attribution finds poisoned data",
    source="Engel 2024 (arXiv 2305.14585, ICLR)",
    theirs="τ .88 (FMNIST2 CNN), .71 (CIFAR2 CNN); poisoned data found with recall 100 %",
    ours="; ".join(f"{task} τ {tau[task, 'trace'][0]:.2f}" for task in tasks) + f"; a poisoned example among the five most alike in {share(recall['trace, similarity'], 0)} of the fooled decisions",
    verdict="reproduced" if all(parts) else "partly" if any(parts) else "not",
    why=(
        f"Over {runs} seeds the trace NTK's surrogate has τ_b " + ", ".join(f"{interval(tau[task, 'trace'])} on {task}" for task in tasks)
        + f"; by mean τ the kernels rank {' > '.join(f'{k} ({mean_tau[k]:.2f})' for k in ranking)}. Networks, training size and optimiser are ours, so only order and size of τ compare. "
        f"{len(poison)} of {len(train)} training images carry a mark and the wrong label; {share(statistics.fmean(attacks), 0)} of the marked test images are then decided wrongly, and of "
        f"the five training images that speak most for such a decision {share(precision['trace, contribution'][0], 0)} are poisoned by the trace NTK; of the five that it holds for most alike {share(precision['trace, similarity'][0], 0)} "
        f"(conjugate kernel: {share(precision['conjugate, contribution'][0], 0)} and {share(precision['conjugate, similarity'][0], 0)}), against {share(base, 0)} of all."
    ),
    advice="Before explaining a decision by a surrogate, read its τ: below about 0.7 it explains another function. To look for poisoned or mislabelled data, take the training examples that the kernel holds for most like a wrong decision (`similarity`), not those that weigh most: weights sit on examples near the boundary, and poison is fitted with ease.",
    table=[
        *[(f"τ_b, {task}, {kind}", {"trace": f"{theirs}" if theirs else "–"}.get(kind, "below trace" if kind == "conjugate" else "not known to us"), f"{interval(tau[task, kind])}; TAD {share(tad[task, kind])}") for task, (_, theirs) in tasks.items() for kind in kinds],
        ("marked test images that are decided wrongly", "not known to us", share(statistics.fmean(attacks), 0)),
        *[(f"fooled decisions with a poisoned example among the first five by {kind}", "recall 100 %", share(v, 0)) for kind, v in recall.items()],
        *[(f"share of poisoned ones among these five by {kind}", "not known to us", f"{interval([100 * x for x in v], '{:.0f}')} %; {share(base, 0)} by chance") for kind, v in precision.items()],
    ],
    numbers={"tau": {f"{t}, {k}": v for (t, k), v in tau.items()}, "tad": {f"{t}, {k}": v for (t, k), v in tad.items()}, "recall": recall, "precision": precision, "base": base, "attack": attacks},
    panels=[
        {
            "title": "Surrogates against networks",
            "x": "kernel",
            "y": "Kendall's τ_b",
            "series": [
                {"kind": "bars", "name": task, "x": ranking, "y": [tau[task, k][0] for k in ranking], "low": [tau[task, k][1] for k in ranking], "high": [tau[task, k][2] for k in ranking], "theirs": [theirs if k == "trace" else None for k in ranking]}
                for task, (_, theirs) in tasks.items()
            ],
        },
        {
            "title": "Five training images that explain a fooled decision",
            "x": "kernel, and by what they come first",
            "y": "share of the five that is poisoned",
            "lines": [{"y": base, "name": "chance"}],
            "series": [{"kind": "bars", "x": list(precision), "y": [v[0] for v in precision.values()], "low": [v[1] for v in precision.values()], "high": [v[2] for v in precision.values()]}],
        },
    ],
)
