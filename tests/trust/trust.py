"""Random mix-ups, corruptions and hostile directories against the program; standard library only.

Usage: trust.py HARNESS mixups|corruptions|hostile [COUNT] [SEED]

A mix-up exchanges runs, manifests, checkpoints, states, sweeps, data files or ensembles between experiments, seeds and
versions. Whatever is exchanged must be refused or named, and must be in no number. A corruption flips, cuts or removes
bytes of one file. A hostile directory holds links, pipes, devices, endless files, huge counts and odd names; a snapshot of
its surroundings must be the same afterwards, and no command may take longer than 20 s (times the load of the machine) or
ten times the memory that the largest plain file takes, beyond what it takes on a healthy sweep.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

from blake3 import blake3

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DIGITS = ROOT / "configs" / "digits.toml"
OLD = ROOT / "tests" / "fixtures" / "sweeps-0.1.tar.gz"
SMALL = ["train.epochs=2", "record.checkpoints=[0, 1]", "record.kernel.probes=20", "data.train_limit=200",
         "data.eval_limit=100", "analysis.bootstraps=20", 'model={kind="mlp", widths=[8]}']


class Failure(Exception):
    pass


def npy(shape, values, kind):
    letter = {"f4": "<f4", "i8": "<i8"}[kind]
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (letter, shape)
    header = header.ljust((len(header) + 10 + 63) // 64 * 64 - 11) + "\n"
    body = struct.pack("<%d%s" % (len(values), {"f4": "f", "i8": "q"}[kind]), *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


class Bench:
    """The program and a folder of small sweeps to mix up."""

    def __init__(self, harness, folder):
        self.harness, self.folder = harness, folder
        self.calls = 0

    def call(self, *arguments, timeout=240, cwd=None):
        self.calls += 1
        environment = dict(os.environ, NO_COLOR="1")
        done = subprocess.run([str(self.harness), *map(str, arguments)], capture_output=True, timeout=timeout,
                              cwd=cwd or self.folder, env=environment, stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if "panicked" in err or done.returncode < 0 or done.returncode == 101:
            raise Failure(f"{arguments}: exit {done.returncode}: {err[-600:]}")
        return done.returncode, out, err

    def must(self, *arguments):
        code, out, err = self.call(*arguments)
        if code != 0:
            raise Failure(f"{arguments}: exit {code}: {err[-600:]}")
        return out

    def sweep(self, name, *sets, runs=3, experiment=DIGITS):
        words = ["run", experiment, "--out", self.folder / name, "--runs", runs, "--quiet"]
        for value in [*(SMALL if experiment == DIGITS else []), *sets]:
            words += ["--set", value]
        self.must(*words)
        return self.folder / name

    def numbers(self, sweep):
        """Exit code, the numbers by run (or None), what was said."""
        code, out, err = self.call("analyze", sweep, "--json")
        runs = None
        if out.strip():
            value = json.loads(out)
            runs = {run["run"]: (run["accuracy"], run["nll"]) for run in value["runs"]}
        return code, runs, err

    def data(self, name, seed):
        draw = random.Random(seed)
        def part(count):
            labels = [draw.randrange(3) for _ in range(count)]
            pixels = [draw.gauss(label if place % 3 == label else 0, 1) for label in labels for place in range(16)]
            return npy((count, 1, 4, 4), pixels, "f4"), npy((count,), labels, "i8")
        path = self.folder / name
        with zipfile.ZipFile(path, "w") as archive:
            for key, bytes_ in zip(["x_train", "y_train", "x_test", "y_test"], [*part(120), *part(60)]):
                archive.writestr(key + ".npy", bytes_)
        return path

    def build(self):
        self.base = self.sweep("base")
        self.others = {
            "seed": self.sweep("seed", "sweep.seed=7"),
            "epochs": self.sweep("epochs", "train.epochs=3"),
            "model": self.sweep("model", 'model={kind="mlp", widths=[9]}'),
            "rate": self.sweep("rate", 'train.schedule={kind="constant", rate=0.01}'),
            "streams": self.sweep("streams", 'sweep.vary=["init"]'),
        }
        with tarfile.open(OLD) as archive:
            archive.extractall(self.folder / "old", filter="data")
        olds = [path.parent for path in (self.folder / "old").rglob("sweep.json")]
        self.others["older version"] = sorted(olds)[0]
        code, self.clean, err = self.numbers(self.base)
        if code != 0:
            raise Failure(f"the base sweep: exit {code}: {err}")
        for name in ("base", "model"):
            self.must("select", self.folder / name, "--strategy", "all", "--out", self.folder / f"ensemble-{name}")
        (self.folder / "x.npy").write_bytes(npy((5, 1, 8, 8), [float(i % 16) for i in range(320)], "f4"))
        # Sweeps of somebody's own data, and unfinished sweeps with a saved state.
        self.good, self.bad = self.data("good.npz", 1), self.data("bad.npz", 2)
        shutil.copy(self.good, self.folder / "data.npz")
        (self.folder / "own.toml").write_text(
            'name = "own"\n[data]\ndataset = "npz"\npath = "data.npz"\n[model]\nkind = "mlp"\nwidths = [4]\n'
            "[train]\nepochs = 1\n[analysis]\nbootstraps = 20\n")
        self.own = self.sweep("own", experiment=self.folder / "own.toml", runs=2)
        self.long = ["train.epochs=120", "record.checkpoints=[0]"]
        self.peace = self.sweep("peace", *self.long, runs=2)
        self.unfinished = {
            "run": self.stopped("stopped", *self.long),
            "seed": self.stopped("stopped-seed", *self.long, "sweep.seed=7"),
            "epochs": self.stopped("stopped-epochs", "train.epochs=121", "record.checkpoints=[0]"),
        }

    def stopped(self, name, *sets):
        """A sweep of two runs, both stopped after some epochs."""
        sweep = self.folder / name
        words = ["run", DIGITS, "--out", sweep, "--runs", 2, "--quiet", "--executor", "none"]
        for value in [*SMALL, *sets]:
            words += ["--set", value]
        self.must(*words)
        for run in range(2):
            state = sweep / "runs" / f"{run:04}" / "state"
            child = subprocess.Popen([str(self.harness), "train-run", "--sweep", str(sweep), "--index", str(run)],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.time() + 120
            while not state.exists() and child.poll() is None and time.time() < deadline:
                time.sleep(0.002)
            child.terminate()
            child.wait()
            if not state.exists():
                raise Failure(f"{name}: run {run} left no state")
        return sweep


def digests(sweep):
    found = {}
    for path in sorted((sweep / "runs").rglob("*")):
        if path.is_file() and path.parent.parent.name == "checkpoints":
            found[str(path.relative_to(sweep))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def tree(folder):
    """Every path below a folder with what it is; contents of plain files by digest."""
    found = {}
    for root, folders, names in os.walk(folder, followlinks=False):
        for name in folders + names:
            path = pathlib.Path(root) / name
            status = path.lstat()
            what = [status.st_mode, status.st_nlink if not path.is_dir() else 0]
            if path.is_symlink():
                what.append(os.readlink(path))
            elif path.is_file():
                what.append(hashlib.sha256(path.read_bytes()).hexdigest() if status.st_size < 1 << 24 else status.st_size)
            found[str(path)] = what
    return found


def copy(bench, source, number):
    target = bench.folder / f"case-{number}"
    shutil.copytree(source, target, symlinks=True)
    return target


def same(one, other):
    if one.is_file() and other.is_file():
        return one.read_bytes() == other.read_bytes()
    return False


# Mix-ups. Each gives a sentence, or None where what was exchanged is the same.

def run_level(bench, draw, number):
    """Something of one run comes from another sweep, another run or another epoch."""
    sweep = copy(bench, bench.base, number)
    run = draw.randrange(3)
    own = sweep / "runs" / f"{run:04}"
    kind, source = draw.choice([*bench.others.items(), ("another run", bench.base)])
    other_run = (run + 1 + draw.randrange(2)) % 3 if kind == "another run" else draw.randrange(3)
    other = source / "runs" / f"{other_run:04}"
    part = draw.choice(["run", "run.json", "metrics.parquet", "checkpoints", "soft.parquet", "kernel.safetensors", "another epoch"])
    if part == "run":
        shutil.rmtree(own)
        shutil.copytree(other, own)
    elif part == "checkpoints":
        shutil.rmtree(own / part)
        shutil.copytree(other / part, own / part)
    elif part == "another epoch":
        kind = "itself"
        shutil.copy(own / "checkpoints/0000/soft.parquet", own / "checkpoints/0002/soft.parquet")
    elif part in ("soft.parquet", "kernel.safetensors"):
        epoch = draw.choice(["0000", "0001", "0002"])
        there = other / "checkpoints" / epoch / part
        if not there.exists() or same(there, own / "checkpoints" / epoch / part):
            return None
        shutil.copy(there, own / "checkpoints" / epoch / part)
    else:
        if same(other / part, own / part):
            return None
        shutil.copy(other / part, own / part)
    what = f"{part} of run {run} from {kind}, run {other_run}"
    code, out, err = bench.call("verify", sweep)
    if code != 6 or f"{run:04}" not in out:
        raise Failure(f"{what}: verify ended with {code}: {out}{err}")
    code, runs, err = bench.numbers(sweep)
    if code == 0:
        raise Failure(f"{what}: analyze ended with 0: {runs}")
    if f"run {run}" not in err and f"{run:04}" not in err:
        raise Failure(f"{what}: analyze does not name the run: {err}")
    for index, values in (runs or {}).items():
        if index == run or values != bench.clean[index]:
            raise Failure(f"{what}: run {index} has the numbers {values}")
    verb = draw.choice([["report", sweep, "--report", bench.folder / "elsewhere"], ["select", sweep, "--json"],
                        ["export", sweep, "--to", bench.folder / f"export-{number}.npz"]])
    code, out, err = bench.call(*verb)
    if code == 0:
        raise Failure(f"{what}: {verb[0]} ended with 0")
    return what


def sweep_level(bench, draw, number):
    """sweep.json or experiment.toml, or both, are another sweep's."""
    sweep = copy(bench, bench.base, number)
    kind, source = draw.choice(list(bench.others.items()))
    parts = draw.choice([["sweep.json"], ["experiment.toml"], ["sweep.json", "experiment.toml"]])
    for part in parts:
        shutil.copy(source / part, sweep / part)
    what = f"{' and '.join(parts)} from {kind}"
    code, out, err = bench.call("verify", sweep)
    if code != 6:
        raise Failure(f"{what}: verify ended with {code}: {out}{err}")
    code, runs, err = bench.numbers(sweep)
    if code == 0 or runs:
        # The runs of an older version do not say what they belong to; its sweep.json takes no run that does.
        raise Failure(f"{what}: analyze ended with {code}: {runs} {err}")
    before = digests(sweep)
    code, out, err = bench.call("resume", sweep)
    if code not in (3, 6):
        raise Failure(f"{what}: resume ended with {code}: {err}")
    if digests(sweep) != before:
        raise Failure(f"{what}: resume changed the runs")
    return what


