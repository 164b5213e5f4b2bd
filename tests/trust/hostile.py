"""Hostile directories: nothing outside is touched, and nothing takes long or much."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

from bench import Failure, copy, repeat, tree
from blake3 import blake3


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
