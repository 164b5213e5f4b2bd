"""Which runs to put together? Accuracy, alpha-hat, greedy search, typicality and chance, over 20 halvings of the evaluation set."""

import math
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, interval, load_npy, mean_interval, sign_test

e = Experiment(__file__)
data = e.data("cifar10")
halvings, runs = 20, None
if e.quick:
    data |= {"data.classes": [3, 8], "data.train_limit": 100, "train.epochs": 4, "record.checkpoints": [4]}
    halvings, runs = 4, 12
size = 5
sweep = e.sweep("cifar2.toml", "runs", data, runs)
analysis = e.json("analyze", sweep)
typicality = [run["typicality"] for run in analysis["runs"]]
e.harness("export", sweep, "--to", e.work / "export")
(count, examples, classes), logits = load_npy(e.work / "export" / "logits.npy")
_, labels = load_npy(e.work / "export" / "labels.npy")


def right(run):
    """The probability that a run gives to each example's label."""
    out = []
    for i in range(examples):
        z = logits[(run * examples + i) * classes : (run * examples + i + 1) * classes]
        top = max(z)
        out.append(math.exp(z[labels[i]] - top) / sum(math.exp(v - top) for v in z))
    return out


probabilities = [right(run) for run in range(count)]


def loss(members, half):
    return -statistics.fmean(math.log(max(sum(probabilities[m][i] for m in members) / len(members), 1e-12)) for i in half)


chance = random.Random(0)
regrets, recommended = {}, []
for halving in range(halvings):
    # harness chooses on one half and measures on the other; typicality needs no labels, and is measured on its own halves.
    evidence = e.json("select", sweep, "--seed", halving, "--size", size)["evidence"]
    whole = next(s for s in evidence["strategies"] if s["name"] == "all")["nll"]["mean"]
    for strategy in evidence["strategies"]:
        if strategy["name"] not in ("all", "unflagged"):
            regrets.setdefault(strategy["name"], []).append(strategy["nll"]["mean"] - whole)
    recommended.append(evidence["recommended"])
    half = chance.sample(range(examples), examples // 2)
    everything = loss(range(count), half)
    typical = sorted(range(count), key=lambda r: -typicality[r])
    regrets.setdefault("most typical", []).append(loss(typical[:size], half) - everything)
    regrets.setdefault("least typical", []).append(loss(typical[-size:], half) - everything)
    drawn = statistics.fmean(loss(chance.sample(range(count), size), half) - everything for _ in range(10))
    regrets.setdefault("random, same halves", []).append(drawn)

means = {name: mean_interval(values) for name, values in regrets.items()}
against = {
    name: sign_test([a - b for a, b in zip(values, regrets["random, same halves" if "typical" in name else "random"])])
    for name, values in regrets.items()
    if "random" not in name
}
better = {name: means[name][0] < means["random, same halves" if "typical" in name else "random"][0] for name in against}
order = sorted(means, key=lambda name: means[name][0])
typical_helps = better["most typical"] and against["most typical"] < 0.05
typical_hurts = not better["most typical"] and against["most typical"] < 0.05
e.check(means["random"][0] > 0, "five random runs lose something to all runs")
e.check(means["greedy"][0] <= means["random"][0] + 0.02, "greedy search is no worse than chance by more than 0.02 nats")
e.finish(
    claim="Runs can be chosen for an ensemble by how typical they are (an open question of the talk: no published number)",
    source="our own question; greedy search after Caruana 2004",
    theirs="open",
    ours=f"regret of {size} of {count} runs in mnats: " + ", ".join(f"{name} {1000 * means[name][0]:.1f}" for name in order),
    verdict="reproduced" if typical_helps else "not" if typical_hurts else "undecided",
    why=(
        f"Over {halvings} halvings the {size} most typical runs lose {interval([1000 * v for v in means['most typical']], '{:.1f}')} mnats to all {count}, "
        f"{size} random ones {1000 * means['random, same halves'][0]:.1f} (sign test over halvings p = {against['most typical']:.2g}), the least typical "
        f"{1000 * means['least typical'][0]:.1f}. Chosen with labels: greedy {1000 * means['greedy'][0]:.1f}, best accuracy {1000 * means['best-accuracy'][0]:.1f}, "
        f"lowest α̂ {1000 * means['lowest-alpha'][0]:.1f}, random {1000 * means['random'][0]:.1f}. Halvings share their runs and examples, so the p-values speak of "
        "this sweep and this evaluation set only."
        + ("" if typical_helps or typical_hurts else f" To decide, several sweeps of {count} runs would be needed, with the sweep as the unit.")
    ),
    advice="Choose by greedy search on held-out examples, and choose more runs before choosing them well: the size matters more than the strategy.",
    table=[
        (f"regret of {size} runs, {name} (mnats)", "open" if "typical" in name else "not known to us", interval([1000 * v for v in means[name]], "{:.2f}") + (f"; against random p = {against[name]:.2g}" if name in against else ""))
        for name in order
    ]
    + [("recommended sizes over the halvings", "not known to us", f"{min(recommended)} to {max(recommended)}")],
    numbers={"regrets": regrets, "means": means, "sign_tests": against, "typicality": typicality},
    panels=[
        {
            "title": f"Regret of {size} of {count} runs, {halvings} halvings",
            "x": "how they are chosen",
            "y": "NLL less that of all runs, nats",
            "series": [{"kind": "bars", "x": [n.replace("random, same halves", "random (2)") for n in order], "y": [means[n][0] for n in order], "low": [means[n][1] for n in order], "high": [means[n][2] for n in order]}],
        }
    ],
)
