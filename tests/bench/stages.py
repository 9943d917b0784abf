#!/usr/bin/env python3
"""What checkpoints, a large store and readers beside a run cost, as whole commands.

usage: ./dev bench stages [ROUNDS]     (3 by default; the machine should have nothing else to do)
"""
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import measure

LENET = """
[model]
kind = "lenet5"
[data]
kind = "fashion-mnist"
batch_size = 64
train_examples = 12800
[optimizer]
kind = "sgd"
lr = 0.05
[train]
epochs = 4
[checkpoints]
every = "{every}"
"""
NO_STEPS = """
name = "zero"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
[optimizer]
kind = "sgd"
[train]
epochs = 0
[[variations]]
seeds.init = { range = [0, 10000] }
"""
SMALL = NO_STEPS.replace("10000", "20").replace('"zero"', '"small"')


def run(file, store=None):
    return [measure.PERTURB, "run", str(file), "-j", "1", "--quiet", "--store", str(store or measure.fresh_store())]


def fill(database, trials=1000, states=500):
    """Another experiment's results, 4 metrics a state."""
    db = sqlite3.connect(database)
    metrics = [row[0] for row in db.execute("select id from metrics limit 4")]
    with db:
        db.execute("insert into experiments (id, name, description, source, digest, members) "
                   "values (1000, 'large', '', '', zeroblob(32), ?)", (trials,))
        db.execute("insert into conditions (id, json) values (1000000, '{}')")
        for metric in metrics:
            db.execute("insert into experiment_metrics (experiment, name, metric) select 1000, name, id from metrics where id = ?", (metric,))
        for trial in range(trials):
            number = 1000000 + trial
            db.execute("insert into all_trials (id, digest, condition, operations, outcome, step, done) "
                       "values (?, randomblob(32), 1000000, '[]', 'done', ?, ?)", (number, states, states))
            db.execute("insert into members (id, experiment, number, control, variation, intervention, trial, steps) "
                       "values (?, 1000, ?, ?, ?, 'control', ?, ?)", (number, trial, trial, trial, number, states))
            db.execute("insert into factors (member) values (?)", (number,))
            first = 1000000 + trial * states
            db.executemany("insert into states (id, digest) values (?, randomblob(32))",
                           [(first + step,) for step in range(states)])
            db.executemany("insert into trial_states values (?, ?, ?, ?)",
                           [(number, step, float(step), first + step) for step in range(states)])
            db.executemany("insert into measurements values (?, ?, 0.5)",
                           [(first + step, metric) for step in range(states) for metric in metrics])
    count = db.execute("select count(*) from measurements").fetchone()[0]
    db.close()
    return count


def best(command, rounds):
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    return min(seconds), max(seconds)


class Reader:
    """Reads a store all the time, ten times a second, as a notebook that refreshes itself does."""

    def __init__(self, store):
        self.store = Path(store)
        self.reads = 0
        self.over = False
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.over:
            time.sleep(0.1)
            if not (self.store / "results.db").exists():
                continue
            db = sqlite3.connect(f"file:{self.store}/results.db?mode=ro", uri=True)
            db.execute("select intervention, metric, avg(value) from results group by 1, 2").fetchall()
            db.close()
            self.reads += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def main():
    measure.need("dataset-fashion-mnist")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(measure.fresh_store())
    for every in ("epoch", "never"):
        (folder / f"{every}.toml").write_text(LENET.format(every=every))
    (folder / "zero.toml").write_text(NO_STEPS)
    (folder / "small.toml").write_text(SMALL)

    # Epochs of 200 steps: the checkpoint of a whole one of 938 weighs a fifth of this.
    seconds = measure.in_turn({
        "a checkpoint every epoch": lambda: run(folder / "epoch.toml"),
        "no checkpoints": lambda: run(folder / "never.toml"),
    }, rounds)
    measure.report(seconds)
    print(f"with / without checkpoints: {measure.ratio(seconds, 'a checkpoint every epoch', 'no checkpoints'):.3f}")

    alone, read = [], []
    for _ in range(rounds):
        for times, reading in ((alone, False), (read, True)):
            store = measure.fresh_store()
            begin = time.perf_counter()
            if reading:
                with Reader(store) as reader:
                    subprocess.run(run(folder / "epoch.toml", store), check=True, stdout=subprocess.DEVNULL)
                assert reader.reads > 0
            else:
                subprocess.run(run(folder / "epoch.toml", store), check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
    print(f"with / without a reader: {sorted(read)[rounds // 2] / sorted(alone)[rounds // 2]:.3f}")

    least, most = best(run(folder / "zero.toml", measure.fresh_store()), 1)
    print(f"10,000 trials of no step: {10000 / most:,.0f} a second")

    store = measure.fresh_store()
    subprocess.run(run(folder / "small.toml", store), check=True, stdout=subprocess.DEVNULL)
    count = fill(Path(store) / "results.db")
    least, most = best([measure.PERTURB, "show", str(folder / "small.toml"), "--store", store], 5)
    print(f"show of one experiment beside {count:,} measurements: {1000 * least:.0f} to {1000 * most:.0f} ms")


main()
