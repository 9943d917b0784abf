#!/usr/bin/env python3
"""One epoch of the MLP 2352-256-128-10, without and with noise on its weights, and its scores under noise of seven
strengths, five draws each, as whole commands with one thread: perturb against a plain PyTorch script, and against one
that keeps all images in memory.

usage: ./dev bench robustness [ROUNDS [MNIST]]     (3 rounds; on Fashion-MNIST, or on the IDX files in the folder MNIST)
"""
import sys
from pathlib import Path

import measure

EXPERIMENT = """
[model]
kind = "mlp-small"
[data]
kind = "{kind}"
channels = 3
batch_size = 128
[optimizer]
kind = "adam"
lr = 0.001
[train]
epochs = 1
{noise}
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
every = "end"
[[metrics]]
kind = "noisy-loss"
strength = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
every = "end"
[[metrics]]
kind = "loss"
on = "train"
every = "never"
[[metrics]]
kind = "accuracy"
on = "train"
every = "never"
"""
NOISE = """
[[interventions]]
kind = "weight-noise"
epsilon = 0.5
"""


def main():
    measure.need("python3-torch", "python3-torchvision", "dataset-fashion-mnist")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    mnist = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    folder = Path(measure.fresh_store())
    for name, noise in (("clean", ""), ("both", NOISE)):
        (folder / f"{name}.toml").write_text(EXPERIMENT.format(kind="mnist" if mnist else "fashion-mnist", noise=noise))
    data = ["--data", str(mnist.parent)] if mnist else []

    def perturb(name):
        return lambda: [measure.PERTURB, *data, "run", str(folder / f"{name}.toml"), "-j", "1", "--quiet",
                        "--store", measure.fresh_store()]

    script = ["/usr/bin/python3", str(Path(__file__).with_name("weight_noise_pytorch.py")), *([str(mnist)] if mnist else [])]
    seconds = measure.in_turn({
        "perturb, clean": perturb("clean"),
        "PyTorch, clean": script,
        "PyTorch in memory, clean": [*script, "--in-memory"],
        "perturb, clean and noisy": perturb("both"),
        "PyTorch, noisy": [*script, "--strength", "0.5"],
    }, rounds)
    measure.report(seconds)
    seconds["perturb, noisy"] = [both - clean for both, clean in zip(seconds["perturb, clean and noisy"], seconds["perturb, clean"])]
    for a, b in (("perturb, clean", "PyTorch, clean"), ("perturb, clean", "PyTorch in memory, clean"), ("perturb, noisy", "PyTorch, noisy")):
        print(f"{a} / {b}: {measure.ratio(seconds, a, b):.2f}")


main()
