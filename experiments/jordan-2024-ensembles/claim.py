"""Which runs to put together? Accuracy, alpha-hat, greedy search, typicality and chance, over 20 halvings of the evaluation set."""

import itertools
import math
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, save_npy, share, sign_test, wilson

e = Experiment(__file__)
halvings, size, count = 20, 5, 15
garments = list(itertools.combinations((0, 2, 3, 4, 6), 2)) + list(itertools.combinations((5, 7, 9), 2))
if e.quick:
    halvings, size, count = 4, 3, 12
    digits = e.data("cifar10") | {"data.classes": [3, 8], "data.train_limit": 100, "train.epochs": 4, "record.checkpoints": [4]}
    tasks = {"digits 3 and 8": [e.sweep("cats.toml", "cats", digits, 24)]}
else:
    cifar, fashion = e.data("cifar10"), e.data("fashion-mnist")
    tasks = {
        "cats and dogs, CNN": [e.sweep("cats.toml", "cats", cifar, 30)],
        "planes and cars, CNN": [e.sweep("cifar2.toml", "both", cifar, 60, of="banerjee-2025-trimming")],
        "ten digits, CNN": [e.sweep("digits.toml", "pool", {}, 60, of="verdicts")],
        "pairs of garments, dense": [e.sweep("pair.toml", f"pair-{a}{b}", fashion | {"data.classes": [a, b]}, of="jordan-2024-variance") for a, b in garments],
    }