def state_level(bench, draw, number):
    """A saved state of another run, seed or experiment."""
    kind = draw.choice(list(bench.unfinished))
    sweep = copy(bench, bench.unfinished["run"], number)
    run = draw.randrange(2)
    source = bench.unfinished[kind] / "runs" / f"{(1 - run) if kind == 'run' else run:04}"
    own = sweep / "runs" / f"{run:04}"
    shutil.copy(source / "state", own / "state")
    shutil.rmtree(own / "checkpoints")
    shutil.copytree(source / "checkpoints", own / "checkpoints")
    what = f"the state of run {run} from another {kind}"
    code, out, err = bench.call("verify", sweep)
    if code != 6 or "state" not in out:
        raise Failure(f"{what}: verify ended with {code}: {out}{err}")
    code, out, err = bench.call("resume", sweep, "--jobs", "2")
    if code != 0 or f"run {run}" not in err or "anew" not in err:
        raise Failure(f"{what}: resume ended with {code}: {err}")
    if digests(sweep) != digests(bench.peace):
        raise Failure(f"{what}: other bytes than in peace")
    return what


def data_level(bench, draw, number):
    """The data are replaced before the sweep is gone on with."""
    sweep = copy(bench, bench.own, number)
    lost = draw.random() < 0.5
    if lost:
        shutil.rmtree(sweep / "runs" / "0001")
    shutil.copy(bench.bad, bench.folder / "data.npz")
    verb = ["resume", sweep] if lost else ["run", bench.folder / "own.toml", "--out", sweep, "--runs", 3]
    if lost and draw.random() < 0.5:
        verb = ["train-run", "--sweep", sweep, "--index", 1]
    before = digests(sweep)
    try:
        code, out, err = bench.call(*verb)
    finally:
        shutil.copy(bench.good, bench.folder / "data.npz")
    what = f"data replaced before {verb[0]}"
    if code != 3 or "data" not in err or digests(sweep) != before:
        raise Failure(f"{what}: exit {code}: {err}")
    return what


