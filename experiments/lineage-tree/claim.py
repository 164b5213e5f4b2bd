"""Our own claim: who descends from whom is read from weights. Error rates, and what defeats it."""

import itertools
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, bootstrap, last, save_npy, share, wilson

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
    target = nets / f"{name}.safetensors"
    shutil.copyfile(last(sweep, run, "weights.safetensors"), target)
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
right = wrong = 0
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


def logits_of(decisions, run, name):
    """A file of one run's logits."""
    (_, n, c), values, _ = decisions
    save_npy(e.work / name, (n, c), values[run * n * c : (run + 1) * n * c])
    return e.work / name


of_founders, of_child = e.decisions(base), e.decisions(e.work / "t0a2")
parent, child = logits_of(of_founders, 0, "f0.npy"), logits_of(of_child, 0, "child.npy")
others = [logits_of(of_founders, run, f"sibling-{run}.npy") for run in range(1, founders)]
outputs = e.json("lineage", parent, child, "--siblings", *others, fine=(0, 8))

total = sum(len(t["truth"]) for t in edges)
whole = sum(t["truth"] == t["said"] for t in edges)
correct = wilson(right, total)
p_of = {frozenset((p["a"], p["b"])): p["p_value"] for p in independent}


def alarms_among(drawn):
    """The share of pairs of these networks with p < 0.05; a network drawn twice makes no pair with itself."""
    held = [p_of[frozenset(pair)] for pair in itertools.combinations(drawn, 2) if pair[0] != pair[1]]
    return sum(p < 0.05 for p in held) / len(held)


false = bootstrap(alarms_among, sorted({name for pair in p_of for name in pair}))
e.check(right >= total - 1, f"at most one edge of the tree is not recovered: {right} of {total}")
e.check(alarms <= max(1, len(independent) // 4), "independent networks are not called related")
e.finish(
    claim="Ancestry is recovered from weights: related pairs are recognised, trees rebuilt, independent networks left apart",
    source="our own; the test by weights is that of Zhu 2025 (arXiv 2502.12292)",
    theirs="docs/lineage.md: 2.2 % of 1,246 independent pairs with p < 0.05; 20 of 20 fresh, larger trees without a wrong edge",
    ours=f"{right} of {total} edges right, {wrong} wrong; {alarms} of {len(independent)} independent pairs with p < 0.05",
    verdict="reproduced" if correct[1] > 0.7 and false[1] <= 0.05 else "partly" if correct[0] > 0.5 else "not",
    why=(
        f"{trees} trees of three founders and four descendants: {right} of {total} edges ({share(correct[1], 0)} to {share(correct[2], 0)}) have the right parent, {wrong} edges are wrong, {whole} trees are whole. Of {len(independent)} pairs of independent networks "
        f"{alarms} have p < 0.05 ({share(false[0], 1)}, {share(false[1], 1)} to {share(false[2], 1)}, bootstrap over networks). Trained on for 20 epochs, a child is "
        + "; ".join(f"{d['verdict']} at rate {d['rate']:g} (p {d['p_value']:.2g}, its accuracy {share(d['accuracy'], 0)})" for d in defeats)
        + f". From outputs alone with {len(others)} siblings: {outputs['verdict']}{', which is wrong' if outputs['verdict'] == 'unrelated' else ''} (p {outputs['p_value']:.2g}; no less than 1/{len(others) + 1} can be reached with so few)."
    ),
    advice="Keep the weights: logits alone do not show ancestry with few siblings. Ancestry in weights outlives what a network knew: training on at a rate that ruins its accuracy does not hide the parent.",
    table=[
        ("independent pairs with p < 0.05", "2.2 % of 1,246 (other networks, docs/lineage.md)", f"{alarms} of {len(independent)}: {share(false[0], 1)} ({share(false[1], 1)} to {share(false[2], 1)})"),
        ("edges of trees with the right parent", "280 of 280 in fresh, larger trees", f"{right} of {total} ({share(correct[1], 0)} to {share(correct[2], 0)})"),
        ("wrong edges", "0 of 280", str(wrong)),
        ("trees without a wrong or missing edge", "20 of 20 (14 descendants each, docs/lineage.md)", f"{whole} of {trees}, 4 descendants each"),
        *[(f"child after 20 epochs at rate {d['rate']:g}", "–", f"{d['verdict']}, p {d['p_value']:.2g}") for d in defeats],
        (f"from logits alone, {len(others)} siblings", "–", f"{outputs['verdict']}, p {outputs['p_value']:.2g}"),
    ],
    numbers={"edges": edges, "independent_p": sorted(p["p_value"] for p in independent), "defeats": defeats, "outputs": {"verdict": outputs["verdict"], "p_value": outputs["p_value"]}},
    panels=[
        {
            "title": f"{len(independent)} pairs of independent networks",
            "x": "rank of the pair over number of pairs",
            "y": "p-value",
            "diagonal": "uniform, as it should be",
            "series": [{"kind": "points", "x": [(k + 1) / (len(independent) + 1) for k in range(len(independent))], "y": sorted(p["p_value"] for p in independent)}],
        },
        {
            "title": "A child tuned for 20 epochs against its parent",
            "x": "learning rate",
            "y": "p-value of being independent",
            "log_x": True,
            "log_y": True,
            "lines": [{"y": 0.05, "name": "p = 0.05"}],
            "series": [{"kind": "line", "x": [d["rate"] for d in defeats], "y": [max(d["p_value"], 1e-300) for d in defeats]}],
        },
    ],
)
