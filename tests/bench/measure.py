"""What the benchmarks share: whole commands, timed from outside, in turn, as ratios within one run."""
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERTURB = str(ROOT / "build" / "perturb")


def run(command, **options):
    """One run: (seconds, peak MiB, what it printed). Ends the benchmark if the command fails."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        out, err = process.communicate()
        # Of all children so far; a benchmark that reports memory runs its largest command last.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{err}")
    return time.perf_counter() - start, peak, out


def in_turn(commands, rounds):
    """Runs each command in turn, `rounds` times: the machine's moods hit all alike. Seconds by name."""
    seconds = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(run(command() if callable(command) else command)[0])
    return seconds


def ratio(seconds, a, b):
    """The median of a / b, pair by pair."""
    return statistics.median(x / y for x, y in zip(seconds[a], seconds[b]))


def report(seconds):
    for name, all_of_it in seconds.items():
        rest = " ".join(f"{s:.2f}" for s in all_of_it)
        print(f"{name:<28} median {statistics.median(all_of_it):7.2f} s   ({rest})")


def need(*packages):
    """Debian packages that only a benchmark needs."""
    missing = [p for p in packages
               if subprocess.run(["dpkg-query", "-W", p], capture_output=True, check=False).returncode != 0]
    if missing:
        sys.exit(f"this benchmark also needs: apt install {' '.join(missing)}")


def fresh_store():
    return tempfile.mkdtemp(prefix="perturb-bench-")


def quiet_environment():
    return dict(os.environ, NO_COLOR="1")