def ensemble_level(bench, draw, number):
    """A file of one ensemble comes from another, or a digit of it changes."""
    one, other = draw.sample(["base", "model"], 2)
    folder = bench.folder / f"case-{number}"
    shutil.copytree(bench.folder / f"ensemble-{one}", folder)
    part = draw.choice(sorted(path.name for path in folder.iterdir() if path.suffix != ".py"))
    source = bench.folder / f"ensemble-{other}" / part
    if draw.random() < 0.5 or not source.exists():
        text = (folder / part).read_bytes()
        places = [place for place, byte in enumerate(text) if 48 <= byte <= 57]
        place = draw.choice(places)
        new = 48 + (text[place] - 48 + 1 + draw.randrange(9)) % 10
        (folder / part).write_bytes(text[:place] + bytes([new]) + text[place + 1:])
        what = f"one digit of {part}"
    elif same(source, folder / part):
        return None
    else:
        shutil.copy(source, folder / part)
        what = f"{part} of another ensemble"
    code, out, err = bench.call("predict", "--ensemble", folder / "ensemble.json", "--inputs", bench.folder / "x.npy")
    if code not in (3, 6) or out:
        raise Failure(f"{what}: predict ended with {code}: {out[:80]} {err}")
    return what


def derived_level(bench, draw, number):
    """The tables of another sweep's analysis, or a digit of them, are not believed."""
    sweep = copy(bench, bench.base, number)
    path = sweep / "analysis" / "summary.json"
    if draw.random() < 0.5:
        shutil.copy(draw.choice(list(bench.others.values())[:5]) / "analysis" / "summary.json", path)
        what = "summary.json of another sweep"
    else:
        text = path.read_text()
        at = text.index('"accuracy"')
        place = next(place for place in range(at + 10, len(text)) if text[place] in "123456789")
        path.write_text(text[:place] + str(int(text[place]) % 9 + 1) + text[place + 1:])
        what = "one digit of summary.json"
    code, out, err = bench.call("verify", sweep)
    if code != 6 or "summary.json" not in out:
        raise Failure(f"{what}: verify ended with {code}: {out}")
    said = []
    for one in (bench.base, sweep):
        code, out, err = bench.call("history", one, bench.others["seed"], bench.others["seed"], "--json")
        said.append(out.replace(str(one), "SWEEP") if out else err.replace(str(one), "SWEEP"))
    if said[0] != said[1]:
        raise Failure(f"{what}: history says something else: {said}")
    return what


