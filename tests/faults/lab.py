"""What the fault tests share: real experiments, the program, and the oracle.

The law: whatever happened to a run, what it left is sound (`check_left`), and the same command,
once the cause is gone, ends with 0 and leaves results that equal, byte for byte, those of a run that
nothing happened to (`check_whole`). Nothing is ever unlocked by hand.

PERTURB        the program; its libraries lie beside it
PERTURB_FAULTS what to do, words with spaces between: `long` takes the long counts, and
               `kills=300` takes that many kills whatever the form
PERTURB_FAULTS_SEED   of all that is random but the machine's timing; printed, so that a failure
               can be tried again
PERTURB_FAULTS_ENGINE the training half of engine.cpp

A store in which the law was broken is kept, and named.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

# Whoever starts this in the background has SIGINT ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
PROGRAM = os.path.abspath(os.environ["PERTURB"])
TRAINS = pathlib.Path(PROGRAM).with_name("libperturb_train.so").exists()
WORDS = os.environ.get("PERTURB_FAULTS", "").split()
LONG = "long" in WORDS
COUNTS = dict(word.split("=") for word in WORDS if "=" in word)
SEED = int(os.environ.get("PERTURB_FAULTS_SEED") or random.SystemRandom().randrange(1 << 32))
AT_ONCE = max(2, len(os.sched_getaffinity(0)))  # rounds, each with a store of its own
LIMIT = 120  # seconds; a bound on what hangs, not a measurement

# Training takes longer than loading LibTorch, and paths fork, so that most instants hit a run with
# stages under way, stages that wait for them, and a checkpoint that is just being replaced.
FORKS = """
name = "faults"
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [16]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.05
momentum = 0.9
[train]
epochs = 40
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
set.optimizer.lr = [0.1, 0.01]
when = { epochs = [4, 8] }
[[interventions]]
kind = "perturb-weights"
epsilon = 0.05
seed = [0, 1]
when = { epochs = 20 }
[[metrics]]
kind = "distance"
to = "control"
every = { epochs = 8 } # also at the end of 24
"""

# Results do not depend on it, but what is written when does.
CHECKPOINTS = [
    "[checkpoints]\nevery = 5\n",
    "[checkpoints]\nevery = { epochs = 2 }\nkeep = \"all\"\n",
    "[checkpoints]\nkeep = \"needed\"\n",
]

# Few steps and few system calls: each of them is an instant to be killed at.
THREE = """
name = "three"
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
epochs = 3
[[interventions]]
set.optimizer.lr = [0.1, 0.01]
when = { epochs = [1, 2] }
[checkpoints]
every = 5
"""


def count(kind, short, long):
    """How many faults of a kind."""
    return int(COUNTS.get(kind, long if LONG else short))


def environment(**more):
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {"HOME": "/nonexistent", "TERM": "dumb",
            **{name: os.environ[name] for name in kept if name in os.environ}, **more}


class Fault(AssertionError):
    """The law was broken."""


def require(good, *said):
    if not good:
        raise Fault("\n".join(map(str, said)))


@contextlib.contextmanager
def open_store(store, **options):
    path = pathlib.Path(store).absolute() / "results.db"
    # As users open it: whatever a kill left behind, reading needs no writer first.
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, **options)) as db:
        yield db


def check_left(store):
    """What a fault may leave: less than there should be, but nothing that is not sound."""
    store = pathlib.Path(store)
    if not (store / "results.db").exists():
        return
    with open_store(store) as db:
        require(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "integrity_check")
        require(not db.execute("PRAGMA foreign_key_check").fetchall(), "foreign_key_check")
        for (blob,) in db.execute("SELECT blob FROM checkpoints"):
            name = blob.hex()
            file = store / "blobs" / name[:2] / name
            require(file.is_file(), f"a checkpoint without its blob {name}")
            require(hashlib.sha256(file.read_bytes()).hexdigest() == name, f"damaged blob {name}")
        twice = db.execute("SELECT state, metric FROM measurements GROUP BY 1, 2 "
                           "HAVING count(*) > 1").fetchall()
        require(not twice, f"measured twice: {twice}")
        conflicts = db.execute("SELECT id, conflicts FROM runs WHERE conflicts > 0").fetchall()
        require(not conflicts, f"conflicts: {conflicts}")


def dump(store):
    """`select * from results`, in the order in which it comes, to the last bit."""
    with open_store(store) as db:
        rows = db.execute("SELECT * FROM results")
        lines = [repr([column[0] for column in rows.description])]
        lines += [repr([v.hex() if isinstance(v, float) else v for v in row]) for row in rows]
    return "\n".join(lines)


class Run:
    """`perturb run`, under way. What it says on stderr is collected by a thread."""

    def __init__(self, *command, env=None, cwd=None):
        self.process = subprocess.Popen(list(map(str, command)), env=env or environment(), cwd=cwd,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace",
                                        start_new_session=True)
        self.lines = []
        self._told = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stderr:
            with self._told:
                self.lines.append(line.rstrip("\n"))
                self._told.notify_all()
        with self._told:
            self._ended = True
            self._told.notify_all()

    def wait_for_lines(self, n):
        """False when it ended with fewer."""
        with self._told:
            require(self._told.wait_for(lambda: self._ended or len(self.lines) >= n, LIMIT),
                    "hangs:", self.said())
            return len(self.lines) >= n

    def wait(self, limit=LIMIT):
        """The exit code. Whoever takes longer is killed, and that is a fault."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Fault(f"had to be killed after {limit} s", self.said()) from None
        self._thread.join(LIMIT)
        self.process.stderr.close()
        return code

    def said(self):
        return "\n".join(self.lines[-40:])


