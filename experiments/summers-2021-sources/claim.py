"""Every source of randomness, one flipped bit among them, against each other: Summers and Dinneen 2021."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import Experiment, over_pairs, share

e = Experiment(__file__)
data = e.data("cifar10")
sources, rates, runs = ["init", "order", "augment", "bit"], [0.001, 0.05], None
chaotic = rates[-1]
if e.quick:
    data |= {"data.classes": [3, 8], "data.train_limit": 200, "data.augment.flip": True, "train.batch_size": 8}
    sources, rates, runs = ["init", "bit"], [0.001, 0.05], 4

epochs = (1, 2, 4, 8, 16, 24)


def pairs(sweep, epoch):
    """Mean churn and soft churn of all pairs of runs, with jackknife intervals, and accuracy."""
    analysis = e.spread(sweep, "--epoch", epoch)
    summary = analysis["summary"]
    soft, soft_low, soft_high = over_pairs(analysis["pairs"], "soft_churn")
    churn = summary["churn"]
    return {"epoch": epoch, "churn": summary["mean_churn"], "low": churn["low"], "high": churn["high"], "soft": soft, "soft_low": soft_low, "soft_high": soft_high, "accuracy": summary["accuracy"]["mean"], "std": summary["accuracy"]["std"]}


arms = {}
for rate in rates:
    for source in sources:
        settings = data | {"train.schedule.peak": rate, "sweep.vary": [source]}
        arms[rate, source] = [pairs(e.sweep("cifar2.toml", f"{source}-{rate}", settings, runs), epoch) for epoch in epochs]


def last(rate, source):
    return arms[rate, source][-1]


def of_seed(rate):
    """Churn of one bit over the smallest churn of the other sources."""
    return last(rate, "bit")["churn"] / max(min(last(rate, s)["churn"] for s in sources if s != "bit"), 1e-9)


others = [last(chaotic, s)["churn"] for s in sources if s != "bit"]
spread = max(others) / max(min(others), 1e-9)
ratio, calm = of_seed(chaotic), of_seed(rates[0])
reached = ratio > 0.7
boundary = ratio > 3 * calm
e.check(last(chaotic, "bit")["soft"] > 10 * last(rates[0], "bit")["soft"], "one bit spreads further at the higher rate")
e.check(last(rates[0], "init")["churn"] > last(rates[0], "bit")["churn"], "at the low rate another initialisation does more than one bit")
doubling = next((c["epoch"] for c in arms[chaotic, "bit"] if c["churn"] >= 0.5 * last(chaotic, "bit")["churn"]), None)
e.finish(
    claim="All sources make runs differ alike, and one flipped bit of one initial weight spreads like a new seed",
    source="Summers & Dinneen 2021 (arXiv 2103.04514)",
    theirs="similar effects of all sources, one bit included (ResNets, CIFAR-10, hundreds of epochs)",
    ours="churn of one bit over the least of the other sources: " + ", ".join(f"{of_seed(rate):.2f} at rate {rate:g}" for rate in rates),
    verdict="reproduced" if reached and spread < 1.5 else "partly" if reached or boundary else "not",
    why=(
        f"At a peak rate of {chaotic:g} one bit ends in a churn of {share(last(chaotic, 'bit')['churn'])}, {ratio:.2f} of the least of the other sources "
        f"({', '.join(s + ' ' + share(last(chaotic, s)['churn']) for s in sources if s != 'bit')}); half of it is there after {doubling} epochs. At {rates[0]:g} it is "
        f"{share(last(rates[0], 'bit')['churn'])}, {calm:.2f} of theirs: training forgets the bit rather than amplifying it. So the claim is one about chaotic training, "
        "and the learning rate says on which side of the boundary one is."
    ),
    advice=(
        "A fixed seed does not make a procedure stable: run `harness attribute --also bit --spawn 0` once. If one bit does what a seed does, "
        "only the number of runs helps; if it does not, fixing a source really does remove its share."
    ),
    table=[
        *[
            (f"churn at the end, {source} varied, peak rate {rate:g}", "similar for all sources" if rate == chaotic else "not tried", f"{share(c['churn'])} ({share(c['low'])} to {share(c['high'])})")
            for (rate, source), course in arms.items()
            for c in [course[-1]]
        ],
        ("largest over smallest churn of the seeds, chaotic rate", "near 1", f"{spread:.2f}"),
        ("accuracy at the end, by peak rate", "not comparable", ", ".join(f"{share(last(rate, 'init')['accuracy'])} ({rate:g})" for rate in rates)),
    ],
    numbers={f"{source} at {rate:g}": course for (rate, source), course in arms.items()},
    panels=[
        {
            "title": f"Peak learning rate {rate:g}, {runs or 5} runs a source",
            "x": "epoch",
            "y": "½‖p − p′‖², mean over pairs",
            "log_y": True,
            "log_x": True,
            "series": [
                {"kind": "line", "name": source, "x": [c["epoch"] for c in course], **{to: [max(c[key], 1e-9) for c in course] for to, key in (("y", "soft"), ("low", "soft_low"), ("high", "soft_high"))}}
                for (r, source), course in arms.items()
                if r == rate
            ],
        }
        for rate in rates
    ],
)
