"""Power failures on a disk that keeps what was synced and loses, tears or reorders what was not; standard library only.

Usage: powerloss.py HARNESS [TRIALS] [SEED]

A sweep of two runs is trained under record.c, which writes down every creation, write, sync, rename and removal. Then the
machine "loses power" at a random one of them: of each file survive the bytes of its last sync and any part of the later
writes, of each folder the names of its last sync and any part of the later changes, in any combination. On what is left,
no file that a manifest lists may be damaged, and the sweep must go on to the bytes of one that was left in peace. Once the
engine has ended, nothing of the sweep may be lost at all. As a check of this check, the same is done on a disk that lies about
syncing, where damage must be found.
"""

import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = HERE.parent.parent / "configs" / "digits.toml"
SMALL = ["train.epochs=3", "record.checkpoints=[0, 1]", "record.kernel.probes=20", "data.train_limit=300",
         "data.eval_limit=100", "analysis.bootstraps=20"]
# What verify says of files that are not as a manifest lists them.
DAMAGE = ["does not have the contents", "bytes where", "cannot be used", "cannot be read", "differs from"]


class Inode:
    def __init__(self, folder):
        self.folder = folder
        # What is there now; what is on the disk; what happened since.
        self.now, self.kept, self.since = ({}, {}, []) if folder else (b"", b"", [])

    def sync(self):
        self.kept, self.since = (dict(self.now) if self.folder else self.now), []

    def change(self, step):
        self.now = apply(self.folder, self.now, step)
        self.since.append(step)

    def after(self, draw, how):
        """What a loss of power leaves."""
        state = dict(self.kept) if self.folder else self.kept
        for step in self.since:
            if how == "all" or (how == "some" and draw.random() < 0.5):
                if how == "some" and step[0] == "write" and draw.random() < 0.3:
                    step = ("write", step[1], step[2][:draw.randrange(len(step[2]) + 1)])
                state = apply(self.folder, state, step)
        return state


def apply(folder, state, step):
    if folder:
        state = dict(state)
        if step[0] == "set":
            state[step[1]] = step[2]
        elif step[0] == "drop":
            state.pop(step[1], None)
        else:
            state.pop(step[1], None)
            state[step[2]] = step[3]
        return state
    if step[0] == "empty":
        return b""
    _, at, data = step
    return state[:at].ljust(at, b"\0") + data + state[at + len(data):]