def mixups(bench, count, draw):
    bench.build()
    kinds = [(run_level, 8), (sweep_level, 3), (state_level, 2), (data_level, 2), (ensemble_level, 3), (derived_level, 1)]
    kinds = [kind for kind, weight in kinds for _ in range(weight)]
    return repeat(bench, count, lambda number: draw.choice(kinds)(bench, draw, number))


def corruptions(bench, count, draw):
    bench.base = bench.sweep("base")
    _, bench.clean, _ = bench.numbers(bench.base)

    def one(number):
        sweep = copy(bench, bench.base, number)
        files = [path for path in sorted(sweep.rglob("*")) if path.is_file() and path.stat().st_size > 0]
        path = draw.choice(files)
        name, bytes_ = str(path.relative_to(sweep)), path.read_bytes()
        how = draw.choice(["bit", "cut", "longer", "removed", "zeros"])
        if how == "bit":
            place = draw.randrange(len(bytes_))
            path.write_bytes(bytes_[:place] + bytes([bytes_[place] ^ 1 << draw.randrange(8)]) + bytes_[place + 1:])
        elif how == "cut":
            path.write_bytes(bytes_[:draw.randrange(len(bytes_))])
        elif how == "longer":
            path.write_bytes(bytes_ + b"\n")
        elif how == "removed":
            path.unlink()
        else:
            place = draw.randrange(len(bytes_))
            path.write_bytes(bytes_[:place] + bytes(len(bytes_) - place))
        if path.exists() and path.read_bytes() == bytes_:
            return None
        what = f"{name}: {how}"
        code, out, err = bench.call("verify", sweep)
        if code != 6 or (name not in out and "files.json" not in out):
            raise Failure(f"{what}: verify ended with {code}: {out}{err}")
        code, runs, err = bench.numbers(sweep)
        weights = name.endswith("weights.safetensors")
        for index, values in (runs or {}).items():
            if values != bench.clean[index]:
                raise Failure(f"{what}: analyze gives run {index} other numbers")
        if name.startswith("runs/") and code == 0 and not weights:
            raise Failure(f"{what}: analyze ended with 0")
        if draw.random() < 0.2:
            bench.call("verify", sweep, "--repair")
            code, out, err = bench.call("resume", sweep, "--quiet")
            if code != 0 or digests(sweep) != digests(bench.base):
                raise Failure(f"{what}: after repair and resume (exit {code}) the bytes differ: {err}")
            code, out, err = bench.call("verify", sweep)
            if code != 0:
                raise Failure(f"{what}: after repair and resume verify ends with {code}: {out}")
        return what

    return repeat(bench, count, one)


