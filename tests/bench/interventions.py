#!/usr/bin/env python3
"""What interventions cost in LeNet-5's step: noise on the weights of every batch over none.

usage: ./dev bench interventions [ROUNDS]     (3 by default; the machine should have nothing else to do)
"""
import sys
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
epochs = 3
[[metrics]]
kind = "loss"
every = "never"
[[metrics]]
kind = "accuracy"
every = "never"
[[metrics]]
kind = "loss"
on = "train"
every = "never"
[[metrics]]
kind = "accuracy"
on = "train"
every = "end"
"""
# Run as the variation of a condition, not beside a control: one trial a command.
NOISE = """
[[interventions]]
kind = "weight-noise"
epsilon = 0.1
"""


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(measure.fresh_store())
    files = {}
    for name, more in (("without", ""), ("weight-noise", NOISE)):
        files[name] = folder / f"{name}.toml"
        files[name].write_text(f'name = "{name}"\n' + LENET + more)

    def command(name):
        return lambda: [measure.PERTURB, "run", str(files[name]), "-j", "1", "--quiet",
                        "--store", measure.fresh_store()]

    seconds = measure.in_turn({name: command(name) for name in files}, rounds)
    measure.report(seconds)
    # The second also trains a control.
    noise = measure.statistics.median(b / a - 1 for a, b in zip(seconds["without"], seconds["weight-noise"]))
    print(f"a step with noise over one without: {noise:.3f}")


main()
