"""Which runs to put together? Accuracy, alpha-hat, greedy search, typicality and chance, over 20 halvings of the evaluation set."""

import math
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, load_npy

e = Experiment(__file__)
data = e.data("cifar10")
halvings, sweeps, runs = 20, 1, None
if e.quick:
    data |= {"data.classes": [3, 8], "data.train_limit": 100, "train.epochs": 4, "record.checkpoints": [4]}
    halvings, sweeps, runs = 4, 2, 12
size = 5
LABELLED, UNLABELLED = "random", "random, same halves"


def losses(logits, labels, count, examples, classes):
    """A function that gives the loss of the mean prediction of some runs on some examples."""
    probabilities = []
    for run in range(count):
        row = []
        for i in range(examples):
            z = logits[(run * examples + i) * classes : (run * examples + i + 1) * classes]
            top = max(z)
            row.append(math.exp(z[labels[i]] - top) / sum(math.exp(v - top) for v in z))
        probabilities.append(row)
    return lambda members, half: -statistics.fmean(math.log(max(sum(probabilities[m][i] for m in members) / len(members), 1e-12)) for i in half)


def regrets_of(seed):
    """Of one sweep: for every way to choose, the regret at each halving; and the sizes that harness recommends."""
    sweep = e.sweep("cifar2.toml", f"runs-{seed}" if seed else "runs", data | ({"sweep.seed": seed} if seed else {}), runs)
    typicality = [run["typicality"] for run in e.json("analyze", sweep)["runs"]]
    folder = e.work / f"export-{seed}"
    e.harness("export", sweep, "--to", folder)
    (count, examples, classes), logits = load_npy(folder / "logits.npy")
    _, labels = load_npy(folder / "labels.npy")
    loss = losses(logits, labels, count, examples, classes)
    typical = sorted(range(count), key=lambda r: -typicality[r])
    chance = random.Random(seed)
    found, recommended = {}, []
    for evidence in e.side_by_side(lambda halving: e.json("select", sweep, "--seed", halving, "--size", size)["evidence"], range(halvings)):
        # harness chooses on one half and measures on the other; typicality chooses without labels, so any half measures it.
        whole = next(s for s in evidence["strategies"] if s["name"] == "all")["nll"]["mean"]
        for strategy in evidence["strategies"]:
            if strategy["name"] not in ("all", "unflagged"):
                found.setdefault(strategy["name"], []).append(strategy["nll"]["mean"] - whole)
        recommended.append(evidence["recommended"])
        half = chance.sample(range(examples), examples // 2)
        everything = loss(range(count), half)
        found.setdefault("most typical", []).append(loss(typical[:size], half) - everything)
        found.setdefault("least typical", []).append(loss(typical[-size:], half) - everything)
        drawn = statistics.fmean(loss(chance.sample(range(count), size), half) - everything for _ in range(10))
        found.setdefault(UNLABELLED, []).append(drawn)
    return found, recommended, count


of_sweep = [regrets_of(seed) for seed in range(sweeps)]
count = of_sweep[0][2]
recommended = [size for _, sizes, _ in of_sweep for size in sizes]
by_sweep = {name: [statistics.fmean(found[name]) for found, _, _ in of_sweep] for name in of_sweep[0][0]}
means = {name: statistics.fmean(values) for name, values in by_sweep.items()}
beside = {name: UNLABELLED if "typical" in name else LABELLED for name in by_sweep if "random" not in name}
worse = {name: sum(a > b for a, b in zip(by_sweep[name], by_sweep[other])) for name, other in beside.items()}
order = sorted(means, key=means.get)
# Halvings share their runs, so one sweep is one observation: fewer than three that agree decide nothing.
typical_helps, typical_hurts = (sweeps >= 3 and worse["most typical"] == wanted for wanted in (0, sweeps))
e.check(means[LABELLED] > 0, "five random runs lose something to all runs")
e.check(means["greedy"] <= means[LABELLED] + 0.02, "greedy search is no worse than chance by more than 0.02 nats")


def mnats(name):
    values = by_sweep[name]
    return f"{1000 * means[name]:.1f} ({', '.join(f'{1000 * v:.1f}' for v in values)})"


e.finish(
    claim="Runs can be chosen for an ensemble by how typical they are (an open question)",
    source="our own question; greedy search after Caruana 2004",
    theirs="open",
    ours=f"regret of {size} of {count} runs in mnats: " + ", ".join(f"{name} {1000 * means[name]:.1f}" for name in order),
    verdict="reproduced" if typical_helps else "not" if typical_hurts else "undecided",
    why=(
        f"In {sweeps} sweep{'s' if sweeps > 1 else ''}, judged at {halvings} halvings, the {size} most typical runs lose {mnats('most typical')} mnats to all {count} (mean, and each sweep), {size} random ones {mnats(UNLABELLED)}, the least typical "
        f"{mnats('least typical')}: the typical are worse than random ones in {worse['most typical']} of {sweeps} sweeps. Chosen with labels: greedy {mnats('greedy')}, best accuracy {mnats('best-accuracy')}, "
        f"lowest α̂ {mnats('lowest-alpha')}, random {mnats(LABELLED)}. The sweep is the unit; halvings of one sweep share its runs."
        + ("" if typical_helps or typical_hurts else " To decide, at least three sweeps that agree are needed.")
    ),
    advice=(
        "Choose by greedy search (or by accuracy) on held-out examples, not by typicality nor by α̂ of single runs: those say whether a run belongs to the procedure, not whether it adds to an ensemble."
    ),
    table=[
        (f"regret of {size} runs, {name} (mnats; mean, and each sweep)", "open" if "typical" in name else "not known to us", mnats(name) + (f"; worse than random in {worse[name]} of {sweeps}" if name in worse else ""))
        for name in order
    ]
    + [("recommended sizes over the halvings", "not known to us", f"{min(recommended)} to {max(recommended)}")],
    numbers={"regrets": [found for found, _, _ in of_sweep], "by_sweep": by_sweep},
    panels=[
        {
            "title": f"Regret of {size} of {count} runs",
            "x": "how they are chosen (line: from the least to the largest sweep)",
            "y": "NLL less that of all runs, nats",
            "series": [{"kind": "bars", "x": [n.replace(UNLABELLED, "random (2)").replace("-", " ") for n in order], "y": [means[n] for n in order], "low": [min(by_sweep[n]) for n in order], "high": [max(by_sweep[n]) for n in order]}],
        }
    ],
)
