#!/usr/bin/env python3
"""Throughput of the pool: four LeNet-5 trials of one epoch with -j 2 against -j 1. Start-up and reading the data, which
both do once, are in the figures.

usage: ./dev bench pool [ROUNDS]     (3 by default; needs two idle cores)
"""
import sys
from pathlib import Path

import measure

EXPERIMENT = """
[model]
kind = "lenet5"
[data]
kind = "fashion-mnist"
[optimizer]
kind = "sgd"
lr = 0.05
[train]
epochs = 1
[[variations]]
seeds.init = { range = [0, 4] }
"""


def main():
    measure.need("dataset-fashion-mnist")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    file = Path(measure.fresh_store()) / "pool.toml"
    file.write_text(EXPERIMENT)

    def run(jobs):
        return lambda: [measure.PERTURB, "run", str(file), "-j", jobs, "--quiet", "--store", measure.fresh_store()]

    seconds = measure.in_turn({"-j 1": run("1"), "-j 2": run("2")}, rounds)
    measure.report(seconds)
    print(f"throughput of -j 2 / -j 1: {measure.ratio(seconds, '-j 1', '-j 2'):.2f}")


main()
