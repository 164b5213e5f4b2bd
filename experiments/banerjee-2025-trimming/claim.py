"""The trimming level against accuracy, churn and calibration error, after Banerjee 2025."""

import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, bootstrap, interval, last, share, spearman

e = Experiment(__file__)
data = e.data("cifar10")
faults = {
    "10 % of labels shuffled": ("labels-10", {"data.label_noise": 0.1}),
    "30 % of labels shuffled": ("labels-30", {"data.label_noise": 0.3}),
    "a quarter of the data": ("quarter-data", {"data.train_limit": 1000}),
    "ten times the rate": ("rate-10", {"train.schedule.rate": 1e-2}),
    "two epochs": ("two-epochs", {"train.epochs": 2}),
}
runs, arm, faulty = 60, 30, 6
if e.quick:
    data |= {"data.train_limit": 240, "data.classes": [3, 8]}
    faults = {"30 % of labels shuffled": faults["30 % of labels shuffled"], "two epochs": faults["two epochs"]}
    runs, arm, faulty = 12, 6, 2

both = e.sweep("cifar2.toml", "both", data, runs)
arms = {"init and order": e.json("analyze", both)}
for source in ("init", "order"):
    arms[source] = e.json("analyze", e.sweep("cifar2.toml", source, data | {"sweep.vary": [source]}, arm))


def deviations(analysis):
    """Of each run: its alpha-hat, and how far accuracy, churn and ECE lie from their medians, in standard deviations."""
    table = analysis["runs"]
    rows = []
    middle = {name: statistics.median(r[name] for r in table) for name in ("accuracy", "churn", "ece")}
    spread = {name: statistics.stdev([r[name] for r in table]) or 1.0 for name in middle}
    for run in table:
        away = {name: abs(run[name] - middle[name]) / spread[name] for name in middle}
        rows.append({"alpha_hat": run["alpha_hat"], **away, "any": max(away.values()), "churn_itself": run["churn"]})
    return rows


def correlation(rows, name):
    return bootstrap(lambda drawn: spearman([r["alpha_hat"] for r in drawn], [r[name] for r in drawn]), rows)


healthy = deviations(arms["init and order"])
correlations = {arm: {name: correlation(deviations(a), name) for name in ("accuracy", "churn", "ece", "any")} for arm, a in arms.items()}
limit = statistics.quantiles([r["alpha_hat"] for r in healthy], n=10)[-1]
large = [r for r in healthy if r["alpha_hat"] >= limit]
small = [r for r in healthy if r["alpha_hat"] <= statistics.quantiles([r["alpha_hat"] for r in healthy], n=10)[4]]
large_any = statistics.fmean(r["any"] for r in large)
small_any = statistics.fmean(r["any"] for r in small)

files = [last(both, run, "soft.parquet") for run in range(min(runs, 20))]


def planted_run(case):
    """A faulty run among the healthy ones."""
    name, sweep, run = case
    *others, own = e.judged([*files, last(sweep, run, "soft.parquet")], "--clip", 15)
    return {
        "fault": name,
        "alpha_hat": own["alpha_hat"],
        "above_all_healthy": own["alpha_hat"] > max(r["alpha_hat"] for r in others),
        "accuracy": own["accuracy"],
        "ece": own["ece"],
        "churn": own["churn"],
        "flags": own["flags"],
    }


sweeps = {name: e.sweep("cifar2.toml", out, data | settings | {"sweep.seed": 1}, faulty) for name, (out, settings) in faults.items()}
planted = e.side_by_side(planted_run, [(name, sweep, run) for name, sweep in sweeps.items() for run in range(min(faulty, 4))])
found = {name: [p for p in planted if p["fault"] == name] for name in faults}

chosen = e.json("select", both)["evidence"]
curve = chosen["sizes"]
picked = next((s for s in curve if s["size"] == chosen["recommended"]), curve[-1])
first, last = curve[0]["alpha_hat"]["mean"], curve[-1]["alpha_hat"]["mean"]
lost = picked["nll"]["mean"] - curve[-1]["nll"]["mean"]
gain_of_one = curve[0]["nll"]["mean"] - curve[-1]["nll"]["mean"]

