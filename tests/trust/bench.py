"""The program, small sweeps to mix up, and what is asked of a folder afterwards."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tarfile
import time
import zipfile

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
