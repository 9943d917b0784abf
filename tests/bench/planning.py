#!/usr/bin/env python3
"""100,000 trials: planning them without a store, running them (each takes no step), running them again when all are
cached; with the peak memory of planning.

usage: ./dev bench planning
"""
import json
from pathlib import Path

import measure

EXPERIMENT = """
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "gaussian-blobs"
examples = 64
test_examples = 16
[train]
epochs = 0
[[variations]]
seeds.init = { range = [0, 1000] }
optimizer.lr = { linspace = [0.001, 0.1, 100] }
"""


def main():
    folder = Path(measure.fresh_store())
    file = folder / "grid.toml"
    file.write_text(EXPERIMENT)
    store = ["--store", str(folder / "store")]

    seconds, peak, out = measure.run([measure.PERTURB, "plan", str(file), "--json", *store])
    assert json.loads(out)["trials"] == 100_000
    print(f"planning 100,000 trials:          {seconds:7.2f} s   {peak:.0f} MiB")
    seconds, _, _ = measure.run([measure.PERTURB, "run", str(file), "--quiet", *store])
    print(f"running them, no step each:       {seconds:7.2f} s   {100_000 / seconds:.0f} trials a second")
    seconds, _, out = measure.run([measure.PERTURB, "run", str(file), "--quiet", *store])
    print(f"running again, all of it cached:  {seconds:7.2f} s")
    seconds, _, out = measure.run([measure.PERTURB, "plan", str(file), "--json", *store])
    assert json.loads(out)["new"] == 0
    print(f"planning against the full store:  {seconds:7.2f} s")


main()