def repeat(bench, count, one):
    failures, kinds, number = [], {}, 0
    done = 0
    while done < count:
        number += 1
        try:
            what = one(number)
            if what is None:
                continue
            key = what.split(":")[-1].strip() if ":" in what else what.split(" of ")[0]
            kinds[key] = kinds.get(key, 0) + 1
        except (Failure, subprocess.TimeoutExpired) as failure:
            failures.append(str(failure))
            print(f"case {number}: {failure}", flush=True)
        finally:
            shutil.rmtree(bench.folder / f"case-{number}", ignore_errors=True)
        done += 1
        if done % 50 == 0:
            print(f"{done} of {count}, {len(failures)} failed", flush=True)
    print(f"{done} cases, {bench.calls} calls, {len(failures)} failed; {json.dumps(kinds)}")
    return not failures


# Hostile directories.

def sealed(path, change):
    """Changes a JSON file with a checksum, and gives it one that fits."""
    value = json.loads(path.read_text())
    value.pop("digest")
    change(value)
    body = json.dumps(value, indent=2, ensure_ascii=False)[:-2]
    path.write_text(f'{body},\n  "digest": "{blake3(body.encode())}"\n}}\n')


def entry_of(path, name):
    bytes_ = path.read_bytes()
    return {"path": name, "bytes": len(bytes_), "blake3": blake3(bytes_)}


