"""Our own claim: who descends from whom is read from weights. Error rates, and what defeats it."""

import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, load_npy, save_npy, share, wilson

e = Experiment(__file__)
data = e.data("fashion-mnist")
founders, trees = 12, 3
if e.quick:
    data |= {"data.train_limit": 300}
    founders, trees = 4, 1

nets = e.work / "networks"
nets.mkdir(exist_ok=True)


def weights(sweep, run, name):
    """A copy of a run's last weights under a name of its own."""
    checkpoints = sorted((sweep / "runs" / f"{run:04}" / "checkpoints").iterdir())
    target = nets / f"{name}.safetensors"
    shutil.copyfile(checkpoints[-1] / "weights.safetensors", target)
    return target


def tuned(parent, name, seed, changes=None):
    """A network trained on from another one's weights, on other examples."""
    settings = data | {"model.weights": str(nets / f"{parent}.safetensors"), "model.head": "keep", "sweep.seed": seed, "data.seed": seed} | (changes or {})
    return weights(e.sweep("networks.toml", name, settings, 1), 0, name)


base = e.sweep("networks.toml", "founders", data, founders)
for run in range(founders):
    weights(base, run, f"f{run}")

independent = e.json("lineage", *(nets / f"f{run}.safetensors" for run in range(founders)))["pairs"]
alarms = sum(pair["p_value"] < 0.05 for pair in independent)

# Of each tree: two children of one founder (short and long), a grandchild, a child of another founder, and a third founder alone.
right = wrong = missed = 0
edges = []
for tree in range(trees):
    a, b, alone = (f"f{(3 * tree + k) % founders}" for k in range(3))
    seed = 1000 + 10 * tree
    tuned(a, f"t{tree}a1", seed, {"train.epochs": 2, "record.checkpoints": [2]})
    tuned(a, f"t{tree}a2", seed + 1)
    tuned(f"t{tree}a1", f"t{tree}a1x", seed + 2, {"train.epochs": 3, "record.checkpoints": [3]})
    tuned(b, f"t{tree}b1", seed + 3)
    truth = {f"t{tree}a1": a, f"t{tree}a2": a, f"t{tree}a1x": f"t{tree}a1", f"t{tree}b1": b}
    names = [a, b, alone, *truth]
    found = e.json("lineage", *(nets / f"{n}.safetensors" for n in names), "--tree", fine=(0, 8))
    says = {edge["child"]: edge["parent"] for edge in found["edges"]}
    right += sum(says.get(child) == parent for child, parent in truth.items())
    missed += sum(child not in says for child in truth)
    wrong += sum(truth.get(child) != parent for child, parent in says.items())
    edges.append({"truth": truth, "said": says})

# What might defeat it: training for long at ever larger rates, so that nothing of the parent is left; only outputs known.
defeats = []
for rate in (1e-2, 1e-1, 1.0):
    child = tuned("f0", f"far-{rate:g}", 77, {"train.epochs": 20, "record.checkpoints": [20], "train.schedule.rate": rate})
    answer = e.json("lineage", nets / "f0.safetensors", child, fine=(0, 8))
    pair = answer["pairs"][0]
    accuracy = e.spread(e.work / f"far-{rate:g}")["summary"]["accuracy"]["mean"]
    defeats.append({"rate": rate, "p_value": answer["p_value"], "verdict": answer["verdict"], "distance": pair.get("distance"), "accuracy": accuracy, "parent": pair["parent"]})
logits = []
for sweep, run, name in ((base, 0, "f0"), (e.work / "t0a2", 0, "child")):
    e.harness("export", sweep, "--to", e.work / f"logits-{sweep.name}")
    (_, n, c), values = load_npy(e.work / f"logits-{sweep.name}" / "logits.npy")
    path = e.work / f"{name}.npy"
    save_npy(path, (n, c), values[run * n * c : (run + 1) * n * c])
    logits.append(path)
