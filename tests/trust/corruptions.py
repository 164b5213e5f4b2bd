"""Random corruptions: every one is found, named, in no number, and mended."""

from bench import Failure, copy, digests, repeat


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
