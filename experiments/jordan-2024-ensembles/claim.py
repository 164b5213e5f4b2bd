"""Which runs to put together? Accuracy, alpha-hat, greedy search, typicality and chance, over 20 halvings of the evaluation set."""

import math
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, save_npy, sign_test

e = Experiment(__file__)
halvings, size, runs = 20, 5, None
# Of each task: its file, data, and how many sweeps.
tasks = {
    "cats and dogs, CNN": ("cifar2", e.data("cifar10"), 3),
    "ten garments, dense": ("fashion", e.data("fashion-mnist"), 4),
    "ten digits, CNN": ("digits", {}, 4),
}
if e.quick:
    halvings, runs = 4, 12
    tasks = {"digits 3 and 8": ("cifar2", e.data("cifar10") | {"data.classes": [3, 8], "data.train_limit": 100, "train.epochs": 4, "record.checkpoints": [4]}, 2)}
# What a way to choose is measured against: random runs on the halves that harness draws, or on the halves drawn here.
BESIDE = {"most typical": "random (typicality's halves)", "least typical": "random (typicality's halves)"}


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


def by_typicality(sweep, seed):
    """Regrets of the most and the least typical runs, and of random ones: one half of the examples says which are typical, the
    other measures."""
    (count, examples, classes), logits, labels = e.decisions(sweep)
    loss = losses(logits, labels, count, examples, classes)
    chance = random.Random(seed)

    def one(number):
        mixed = random.Random(f"{seed} {number}").sample(range(examples), examples)
        chooses, measures = mixed[: examples // 2], mixed[examples // 2 :]
        files = e.work / f"half-{sweep.name}-{number}.npy", e.work / f"half-{sweep.name}-{number}-labels.npy"
        rows = [(run * examples + i) * classes for run in range(count) for i in chooses]
        save_npy(files[0], (count, len(chooses), classes), [v for at in rows for v in logits[at : at + classes]])
        save_npy(files[1], (len(chooses),), [labels[i] for i in chooses], "q")
        judged = e.spread(files[0], "--labels", files[1])["runs"]
        for file in files:
            file.unlink()
        order = sorted(range(count), key=lambda r: -judged[r]["typicality"])
        everything = loss(range(count), measures)
        drawn = statistics.fmean(loss(chance.sample(range(count), size), measures) for _ in range(10))
        return [loss(members, measures) - everything for members in (order[:size], order[-size:])] + [drawn - everything]

    found = zip(*e.side_by_side(one, range(halvings)))
    return dict(zip(("most typical", "least typical", BESIDE["most typical"]), map(statistics.fmean, found)))


def regrets_of(sweep, seed):
    """Of one sweep: for every way to choose, its regret, a mean over halvings."""
    repeated = e.json("select", sweep, "--size", size)["evidence"]["repeated"]
    return {s["name"]: s["difference"] for s in repeated["strategies"] if s["name"] not in ("unflagged", "single")} | by_typicality(sweep, seed)


found = {}
for task, (file, data, count) in tasks.items():
    sweeps = [e.sweep(f"{file}.toml", f"{file}-{seed}", data | {"sweep.seed": seed}, runs) for seed in range(count)]
    found[task] = [regrets_of(sweep, seed) for seed, sweep in enumerate(sweeps)]
everything = [sweep for sweeps in found.values() for sweep in sweeps]
means = {task: {name: statistics.fmean(s[name] for s in sweeps) for name in sweeps[0]} for task, sweeps in found.items()}
ways = [name for name in everything[0] if "random" not in name]
worse = {name: sum(s[name] > s[BESIDE.get(name, "random")] for s in everything) for name in ways}
p = {name: sign_test(worse[name], len(everything)) for name in ways}
order = sorted(ways, key=lambda name: worse[name])
decided = p["most typical"] < 0.05
helps = 2 * worse["most typical"] < len(everything)
count = runs or 30
e.check(all(m["random"] > 0 for m in means.values()), "five random runs lose something to all runs")
e.check(all(m["greedy"] <= m["random"] + 0.02 for m in means.values()), "greedy search is no worse than chance by more than 0.02 nats")


def against(name):
    return f"{name} in {worse[name]} of {len(everything)} (p = {p[name]:.2g})"


def mnats(task, name):
    return f"{1000 * means[task][name]:.1f} ({', '.join(f'{1000 * s[name]:.1f}' for s in found[task])})"


e.finish(
    claim="Runs can be chosen for an ensemble by how typical they are (an open question)",
    source="our own question; greedy search after Caruana 2004",
    theirs="open",
    ours=f"{size} of {count} runs are worse than {size} random ones in so many of {len(everything)} sweeps: " + ", ".join(f"{name} {worse[name]}" for name in order),
    verdict="undecided" if not decided else "reproduced" if helps else "not",
    why=(
        f"{len(everything)} sweeps of {count} runs over {len(tasks)} tasks, {halvings} halvings each. Worse than {size} random runs are the chosen ones: "
        + ", ".join(against(name) for name in order)
        + ". Mean regret (NLL less that of all runs, mnats): "
        + "; ".join(f"{task}: " + ", ".join(f"{name} {1000 * m[name]:.1f}" for name in ["random", *order]) for task, m in means.items())
        + ". The sweep is the unit of the sign test; halvings of one sweep share its runs."
    ),
    advice=(
        ("Do not put the most typical runs together: " if decided and not helps else "Typicality is no reason to put runs together: ")
        + "choose by greedy search (or by accuracy) on held-out examples, or take all. Typicality and α̂ say whether a run belongs to the procedure, not whether it adds to an ensemble."
    ),
    table=[
        (f"{task}: regret of {size} runs, {name} (mnats; mean, and each sweep)", "open" if "typical" in name else "not known to us", mnats(task, name))
        for task in tasks
        for name in sorted(means[task], key=means[task].get)
    ]
    + [(f"sweeps in which {name} is worse than random", "open" if "typical" in name else "not known to us", f"{worse[name]} of {len(everything)}, p = {p[name]:.2g}") for name in order],
    numbers={"regrets": found, "worse_than_random": worse, "p": p},
    panels=[
        {
            "title": f"{task}: {size} of {count} runs, {len(found[task])} sweeps",
            "x": "way to choose",
            "y": "regret in mnats (whisker: all sweeps)",
            "series": [
                {
                    "kind": "bars",
                    "x": (names := sorted((n for n in m if n not in BESIDE.values()), key=m.get)),
                    "y": [1000 * m[n] for n in names],
                    "low": [1000 * min(s[n] for s in found[task]) for n in names],
                    "high": [1000 * max(s[n] for s in found[task]) for n in names],
                }
            ],
        }
        for task, m in means.items()
    ],
)
