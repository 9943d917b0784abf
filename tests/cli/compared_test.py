"""Metrics that compare with the control, against values computed here from two exported checkpoints: plain Python, real
data, nothing of perturb's own."""

import gzip
import json
import math
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

PERTURB = os.path.abspath(os.environ["PERTURB"])
TRAINS = pathlib.Path(PERTURB).with_name("libperturb_train.so").exists()
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
EXAMPLES = 60

EXPERIMENT = f"""
name = "compared"
[model]
kind = "mlp"
hidden = [12]
[data]
kind = "fashion-mnist"
train_examples = 1280
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.9
[train]
epochs = 2
[checkpoints]
keep = "all"
[[interventions]]
kind = "perturb-weights"
epsilon = [0.2, 0]
when = 5
[[metrics]]
kind = "distance"
to = "control"
[[metrics]]
kind = "cosine-similarity"
to = "control"
[[metrics]]
kind = "norm-ratio"
to = "control"
[[metrics]]
kind = "agreement"
examples = {EXAMPLES}
[[metrics]]
kind = "kl-divergence"
examples = {EXAMPLES}
[[metrics]]
kind = "cka"
layer = "act1"
examples = {EXAMPLES}
[[metrics]]
kind = "loss-barrier"
examples = {EXAMPLES}
points = 5
"""


def read_checkpoint(path):
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, one in header.items():
        if name != "__metadata__" and not name.startswith("optimizer"):
            begin, end = one["data_offsets"]
            tensors[name] = list(struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin:8 + size + end]))
    return tensors


def test_examples():
    with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as images, gzip.open(DATA / "t10k-labels-idx1-ubyte.gz") as labels:
        images.read(16)
        labels.read(8)
        return [([x / 255 for x in images.read(784)], labels.read(1)[0]) for _ in range(EXAMPLES)]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def forward(w, x):
    hidden = [max(0.0, dot(w["fc1.weight"][784 * i:784 * i + 784], x) + b) for i, b in enumerate(w["fc1.bias"])]
    scores = [dot(w["fc2.weight"][12 * i:12 * i + 12], hidden) + b for i, b in enumerate(w["fc2.bias"])]
    most = max(scores)
    log_sum = most + math.log(math.fsum(math.exp(s - most) for s in scores))
    return hidden, [s - log_sum for s in scores]


def gram(rows):
    """Centred."""
    means = [math.fsum(column) / len(rows) for column in zip(*rows)]
    centred = [[x - m for x, m in zip(row, means)] for row in rows]
    return [[dot(a, b) for b in centred] for a in centred]


def product(k, l):
    return math.fsum(dot(a, b) for a, b in zip(k, l))


@unittest.skipUnless(TRAINS, "the training half is not built")
@unittest.skipUnless(DATA.exists(), "the package dataset-fashion-mnist is not installed")
class Compared(unittest.TestCase):
    def perturb(self, *words):
        done = subprocess.run([PERTURB, *words, "--store", f"{self.folder}/store"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_values_are_those_of_the_exported_checkpoints(self):
        with tempfile.TemporaryDirectory() as self.folder:
            file = f"{self.folder}/compared.toml"
            pathlib.Path(file).write_text(EXPERIMENT)
            self.perturb("run", file, "--quiet")
            for step in (20, 40):
                self.check(file, step)
            # The untouched copy never leaves the control.
            sql = "select distinct value from results where number = 2 and metric = 'distance.control'"
            self.assertEqual(self.perturb("query", sql).split(), ["value", "0"])
            # The table has the values that belong to this control.
            shown = json.loads(self.perturb("show", file, "--metric", "distance.control", "--json"))
            sql = "select value from results where number = 1 and step = 40 and metric = 'distance.control'"
            mean = shown["rows"][1]["metrics"]["distance.control"]["value"]["mean"]
            self.assertEqual(mean, float(self.perturb("query", sql).split()[1]))
            # Trained again without the cache, control and all.
            self.assertIn("all the same bits", self.perturb("audit", file, "--sample", "2"))

    def check(self, file, step):
        networks = []
        for number in ("1", "0"):
            out = f"{self.folder}/{number}-{step}.safetensors"
            self.perturb("export", file, "--checkpoint", number, "--step", str(step), "-o", out)
            networks.append(read_checkpoint(out))
        w, c = networks
        sql = f"select metric, value from results where number = 1 and step = {step}"
        found = {row["metric"]: row["value"] for row in json.loads(self.perturb("query", sql, "--json"))}
        a = [x for name in sorted(w) for x in w[name]]
        b = [x for name in sorted(c) for x in c[name]]

        def near(label, value):
            self.assertAlmostEqual(found[label], value, delta=1e-6 * max(1, abs(value)), msg=f"{label} at step {step}")

        near("distance.control", math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b))))
        near("cosine_similarity.control", dot(a, b) / math.sqrt(dot(a, a) * dot(b, b)))
        near("norm_ratio.control", math.sqrt(dot(a, a) / dot(b, b)))

        examples = test_examples()
        mine = [forward(w, x) for x, _ in examples]
        other = [forward(c, x) for x, _ in examples]
        best = lambda logs: max(range(10), key=logs.__getitem__)
        near(f"test.agreement.control[examples={EXAMPLES}]",
             sum(best(p[1]) == best(q[1]) for p, q in zip(mine, other)) / EXAMPLES)
        near(f"test.kl.control[examples={EXAMPLES}]",
             math.fsum(math.exp(q) * (q - p) for m, o in zip(mine, other) for p, q in zip(m[1], o[1])) / EXAMPLES)
        k, l = gram([m[0] for m in mine]), gram([o[0] for o in other])
        near(f"test.cka.act1.control[examples={EXAMPLES}]", product(k, l) / math.sqrt(product(k, k) * product(l, l)))

        losses = []
        for i in range(5):
            t = i / 4
            between = {name: [(1 - t) * x + t * y for x, y in zip(w[name], c[name])] for name in w}
            losses.append(math.fsum(-forward(between, x)[1][label] for x, label in examples) / EXAMPLES)
        barrier = max(loss - losses[0] - i / 4 * (losses[4] - losses[0]) for i, loss in enumerate(losses))
        near(f"test.barrier.control[examples={EXAMPLES},points=5]", max(0, barrier))


if __name__ == "__main__":
    unittest.main()
