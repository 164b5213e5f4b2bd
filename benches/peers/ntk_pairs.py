"""Runs the program's kernel and PyTorch's alternately and prints medians, ratios, peak memories and agreement.

Seconds are those of the kernel alone. The ratio of CPU times, which others on the machine disturb less, is PyTorch's for the
kernel alone over ours for the whole process.

With JAX_PYTHON=… (a Python with jax and neural-tangents) also the fastest of neural-tangents' implementations, once per network.

ntk_pairs.py PROGRAM [PAIRS [NETWORK ...]]
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# Neither torch nor numpy: a child's peak memory is never below that of the process that started it.
NETWORKS = ["mlp", "cnn", "resnet20", "vit", "depthwise"]
IN_JAX = ["mlp", "cnn", "resnet20"]
HERE = Path(__file__).parent
ONE_THREAD = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", RAYON_NUM_THREADS="1")


def call(command):
    """Standard output, peak memory in MiB and CPU seconds of a process."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=ONE_THREAD)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"{' '.join(map(str, command))} ended with status {status}")
        out.seek(0)
        return out.read().decode(), usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def peer(action, name, examples, outputs, folder):
    return call([sys.executable, HERE / "ntk.py", action, name, str(examples), str(outputs), str(folder)])


def ours(program, folder):
    files = [("--model", "model.toml"), ("--weights", "weights.safetensors"), ("--inputs", "inputs.npy")]
    options = [part for option, file in files for part in (option, folder / file)]
    text, peak, cpu = call([program, "kernel", "compute", *options, "--out", folder / "kernel.safetensors", "--json"])
    return json.loads(text)["kernels"][0]["seconds"], peak, cpu


def pairs(program, count, name, folder):
    peer("save", name, 64, 10, folder)
    rows = []
    for _ in range(count):
        mine = ours(program, folder)
        text, memory, _ = peer("time", name, 64, 10, folder)
        rows.append((*mine, *map(float, text.split()), memory))
    seconds, memory, cpu, their_seconds, their_cpu, their_memory = (statistics.median(column) for column in zip(*rows))
    ratios = sorted(row[3] / row[0] for row in rows)
    error = float(peer("compare", name, 64, 10, folder)[0])
    print(
        f"{name:9} {seconds:8.4f} s {their_seconds:8.3f} s   {their_seconds / seconds:7.2f} times"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f})   CPU {their_cpu / cpu:7.2f}   {memory:5.0f} MiB {their_memory:5.0f} MiB"
        f"   {memory / their_memory:.3f}   {error:.1e}",
        flush=True,
    )


def neural_tangents(name, folder):
    python = os.environ.get("JAX_PYTHON")
    if not python or name not in IN_JAX:
        return
    script = [python, HERE / "ntk_jax.py"]
    case = [name, "64", "10", str(folder)]
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    ONE_THREAD.update(XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    seconds, way = call([*script, "time", *case])[0].split()
    error = float(call([*script, "compare", *case])[0])
    print(f"{name:9} neural-tangents' {way}: {float(seconds):.3f} s   {error:.1e}", flush=True)


def scaling(program, name, folder):
    def seconds(examples, outputs):
        peer("save", name, examples, outputs, folder)
        return statistics.median(ours(program, folder)[2] for _ in range(3))

    examples = [(p, seconds(p, 10)) for p in (64, 128, 256)]
    outputs = [(c, seconds(64, c)) for c in (10, 20, 40)]
    for what, row in (("P", examples), ("C", outputs)):
        shown = ", ".join(f"{what} = {n}: {s:.3f} s ({s / row[0][1]:.2f})" for n, s in row)
        print(f"{name:9} {shown}", flush=True)


def main():
    program = Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    names = sys.argv[3:] or NETWORKS
    with tempfile.TemporaryDirectory() as folder:
        print(f"Trace NTK, P = 64, C = 10, one thread, {count} alternating pairs, medians")
        print("network        ours    PyTorch   faster (range)   CPU time   peak: ours   PyTorch   share   relative error")
        for name in names:
            pairs(program, count, name, Path(folder))
            neural_tangents(name, Path(folder))
        print("\nOurs as P and C grow: CPU time of the whole process (times the first)")
        for name in names:
            scaling(program, name, Path(folder))


main()