class Lab:
    """A folder for the rounds of a test, an experiment, and what a run of it comes to when nothing
    happens."""

    _known = {}

    def __init__(self, text, *arguments):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-faults-"))
        self.text = text
        self.arguments = arguments
        self.broken = False
        key = (text, *arguments)
        if key not in self._known:
            store = self.folder / "untouched"
            run = self.run(store, "-j", 2)
            code = run.wait()
            require(code == 0, f"an untouched run ends with {code}", run.said())
            check_left(store)
            self._known[key] = (dump(store), len(run.lines))
        # The results, and how many lines a run says on stderr: the clock for random instants.
        self.untouched, self.lines = self._known[key]

    def close(self):
        if self.broken:
            print(f"kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, checkpoints=""):
        path = self.folder / f"{hashlib.sha256(checkpoints.encode()).hexdigest()[:8]}.toml"
        part = self.folder / f"{path.name}.{threading.get_ident()}"
        part.write_text(self.text + checkpoints, encoding="utf-8")
        os.replace(part, path)  # the same text, whoever comes last
        return path

    def command(self, store, *options, checkpoints=""):
        return [PROGRAM, "run", self.file(checkpoints), *self.arguments, "--store", store, *options]

    def run(self, store, *options, checkpoints="", env=None):
        return Run(*self.command(store, *options, checkpoints=checkpoints), env=env)

    def check_whole(self, store, *options, checkpoints=""):
        """Goes on with what a fault left. Returns what the run said."""
        check_left(store)
        run = self.run(store, *options, checkpoints=checkpoints)
        code = run.wait()
        require(code == 0, f"the run that goes on ends with {code}", run.said())
        check_left(store)
        require(dump(store) == self.untouched, "other results than untouched", run.said())
        left = [path.name for path in pathlib.Path(store).glob("work-*")]
        # They are removed by who starts work, and where all was done before nobody does.
        require(not left or "nothing to train" in run.said(), f"left over: {left}")
        return run.lines


@unittest.skipUnless(TRAINS, "the training half is not built")
class FaultTest(unittest.TestCase):
    def lab(self, *arguments):
        lab = Lab(*arguments)
        self.addCleanup(lab.close)
        return lab

    def rounds(self, kind, lab, numbers, one):
        """Calls `one(random, store, number)` for each number, several at a time, and sums up what
        they return: how many faults hit, or counts by name, of which `hit` is one."""
        numbers = list(numbers)
        tally = collections.Counter()
        failures = []
        begun = time.monotonic()

        def attempt(number):
            store = lab.folder / f"{kind.replace(' ', '-')}-{number}"
            try:
                told = one(random.Random(f"{SEED}/{kind}/{number}"), store, number)
            except Exception as error:  # pylint: disable=broad-except
                lab.broken = True
                failures.append(f"{kind} {number}, store {store}: "
                                f"{'' if isinstance(error, Fault) else repr(error)}{error}")
                print(failures[-1], flush=True)
                return
            shutil.rmtree(store, ignore_errors=True)
            for word, n in (told if isinstance(told, dict) else {"hit": told}).items():
                tally[word] += n
            if number % 50 == 49:
                print(f"{kind} {tally['hit']} so far", flush=True)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(attempt, numbers))
        said = ", ".join(f"{n} {word}" for word, n in sorted(tally.items()) if n and word != "hit")
        print(f"{kind} {tally['hit']}: {len(failures)} oracle failures"
              f"{f' ({said})' if said else ''}; seed {SEED}, {time.monotonic() - begun:.0f} s",
              flush=True)
        self.assertEqual(failures, [])
        return tally


def main():
    unittest.main(verbosity=0)