others = []
(_, n, c), values = load_npy(e.work / "logits-founders" / "logits.npy")
for run in range(1, founders):
    path = e.work / f"sibling-{run}.npy"
    save_npy(path, (n, c), values[run * n * c : (run + 1) * n * c])
    others.append(path)
outputs = e.json("lineage", logits[0], logits[1], "--siblings", *others, fine=(0, 8))

total = right + missed + sum(1 for t in edges for c, p in t["truth"].items() if c in t["said"] and t["said"][c] != p)
correct = wilson(right, total)
false = wilson(alarms, len(independent))
e.check(right >= total - 1, f"at most one edge of the tree is not recovered: {right} of {total}")
e.check(alarms <= max(1, len(independent) // 4), "independent networks are not called related")
e.finish(
    claim="Ancestry is recovered from weights: related pairs are recognised, trees rebuilt, independent networks left apart",
    source="our own; the test by weights is that of Zhu 2025 (arXiv 2502.12292)",
    theirs="docs/lineage.md: 2.2 % of 1,246 independent pairs with p < 0.05, 10 of 10 trees",
    ours=f"{right} of {total} edges right, {wrong} wrong; {alarms} of {len(independent)} independent pairs with p < 0.05",
    verdict="reproduced" if correct[1] > 0.7 and false[1] <= 0.05 else "partly" if correct[0] > 0.5 else "not",
    why=(
        f"{trees} trees of three founders and four descendants: {right} of {total} edges ({share(correct[1], 0)} to {share(correct[2], 0)}) have the right parent, {wrong} edges are wrong. Of {len(independent)} pairs of independent networks "
        f"{alarms} have p < 0.05 ({share(false[0], 1)}, {share(false[1], 1)} to {share(false[2], 1)}; pairs share networks). Trained on for 20 epochs, a child is "
        + "; ".join(f"{d['verdict']} at rate {d['rate']:g} (p {d['p_value']:.2g}, its accuracy {share(d['accuracy'], 0)})" for d in defeats)
        + f". From outputs alone with {len(others)} siblings: {outputs['verdict']}{'' if outputs['verdict'] == 'related' else ', which is wrong'} (p {outputs['p_value']:.2g}; no less than 1/{len(others) + 1} can be reached with so few)."
    ),
    advice="Keep the weights: logits alone do not show ancestry with few siblings, and `unrelated` from logits is no evidence of independence. Ancestry in weights outlives what a network knew: training on at a rate that ruins its accuracy does not hide the parent.",
    table=[
        ("independent pairs with p < 0.05", "2.2 % of 1,246 (other networks, docs/lineage.md)", f"{alarms} of {len(independent)}"),
        ("edges of trees with the right parent", "all of 10 trees (docs/lineage.md)", f"{right} of {total}"),
        ("wrong edges", "0", str(wrong)),
        *[(f"child after 20 epochs at rate {d['rate']:g}", "–", f"{d['verdict']}, p {d['p_value']:.2g}") for d in defeats],
        (f"from logits alone, {len(others)} siblings", "–", f"{outputs['verdict']}, p {outputs['p_value']:.2g}"),
    ],
    numbers={"edges": edges, "independent_p": sorted(p["p_value"] for p in independent), "defeats": defeats, "outputs": {"verdict": outputs["verdict"], "p_value": outputs["p_value"]}},
    panels=[
        {
            "title": f"{len(independent)} pairs of independent networks",
            "x": "rank over number",
            "y": "p",
            "diagonal": True,
            "series": [{"kind": "points", "x": [(k + 1) / (len(independent) + 1) for k in range(len(independent))], "y": sorted(p["p_value"] for p in independent)}],
        },
        {
            "title": "A child trained on for 20 epochs",
            "x": "learning rate",
            "y": "p of being related",
            "log_x": True,
            "log_y": True,
            "series": [{"kind": "line", "x": [d["rate"] for d in defeats], "y": [max(d["p_value"], 1e-300) for d in defeats]}],
        },
    ],
)