strong = found["30 % of labels shuffled"]
e.check(statistics.fmean(p["alpha_hat"] for p in strong) > statistics.fmean(r["alpha_hat"] for r in healthy), "faulty runs have a larger alpha-hat")
e.check(first >= last, "alpha-hat of an ensemble does not grow with its size")
main = correlations["init and order"]
goes_along = main["any"][1] > 0
falls = first > last
all_found = all(p["above_all_healthy"] for p in strong)
# Faults of which other measures flag every run while alpha-hat puts none above the healthy ones: against "small goes with all small".
unseen = [name for name, rows in found.items() if all(p["flags"] for p in rows) and not any(p["above_all_healthy"] for p in rows)]
parts = [goes_along, falls, all_found, not unseen]
e.finish(
    claim="A large α̂ goes with a deviation of accuracy, churn or ECE, a small one with none; α̂ of an ensemble falls with its size",
    source="Banerjee 2025 (arXiv 2406.08307)",
    theirs="800 CNN runs of 50 epochs; shown in scatter plots, no coefficient is known to us",
    ours=f"ρ(α̂, largest deviation) {interval(main['any'])} over {runs} runs; α̂ of K runs {share(first)} at K = 1, {share(last)} at K = {curve[-1]['size']}",
    verdict="reproduced" if all(parts) else "partly" if any(parts) else "not",
    why=(
        f"Spearman's ρ of α̂ with the deviation of accuracy is {interval(main['accuracy'])}, of churn {interval(main['churn'])}, of ECE {interval(main['ece'])}, "
        f"of the largest of the three {interval(main['any'])}. The tenth of runs with the largest α̂ deviates by {large_any:.1f} standard deviations in one of "
        f"the three, the half with the smallest by {small_any:.1f}. Of {len(strong)} runs trained on 30 % shuffled labels "
        f"{sum(p['above_all_healthy'] for p in strong)} have an α̂ above that of every healthy run. "
        + "".join(f"Against the claim: runs with {name} have an α̂ of {share(min(p['alpha_hat'] for p in found[name]), 1)} to {share(max(p['alpha_hat'] for p in found[name]), 1)}, within the range of healthy ones, though loss or churn flags all {len(found[name])}. " for name in unseen)
        + f"{picked['size']} runs together (the size that α̂ "
        f"recommends) lose {lost:.4f} nats to all {curve[-1]['size']}; a single run loses {gain_of_one:.4f}."
    ),
    advice=(
        "Take a large α̂ for a fault, never a small one for health: it sees other labels and less data at once, and is blind to a learning rate that flags of loss and churn "
        "see. Choose the size of an ensemble by the loss on held-out data; the size at which α̂ is satisfied still loses."
    ),
    table=[
        *[
            (f"ρ(α̂, {what}), {name} varied, {len(arms[name]['runs'])} runs", "positive, in figures", interval(correlations[name][key]))
            for name in arms
            for key, what in (("accuracy", "deviation of accuracy"), ("churn", "deviation of churn"), ("ece", "deviation of ECE"), ("any", "largest deviation"))
        ],
        ("largest deviation (in std): runs of the largest tenth of α̂, of the smaller half", "large, small", f"{large_any:.2f}, {small_any:.2f}"),
        *[
            (
                f"α̂ with {name}, {len(rows)} runs",
                "not tried",
                f"{share(statistics.fmean(p['alpha_hat'] for p in rows))}; {sum(p['above_all_healthy'] for p in rows)} above every healthy run; flagged {sum(bool(p['flags']) for p in rows)}",
            )
            for name, rows in found.items()
        ],
        ("α̂ of healthy runs, mean", "not known to us", share(statistics.fmean(r["alpha_hat"] for r in healthy))),
        (f"α̂ of K runs against all, K = 1 and {curve[-1]['size']}", "falls", f"{share(first)}, {share(last)}"),
        ("recommended K, and its loss less that of all (nats)", "not known to us", f"{picked['size']}, {lost:.4f}"),
    ],
    numbers={"correlations": correlations, "healthy": healthy, "planted": planted, "sizes": [{"size": s["size"], "alpha_hat": s["alpha_hat"], "nll": s["nll"]} for s in curve], "recommended": chosen["recommended"]},
    panels=[
        {
            "title": f"{runs} healthy runs: ρ = {main['any'][0]:.2f} ({main['any'][1]:.2f} to {main['any'][2]:.2f})",
            "x": "α̂ of the run",
            "y": "largest deviation, in std",
            "zero": True,
            "series": [{"kind": "points", "x": [r["alpha_hat"] for r in healthy], "y": [r["any"] for r in healthy]}],
        },
        {
            "title": "Planted faults",
            "x": "α̂ of the run (0.5: at least)",
            "y": "accuracy",
            "series": [
                {"kind": "points", "name": "healthy", "colour": "#808080", "x": [r["alpha_hat"] for r in healthy], "y": [r["accuracy"] for r in arms["init and order"]["runs"]]},
                *[{"kind": "points", "name": name, "x": [p["alpha_hat"] for p in rows], "y": [p["accuracy"] for p in rows]} for name, rows in found.items()],
            ],
        },
        {
            "title": "Ensembles of K runs",
            "x": "K, the number of runs put together",
            "log_x": True,
            "y": "α̂ against the distribution of all runs",
            "zero": True,
            "series": [{"kind": "line", "x": [s["size"] for s in curve], "y": [s["alpha_hat"]["mean"] for s in curve], "low": [s["alpha_hat"]["low"] for s in curve], "high": [s["alpha_hat"]["high"] for s in curve]}],
        },
    ],
)