def replace(path, make):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def attacks(outside):
    """Name, whether run 1 must not be in any number afterwards, and what is done to a sweep."""
    runs = pathlib.Path("runs/0001")
    folders = ["runs", "report", "analysis", "slurm", "runs/0001", "runs/0001/checkpoints", "runs/0001/checkpoints/0000",
               "report/figures"]
    files = ["sweep.json", "experiment.toml", "sweep.lock", "runs/0001/run.json", "runs/0001/state", "runs/0001/lease.json",
             "runs/0001/lease.lock", "runs/0001/metrics.parquet", "runs/0001/checkpoints/0002/soft.parquet",
             "analysis/summary.json", "analysis/files.json", "report/report.md", "slurm/jobs.json"]
    found = []
    for name in folders:
        target = outside / (name if (outside / name).is_dir() else "folder")
        found.append((f"link {name}", name.startswith("runs"), lambda sweep, name=name, target=target:
                      replace(sweep / name, lambda path: path.symlink_to(target, target_is_directory=True))))
        found.append((f"loop {name}", name.startswith("runs"), lambda sweep, name=name:
                      replace(sweep / name, lambda path: path.symlink_to(path.parent, target_is_directory=True))))
    spoiling = lambda name: name.startswith("runs") and pathlib.Path(name).name not in ("state", "lease.json", "lease.lock")
    for name in files:
        target = outside / name if (outside / name).is_file() else outside / "thesis.txt"
        makes = {
            "link": lambda path, target=target: path.symlink_to(target),
            "endless": lambda path: path.symlink_to("/dev/zero"),
            "pipe": os.mkfifo,
            "folder": pathlib.Path.mkdir,
            "holes": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
        }
        for how, make in makes.items():
            found.append((f"{how} {name}", spoiling(name), lambda sweep, name=name, make=make: replace(sweep / name, make)))

    def lists_outside(sweep, path):
        sealed(sweep / runs / "run.json", lambda value: value["files"].append(entry_of(outside / "thesis.txt", path)))

    found.append(("manifest lists ../", True, lambda sweep: lists_outside(sweep, "../../../outside/thesis.txt")))
    found.append(("manifest lists /", True, lambda sweep: lists_outside(sweep, str(outside / "thesis.txt"))))
    found.append(("index lists ../", False, lambda sweep: sealed(sweep / "report/files.json", lambda value:
                  value["files"].append(dict(entry_of(outside / "thesis.txt", "../../outside/thesis.txt"), bytes=1)))))
    for count in (1 << 60, (1 << 64) - 1, 99_999):
        found.append((f"{count} runs", False, lambda sweep, count=count:
                      sealed(sweep / "sweep.json", lambda value: value.update(runs=count))))
    found.append(("a file of 2^60 bytes", True, lambda sweep: sealed(sweep / runs / "run.json", lambda value:
                  value["files"][0].update(bytes=1 << 60))))

    def odd_kernel(sweep):
        path = sweep / runs / "checkpoints/0002/kernel.safetensors"
        header = json.dumps({"/../../../outside/x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
        name = "checkpoints/0002/kernel.safetensors"
        sealed(sweep / runs / "run.json", lambda value: value.update(
            files=[entry_of(path, name) if item["path"] == name else item for item in value["files"]]))

    found.append(("kernel with a path for a name", False, odd_kernel))
    for odd in ("\x1b]0;evil\x07", "\u202egnp.exe", "a\x9bb", "x" * 200):
        found.append((f"name {ascii(odd)[:12]}", False, lambda sweep, odd=odd: (sweep / runs / odd).write_text("x")))
        found.append((f"stray {ascii(odd)[:12]}", False, lambda sweep, odd=odd: (sweep / odd).mkdir()))
    found.append(("error with escapes", False, lambda sweep: sealed(sweep / runs / "run.json", lambda value: value.update(
        status="failed", outcome=None, files=[], errors=["\x1b[2J\x1b]0;evil\x07 \u202e\x9b"]))))
    found.append(("name of the sweep", False, lambda sweep: sealed(sweep / "sweep.json", lambda value:
                  value.update(name="\x1b]0;evil\x07\u202e"))))

    def deep(sweep):
        path = sweep / runs
        for _ in range(150):
            path = path / "deep"
        path.mkdir(parents=True)

    found.append(("deep folders", False, deep))
    return found


def timed(bench, arguments):
    """Exit code, what was said, seconds, and the most memory in bytes."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([str(bench.harness), *map(str, arguments)], stdout=out, stderr=err,
                                 stdin=subprocess.DEVNULL, cwd=bench.folder, env=dict(os.environ, NO_COLOR="1"))
        limit = begun + 120
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > limit:
                child.kill()
                os.wait4(child.pid, 0)
                raise Failure(f"{arguments[0]} did not end within 120 s")
            time.sleep(0.005)
        child.returncode = os.waitstatus_to_exitcode(status)
        bench.calls += 1
        out.seek(0), err.seek(0)
        said = (out.read() + err.read()).decode(errors="replace")
    return child.returncode, said, time.monotonic() - begun, usage.ru_maxrss * 1024


def hostile(bench, count, draw):
    bench.base = bench.sweep("base")
    other = bench.sweep("other", "sweep.seed=7")
    surroundings = bench.folder / "outside"
    shutil.copytree(other, surroundings)
    (surroundings / "folder").mkdir()
    (surroundings / "thesis.txt").write_text("mine")
    for run in range(3):
        (surroundings / "runs" / f"{run:04}" / "state").write_text("somebody's state")
        (surroundings / "runs" / f"{run:04}" / ".state.1-1.tmp").write_text("half of somebody's state")
    verbs = {
        "analyze": lambda sweep: ["analyze", sweep, "--json"],
        "verify": lambda sweep: ["verify", sweep],
        "repair": lambda sweep: ["verify", sweep, "--repair"],
        "resume": lambda sweep: ["resume", sweep, "--quiet"],
        "status": lambda sweep: ["status", sweep, "--json"],
        "report": lambda sweep: ["report", sweep],
        "select": lambda sweep: ["select", sweep, "--json"],
        "export": lambda sweep: ["export", sweep, "--to", sweep.parent / f"{sweep.name}-arrays"],
        "train-run": lambda sweep: ["train-run", "--sweep", sweep, "--index", 1],
        "list": lambda sweep: ["list", sweep.parent / f"{sweep.name}-list"],
        "cancel": lambda sweep: ["cancel", sweep],
    }
    healthy = copy(bench, bench.base, "healthy")
    (bench.folder / "case-healthy-list").mkdir()
    usual = {}
    for name, verb in verbs.items():
        code, said, seconds, memory = timed(bench, verb(healthy))
        usual[name] = (seconds, memory)
    clean = bench.numbers(bench.base)[1]
    before = tree(surroundings)
    largest = max(path.stat().st_size for path in bench.base.rglob("*") if path.is_file())
    all_attacks = attacks(surroundings)
    slowest, biggest = 0.0, 0.0

    def one(number):
        nonlocal slowest, biggest
        name, spoils, attack = all_attacks[(number - 1) % len(all_attacks)] if number <= len(all_attacks) else draw.choice(all_attacks)
        sweep = copy(bench, bench.base, number)
        if draw.random() < 0.3:
            (sweep / "slurm").mkdir(exist_ok=True)
            (sweep / "slurm" / "jobs.json").write_text('{"schema": "harness.slurm/1", "jobs": []}')
        attack(sweep)
        listed = bench.folder / f"case-{number}-list"
        listed.mkdir()
        (listed / "x").symlink_to(sweep)
        chosen = ["verify", "analyze", *draw.sample(sorted(set(verbs) - {"verify", "analyze"}), 4)]
        for verb in chosen:
            code, said, seconds, memory = timed(bench, verbs[verb](sweep))
            what = f"{name}: {verb}"
            if "panicked" in said or code < 0 or code == 101:
                raise Failure(f"{what} ended with {code}: {said[-500:]}")
            if any(sign in said for sign in ("\x1b", "\x9b", "\u202e", "\x07")):
                raise Failure(f"{what} printed control characters: {said!r}")
            load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            if seconds > 20 * load:
                raise Failure(f"{what} took {seconds:.1f} s at load {load:.1f}")
            extra = memory - usual[verb][1]
            slowest, biggest = max(slowest, seconds), max(biggest, extra)
            if extra > max(10 * largest, 32 << 20):
                raise Failure(f"{what} took {extra >> 20} MiB more than on a healthy sweep")
            if verb == "analyze" and said.startswith("{"):
                runs = {run["run"]: (run["accuracy"], run["nll"]) for run in json.JSONDecoder().raw_decode(said)[0]["runs"]}
                if (spoils and 1 in runs) or any(clean[run] != values for run, values in runs.items()):
                    raise Failure(f"{what} counts {runs}")
            if verb == "analyze" and spoils and code == 0:
                raise Failure(f"{what} ended with 0")
        after = tree(surroundings)
        if after != before:
            changed = [path for path in set(before) | set(after) if before.get(path) != after.get(path)]
            raise Failure(f"{name}: {chosen} changed the surroundings: {changed[:5]}")
        for left in bench.folder.glob(f"case-{number}-*"):
            shutil.rmtree(left, ignore_errors=True)
        return f"{name.split()[0]} of"

    good = repeat(bench, max(count, len(all_attacks)), one)
    print(f"slowest command {slowest:.1f} s, most memory beyond a healthy sweep {biggest / 2**20:.1f} MiB")
    return good


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("mixups", "corruptions", "hostile"):
        sys.exit(__doc__)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    draw = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        bench = Bench(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        good = {"mixups": mixups, "corruptions": corruptions, "hostile": hostile}[sys.argv[2]](bench, count, draw)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
