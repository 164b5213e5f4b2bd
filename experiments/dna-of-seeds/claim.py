"""Do runs of one procedure look more alike to the microscope than runs of another architecture?"""

import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, share, wilson

e = Experiment(__file__)
data = e.data("fashion-mnist")
procedures, runs = ["mlp", "wide", "cnn", "cnn-norm", "vit"], None
if e.quick:
    data |= {"data.train_limit": 600, "data.eval_limit": 300}
    procedures, runs = ["mlp", "cnn"], 3

sweeps = {name: e.sweep(f"{name}.toml", name, data, runs) for name in procedures}
again = e.sweep("mlp.toml", "mlp-again", data | {"sweep.seed": 1}, runs)
accuracy = {name: e.spread(sweep)["summary"]["accuracy"]["mean"] for name, sweep in sweeps.items()}


def alike(first, second):
    found = e.json("embed", first, "--alike", "--against", second)
    means = {m["of"]: m for m in found["means"]}
    within_first, within_second, between = (next(m for of, m in means.items() if key in of) for key in ("first", "second", "between"))
    return {"within": [within_first, within_second], "between": between, "pairs": found["pairs"], "p_between": found["p_between"]}


measures = ("cka", "neighbours", "procrustes")
control = alike(sweeps["mlp"], again)
rows, correct, asked = [], {m: 0 for m in measures}, 0
pairs = list(itertools.combinations(procedures, 2))
for (a, b), found in zip(pairs, e.side_by_side(lambda pair: alike(sweeps[pair[0]], sweeps[pair[1]]), pairs)):
    row = {"a": a, "b": b, "p_between": found["p_between"]}
    for measure in measures:
        row[measure] = {"within": [w[measure] for w in found["within"]], "between": found["between"][measure]}
    rows.append(row)
    # Can a run be told by its nearest other run? A run of its own procedure, or of the other?
    names = sorted({p["a"] for p in found["pairs"]} | {p["b"] for p in found["pairs"]})
    for name in names:
        others = [(p, p["b"] if p["a"] == name else p["a"]) for p in found["pairs"] if name in (p["a"], p["b"])]
        asked += 1
        for measure in measures:
            _, nearest = max(others, key=lambda item: item[0][measure]["value"])
            correct[measure] += nearest[0] == name[0]

more_alike = {m: sum(min(r[m]["within"]) > r[m]["between"] for r in rows) for m in measures}
told = {m: wilson(correct[m], asked) for m in measures}
control_gap = {m: sum(w[m] for w in control["within"]) / 2 - control["between"][m] for m in measures}
best = max(measures, key=lambda m: told[m][0])
count = runs or 4
chance = (count - 1) / (2 * count - 1)
e.check(rows[0]["cka"]["between"] > 0.2, "networks of two architectures see something in common")
e.check(abs(control_gap["cka"]) < 0.1, "two sweeps of one procedure are as alike between as within")
e.finish(
    claim="Runs of one procedure look more alike, by what they make of the inputs, than runs of another architecture",
    source="an open question; measures after Kornblith 2019 and Murphy 2024",
    theirs="open",
    ours=f"nearest run is of the same procedure in {share(told['cka'][0], 0)} (CKA), {share(told['neighbours'][0], 0)} (neighbours), {share(told['procrustes'][0], 0)} (Procrustes) of {asked} cases",
    verdict="reproduced" if told[best][1] > 0.9 else "partly" if told[best][1] > chance else "not",
    why=(
        f"Over {len(rows)} pairs of {len(procedures)} procedures both sides are more alike within than between in {more_alike['cka']} (CKA), {more_alike['neighbours']} (mutual neighbours) and {more_alike['procrustes']} (Procrustes). "
        f"The nearest other run is of the own procedure in {share(told[best][0], 0)} of {asked} cases by the best measure ({best}; {share(told[best][1], 0)} to {share(told[best][2], 0)}, {share(chance, 0)} would be chance). "
        f"Two sweeps of the same procedure differ by {control_gap['cka']:.3f} in CKA (within less between; p = {control['p_between']:.2g}), as they should. "
        f"`p_between` is below 0.05 for {sum(r['p_between'] < 0.05 for r in rows)} of {len(rows)} pairs."
    ),
    advice="To see whether somebody changed the architecture, compare what the last layer reads (`harness embed --alike --against`) by debiased CKA or Procrustes; mutual neighbours tell less, and likeness within one side alone says nothing, as some architectures vary more between their own runs than others do from each other.",
    table=[
        ("two sweeps of one procedure: CKA within less between", "0", f"{control_gap['cka']:.3f}, p = {control['p_between']:.2g}"),
        *[(f"nearest run is of the same procedure, {m}", "open", f"{share(t[0], 0)} ({share(t[1], 0)} to {share(t[2], 0)})") for m, t in told.items()],
        *[(f"{r['a']} against {r['b']}: CKA within, within, between", "open", f"{r['cka']['within'][0]:.3f}, {r['cka']['within'][1]:.3f}, {r['cka']['between']:.3f}; p = {r['p_between']:.2g}") for r in rows],
    ],
    numbers={"pairs": rows, "told": told, "control": {"gap": control_gap, "p_between": control["p_between"]}, "accuracy": accuracy},
    panels=[
        {
            "title": f"{words}, {len(rows)} pairs of procedures",
            "x": "likeness between the two procedures",
            "y": "likeness within either",
            "diagonal": "as alike within as between",
            "series": [
                {"kind": "points", "name": name, "x": [r[m]["between"] for r in part for _ in (0, 1)], "y": [w for r in part for w in r[m]["within"]]}
                for name, part in (("dense networks and CNNs", [r for r in rows if "vit" not in (r["a"], r["b"])]), ("one side a transformer", [r for r in rows if "vit" in (r["a"], r["b"])]))
                if part
            ],
        }
        for m, words in zip(measures, ("Debiased CKA", "Mutual neighbours", "Procrustes"))
    ],
)
