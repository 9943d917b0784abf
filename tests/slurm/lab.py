"""What the tests on Slurm share, on the real one (slurm_test.py) and on one that only looks like it
(tests/cli/slurm_test.py): experiments, the program, and the oracle.

The law: whatever happens to a run on a cluster, the same command, given often enough, ends with 0
and leaves results that equal, byte for byte, those of a run in one process.

What trains is tests/cli/pretend_engine.cpp: its values are a function of the state, its checkpoints
say which state they are of, and a stage that begins with the wrong one fails.

PERTURB          the program
PERTURB_PRETEND  the training half that pretends
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(os.environ["PERTURB"])
PRETEND = os.path.abspath(os.environ.get("PERTURB_PRETEND", "missing"))
HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 300  # seconds; a bound on what hangs, not a measurement

# Controls, interventions that fork from them, and values that compare with the control: a tree with
# stages that wait for others in both ways.
FORKS = """
name = "forks"
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 30
[optimizer]
kind = "sgd"
lr = 0.05
[train]
epochs = 4
[[variations]]
seeds.init = {{ range = [0, {seeds}] }}
[[interventions]]
set.optimizer.lr = [0.1, 0.01]
when = {{ epochs = [1, 2] }}
[[interventions]]
kind = "perturb-weights"
epsilon = [0.05, 0.1]
when = {{ epochs = 2 }}
[[metrics]]
kind = "distance"
to = "control"
every = {{ epochs = 2 }}
[checkpoints]
every = 3
[slurm]
poll = 0.2
patience = 1
warning = 1
{slurm}
"""

# As many stages as there are seeds, with nothing in common and next to nothing to do.
FLAT = """
name = "flat"
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 150
[optimizer]
kind = "sgd"
lr = 0.05
[train]
epochs = 1
[[variations]]
seeds.init = {{ range = [0, {seeds}] }}
[slurm]
poll = 0.2
patience = 1
{slurm}
"""


def dump(store):
    path = pathlib.Path(store).absolute() / "results.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        cursor = db.execute("SELECT * FROM results ORDER BY experiment, number, step, metric")
        return [[column[0] for column in cursor.description], *cursor.fetchall()]


def rows(store, sql):
    path = pathlib.Path(store).absolute() / "results.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


@unittest.skipUnless(os.path.exists(PRETEND), "PERTURB_PRETEND is not built")
class Lab(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-slurm-lab-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = self.folder / "store"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TERM": "dumb",
            "PERTURB_TRAIN": PRETEND,
            "PERTURB_PRETEND_SAVES": "1",
        }
        if "LD_LIBRARY_PATH" in os.environ:
            self.environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]

    def file(self, text, seeds, slurm=""):
        path = self.folder / "experiment.toml"
        path.write_text(text.format(seeds=seeds, slurm=slurm), encoding="utf-8")
        return path

    def command(self, file, *more, store=None):
        return [PROGRAM, "--store", str(store or self.store), "run", str(file), *more]

    def run_here(self, file):
        """The same experiment, the same file, in one process: what has to come out."""
        store = self.folder / "serial"
        done = subprocess.run(self.command(file, "-j", "1", "-q", store=store), timeout=LIMIT,
                              env=self.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dump(store)

    def run_there(self, file, *more, code=0):
        done = subprocess.run(self.command(file, "--executor", "slurm", *more), timeout=LIMIT,
                              env=self.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, f"{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done.stderr

    def begin_there(self, file, *more):
        """The run as a process, which has to be waited for."""
        log = open(self.folder / "driver.txt", "ab")  # pylint: disable=consider-using-with
        self.addCleanup(log.close)
        driver = subprocess.Popen(self.command(file, "--executor", "slurm", *more),
                                  env=self.environment, stdout=log, stderr=log)
        self.addCleanup(self.end, driver)
        return driver

    def said(self):
        return (self.folder / "driver.txt").read_text(encoding="utf-8")

    @staticmethod
    def end(process, how=signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(how)
        return process.wait(timeout=LIMIT)

    def logs(self):
        logs = sorted((self.store / "slurm").glob("*/logs/*.txt"))
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-500:]}" for log in logs[:5])

    def until(self, ready, what):
        limit = time.monotonic() + LIMIT
        while not (answer := ready()):
            if time.monotonic() > limit:
                self.fail(f"{what}\n{self.said()}\n{self.logs()}")
            time.sleep(0.05)
        return answer

    def records(self, pattern="*"):
        return list((self.store / "slurm").glob(f"*/records/{pattern}.rec"))

    def check_same(self, wanted):
        got = dump(self.store)
        self.assertEqual(len(got), len(wanted))
        self.assertEqual(got, wanted)
        # Law 3: whatever was carried out twice came out the same.
        self.assertEqual(rows(self.store, "SELECT sum(conflicts) FROM runs"), [(0,)])
        # Nothing is left for which nobody waits.
        self.assertFalse((self.store / "slurm").exists(), self.logs())


def mangled(how):
    """For [slurm]: what stands before the worker, so that its records come in another way."""
    return f"container = '{sys.executable} {HERE / 'mangle.py'} {how}'"
