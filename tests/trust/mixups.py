"""Random mix-ups: whatever is exchanged is refused or named, and is in no number."""

import shutil

from bench import Failure, copy, digests, repeat, same


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
        # Run 0 has the seeds that all runs share where a stream does not vary.
        if all(same(path, own / path.relative_to(other)) for path in (other / part).rglob("*") if path.is_file()):
            return None
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
    # An experiment that was edited is invalid; runs of another experiment are damage.
    if code != (6 if len(parts) == 2 else 3):
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
    if code != 6 or out:
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
