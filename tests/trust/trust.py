"""Random mix-ups, corruptions and hostile directories against the program; standard library only.

Usage: trust.py HARNESS mixups|corruptions|hostile [COUNT] [SEED]

A mix-up exchanges runs, manifests, checkpoints, states, sweeps, data files or ensembles between experiments, seeds and
versions. Whatever is exchanged must be refused or named, and must be in no number. A corruption flips, cuts or removes
bytes of one file. A hostile directory holds links, pipes, devices, endless files, huge counts and odd names; a snapshot of
its surroundings must be the same afterwards, and no command may take longer than 20 s (times the load of the machine) or
ten times the memory that the largest plain file takes, beyond what it takes on a healthy sweep.
"""

import os
import pathlib
import random
import sys
import tempfile

from bench import Bench
from corruptions import corruptions
from hostile import hostile
from mixups import mixups


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