def pools_of(sweep):
    """Each fifteen runs of a sweep are a pool of their own: (name, examples, classes, logits, labels)."""
    (runs, examples, classes), logits, labels = e.decisions(sweep)
    each = count * examples * classes
    return [(f"{sweep.name}-{k}", examples, classes, logits[k * each : (k + 1) * each], labels) for k in range(runs // count)]


def losses(pool):
    """A function that gives the loss of the mean prediction of some runs on some examples."""
    _, examples, classes, logits, labels = pool
    probabilities = []
    for run in range(count):
        row = []
        for i in range(examples):
            z = logits[(run * examples + i) * classes : (run * examples + i + 1) * classes]
            top = max(z)
            row.append(math.exp(z[labels[i]] - top) / sum(math.exp(v - top) for v in z))
        probabilities.append(row)
    return lambda members, half: -statistics.fmean(math.log(max(sum(probabilities[m][i] for m in members) / len(members), 1e-12)) for i in half)


def files_of(pool, chosen, name):
    """Files of the logits and labels of some examples."""
    _, examples, classes, logits, labels = pool
    paths = e.work / f"{name}.npy", e.work / f"{name}-labels.npy"
    rows = [(run * examples + i) * classes for run in range(count) for i in chosen]
    save_npy(paths[0], (count, len(chosen), classes), [v for at in rows for v in logits[at : at + classes]])
    save_npy(paths[1], (len(chosen),), [labels[i] for i in chosen], "q")
    return paths


def by_typicality(pool):
    """Regrets of the most and the least typical runs, and of random ones: one half of the examples says which are typical, the
    other measures."""
    name, examples = pool[:2]
    loss = losses(pool)

    def one(number):
        chance = random.Random(f"{name} {number}")
        mixed = chance.sample(range(examples), examples)
        chooses, measures = mixed[: examples // 2], mixed[examples // 2 :]
        logits, labels = files_of(pool, chooses, f"{name}-half-{number}")
        judged = e.spread(logits, "--labels", labels)["runs"]
        logits.unlink(), labels.unlink()
        order = sorted(range(count), key=lambda r: -judged[r]["typicality"])
        everything = loss(range(count), measures)
        drawn = statistics.fmean(loss(chance.sample(range(count), size), measures) for _ in range(10))
        return [loss(members, measures) - everything for members in (order[:size], order[-size:])] + [drawn - everything]

    found = zip(*e.side_by_side(one, range(halvings)))
    return dict(zip(("most typical", "least typical", "random"), map(statistics.fmean, found)))


def regrets_of(pool):
    """Of one pool: for every way to choose, its regret, a mean over halvings."""
    logits, labels = files_of(pool, range(pool[1]), pool[0])
    repeated = e.json("select", logits, "--labels", labels, "--size", size)["evidence"]["repeated"]
    return {s["name"]: s["difference"] for s in repeated["strategies"] if s["name"] not in ("unflagged", "single")} | by_typicality(pool)


found = {task: [regrets_of(pool) for sweep in sweeps for pool in pools_of(sweep)] for task, sweeps in tasks.items()}
everything = [pool for pools in found.values() for pool in pools]
means = {task: {name: statistics.fmean(s[name] for s in pools) for name in pools[0]} for task, pools in found.items()}
ways = [name for name in everything[0] if name != "random"]
worse = {name: sum(s[name] > s["random"] for s in everything) for name in ways}
p = {name: sign_test(worse[name], len(everything)) for name in ways}
order = sorted(ways, key=lambda name: worse[name])
shares = {name: wilson(worse[name], len(everything)) for name in ways}
helps, useless = shares["most typical"][2] < 0.5, shares["most typical"][1] > 0.25
e.check(all(m["random"] > 0 for m in means.values()), "a few random runs lose something to all runs")
e.check(all(m["greedy"] <= m["random"] + 0.02 for m in means.values()), "greedy search is no worse than chance by more than 0.02 nats")


def against(name):
    return f"{name} in {worse[name]} of {len(everything)} ({share(shares[name][1], 0)} to {share(shares[name][2], 0)}; p = {p[name]:.2g})"


def mnats(task, name):
    return f"{1000 * means[task][name]:.1f} ({', '.join(f'{1000 * s[name]:.1f}' for s in found[task])})"


e.finish(
    claim="Runs can be chosen for an ensemble by how typical they are (an open question)",
    source="our own question; greedy search after Caruana 2004",
    theirs="open",
    ours=f"{size} of {count} runs are worse than {size} random ones in so many of {len(everything)} pools: " + ", ".join(f"{name} {worse[name]}" for name in order),
    verdict="reproduced" if helps else "not" if useless else "undecided",
    why=(
        f"{len(everything)} pools of {count} runs over {len(tasks)} tasks, {halvings} halvings each. Worse than {size} random runs are the chosen ones: "
        + ", ".join(against(name) for name in order)
        + ". Mean regret (NLL less that of all runs, mnats): "
        + "; ".join(f"{task}: " + ", ".join(f"{name} {1000 * m[name]:.1f}" for name in ["random", *order]) for task, m in means.items())
        + ". The pool is the unit of the sign test, since halvings of one pool share its runs; pairs of garments share classes."
    ),
    advice=(
        "Typicality is no reason to put runs together, nor is a small α̂: choose by greedy search (or by accuracy) on held-out examples, or take all. Typicality and α̂ say whether a run belongs to the procedure, not whether it adds to an ensemble."
    ),
    table=[
        (f"{task}: regret of {size} runs, {name} (mnats; mean, and each pool)", "open" if "typical" in name else "not known to us", mnats(task, name))
        for task in tasks
        for name in sorted(means[task], key=means[task].get)
    ]
    + [(f"pools in which {name} is worse than random", "open" if "typical" in name else "not known to us", f"{worse[name]} of {len(everything)}: {share(shares[name][1], 0)} to {share(shares[name][2], 0)}, p = {p[name]:.2g}") for name in order],
    numbers={"regrets": found, "worse_than_random": worse, "p": p},
    panels=[
        {
            "title": f"{task}: {len(found[task])} pools",
            "x": "way to choose",
            "y": "regret in mnats (whisker: all pools)",
            "series": [
                {
                    "kind": "bars",
                    "x": (names := sorted(m, key=m.get)),
                    "y": [1000 * m[n] for n in names],
                    "low": [1000 * min(s[n] for s in found[task]) for n in names],
                    "high": [1000 * max(s[n] for s in found[task]) for n in names],
                }
            ],
        }
        for task, m in means.items()
    ],
)
