#!/usr/bin/env python3
"""A population of tiny networks (4-16-3 on iris, Adam, batch 16), trained as whole commands with one thread: perturb
against a plain PyTorch loop over the networks.

usage: ./dev bench population [ROUNDS [NETWORKS [EPOCHS]]]     (3 rounds, 100 networks, 100 epochs)
"""
import sys
from pathlib import Path

import measure

EXPERIMENT = """
[model]
kind = "mlp"
hidden = [16]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "adam"
lr = 0.001
[train]
epochs = {epochs}
[[variations]]
seeds.init = {{ range = [0, {networks}] }}
""" + "".join(f"""
[[metrics]]
kind = "{kind}"
on = "{part}"
every = "end"
""" for kind in ("loss", "accuracy") for part in ("train", "test"))


def main():
    measure.need("python3-torch")
    rounds, networks, epochs = (int(a) for a in [*sys.argv[1:], *("3", "100", "100")[len(sys.argv) - 1:]])
    file = Path(measure.fresh_store()) / "population.toml"
    file.write_text(EXPERIMENT.format(networks=networks, epochs=epochs))
    plain = ["/usr/bin/python3", str(Path(__file__).with_name("population_pytorch.py")), str(networks), str(epochs)]
    seconds = measure.in_turn({
        "perturb": lambda: [measure.PERTURB, "run", str(file), "-j", "1", "--quiet", "--store", measure.fresh_store()],
        "PyTorch": plain,
    }, rounds)
    measure.report(seconds)
    print(f"perturb / PyTorch {measure.ratio(seconds, 'perturb', 'PyTorch'):.3f}")


if __name__ == "__main__":
    main()
