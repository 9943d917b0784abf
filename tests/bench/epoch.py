#!/usr/bin/env python3
"""An epoch of LeNet-5 on Fashion-MNIST, batch 64, one thread, as whole commands: perturb against plain PyTorch with
torchvision's DataLoader. Both evaluate loss and accuracy on the test set, and in the second pair on the training set too.

usage: ./dev bench epoch [ROUNDS]     (3 by default; the machine should have nothing else to do)
"""
import sys
from pathlib import Path

import measure

EXPERIMENT = """
[model]
kind = "lenet5"
[data]
kind = "fashion-mnist"
batch_size = 64
[optimizer]
kind = "sgd"
lr = 0.05
momentum = 0.9
[train]
epochs = 1
"""
ONLY_TEST = """
[[metrics]]
kind = "loss"
on = "train"
every = "never"
[[metrics]]
kind = "accuracy"
on = "train"
every = "never"
"""


def perturb(file):
    return lambda: [measure.PERTURB, "run", str(file), "-j", "1", "--quiet", "--store", measure.fresh_store()]


def main():
    measure.need("python3-torch", "python3-torchvision", "dataset-fashion-mnist")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(measure.fresh_store())
    (folder / "test.toml").write_text(EXPERIMENT + ONLY_TEST)
    (folder / "both.toml").write_text(EXPERIMENT)
    baseline = ["/usr/bin/python3", str(Path(__file__).with_name("lenet_pytorch.py")), "--evaluate"]
    seconds = measure.in_turn({
        "perturb, test": perturb(folder / "test.toml"),
        "PyTorch, test": baseline + ["test"],
        "perturb, train and test": perturb(folder / "both.toml"),
        "PyTorch, train and test": baseline + ["both"],
    }, rounds)
    measure.report(seconds)
    print(f"perturb / PyTorch, evaluating test:           {measure.ratio(seconds, 'perturb, test', 'PyTorch, test'):.2f}")
    print("perturb / PyTorch, evaluating train and test: "
          f"{measure.ratio(seconds, 'perturb, train and test', 'PyTorch, train and test'):.2f}")


main()