def read_log(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        end = data.index(b"\n", at)
        what, *numbers = data[at:end].decode().split()
        numbers, at = [int(number) for number in numbers], end + 1
        sizes = {"C": numbers[1:], "M": numbers[1:], "R": numbers, "U": numbers, "D": numbers, "X": numbers, "W": numbers[2:]}
        parts = []
        for size in sizes.get(what, []):
            parts.append(data[at:at + size])
            at += size
        if what == "X":
            sys.exit(f"record.c cannot play {parts[0].decode()} again: teach it")
        yield what, numbers, parts


class Disk:
    """The file system below `root` as far as the log says."""

    def __init__(self, root):
        self.root = root
        self.top = Inode(True)
        self.by_number = {os.stat(root).st_ino: self.top}

    def parent(self, name):
        relative = pathlib.PurePosixPath(name.decode()).relative_to(self.root)
        at = self.top
        for part in relative.parts[:-1]:
            at = at.now[part]
        return at, relative.parts[-1]

    def play(self, record, syncs):
        what, numbers, parts = record
        if what in "CM":
            inode = Inode(what == "M")
            self.by_number[numbers[0]] = inode
            folder, name = self.parent(parts[0])
            folder.change(("set", name, inode))
        elif what == "T":
            self.by_number[numbers[0]].change(("empty",))
        elif what == "W":
            self.by_number[numbers[0]].change(("write", numbers[1], parts[0]))
        elif what == "S":
            if syncs and numbers[0] in self.by_number:
                self.by_number[numbers[0]].sync()
        elif what == "R":
            folder, old = self.parent(parts[0])
            other, new = self.parent(parts[1])
            assert folder is other, "renames stay within a folder"
            folder.change(("rename", old, new, folder.now[old]))
        else:
            folder, name = self.parent(parts[0])
            folder.change(("drop", name))

    def write(self, target, draw, how):
        def put(inode, path):
            if inode.folder:
                path.mkdir()
                for name, below in inode.after(draw, how).items():
                    put(below, path / name)
            else:
                path.write_bytes(inode.after(draw, how))
        put(self.top, target)


def digests(sweep):
    found = {}
    for path in sorted((sweep / "runs").rglob("*")):
        if path.is_file() and path.parent.parent.name == "checkpoints":
            found[str(path.relative_to(sweep))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    harness = pathlib.Path(sys.argv[1]).resolve()
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    draw = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    if not shutil.which("cc"):
        print("skipped: there is no C compiler")
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()

        def run(sweep, **more):
            words = ["run", DIGITS, "--out", sweep, "--runs", 2, "--jobs", 2, "--quiet"]
            for value in SMALL:
                words += ["--set", value]
            return call(*words, **more)

        def call(*words, **environment):
            return subprocess.run([str(harness), *map(str, words)], capture_output=True, text=True, timeout=1800,
                                  env=dict(os.environ, NO_COLOR="1", **environment), stdin=subprocess.DEVNULL)

        library = folder / "record.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "record.c", "-ldl"], check=True)
        root = folder / "disk"
        root.mkdir()
        log = folder / "log"
        disk_before = os.stat(root).st_ino
        done = run(root / "sweep", LD_PRELOAD=str(library), RECORD_ROOT=str(root), RECORD_LOG=str(log))
        if done.returncode != 0 or os.stat(root).st_ino != disk_before:
            sys.exit(f"the recorded sweep ended with {done.returncode}: {done.stderr}")
        records = list(read_log(log))
        kinds = {kind: sum(record[0] == kind for record in records) for kind in "CWSRUMD"}
        expected = digests(root / "sweep")
        print(f"{len(records)} operations: {kinds}", flush=True)

        def trial(number, place, how, syncs):
            """What is wrong after a loss of power, or nothing."""
            disk = Disk(root)
            for record in records[:place]:
                disk.play(record, syncs)
            target = folder / f"left-{number}"
            disk.write(target, draw, how)
            sweep, problems = target / "sweep", []
            try:
                if sweep.exists():
                    said = call("verify", sweep)
                    problems += [line for line in said.stdout.splitlines() if any(sign in line for sign in DAMAGE)]
                    if said.returncode not in (0, 3, 6):
                        problems.append(f"verify ended with {said.returncode}: {said.stderr}")
                    if place == len(records) and syncs and said.returncode != 0:
                        problems.append(f"after the end: {said.stdout}{said.stderr}")
                again = run(sweep)
                if again.returncode != 0:
                    problems.append(f"run ended with {again.returncode}: {again.stderr}")
                elif digests(sweep) != expected:
                    problems.append("other bytes")
                else:
                    said = call("verify", sweep)
                    if said.returncode != 0:
                        problems.append(f"verify afterwards: {said.stdout}")
            finally:
                shutil.rmtree(target)
            return problems

        failed = 0
        for number in range(trials):
            # The last ones: nothing of a sweep that has ended may be lost.
            place = len(records) if number >= trials - 3 else draw.randrange(1, len(records) + 1)
            how = "none" if number >= trials - 3 else draw.choice(["none", "all", "some", "some", "some"])
            problems = trial(number, place, how, True)
            if problems:
                failed += 1
                print(f"power lost after operation {place} ({how} of what was not synced survives): {problems}", flush=True)
        liar = sum(bool(trial(trials + number, draw.randrange(len(records) // 2, len(records)), "some", False))
                   for number in range(12))
        print(f"{trials} losses of power, {failed} failed; on a disk that lies about syncing, damage was found in {liar} of 12")
        if liar == 0:
            sys.exit("this check would not have noticed a missing sync")
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
