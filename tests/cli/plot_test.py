#!/usr/bin/env python3
"""`perturb plot` without anything trained: what is drawn, where it is written, and what is said of what cannot be.
What plots show is tests/report/plots_test.cpp's business."""
import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERTURB = os.environ.get("PERTURB", str(ROOT / "build" / "perturb"))

BASE = """
name = "plots"
[model]
kind = "mlp"
[data]
kind = "iris"
[train]
epochs = 2
[[variations]]
seeds.init = [0, 1]
[[interventions]]
kind = "perturb-weights"
epsilon = [0.1, 1.0]
when = "init"
"""


# What some examples of the page measure needs another task.
FIT = """
[task]
kind = "fit-discrete"
[model]
kind = "binomial"
[data]
kind = "histogram"
"""
FLOW = """
[task]
kind = "flow-matching"
[model]
kind = "flow"
[data]
kind = "gaussian-blobs"
"""
GENERATOR = """
[task]
kind = "wgan"
[model]
kind = "generator"
[data]
kind = "four-gaussians"
"""


class Plot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def perturb(self, *arguments, text=BASE, code=0):
        file = self.folder / "plots.toml"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([PERTURB, "plot", str(file), *arguments], capture_output=True, text=True, timeout=120,
                              cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_an_empty_store_is_said_and_nothing_is_written(self):
        done = self.perturb("--out", "drawn")
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(re.findall("Nothing to draw", done.stderr)), 6)  # curves, contrasts, doses of two
        self.assertEqual(list((self.folder / "drawn").iterdir()), [])

    def test_json_says_why_and_has_the_query(self):
        answer = json.loads(self.perturb("--json").stdout)
        self.assertEqual([one["kind"] for one in answer], ["curves", "contrasts", "dose-response"] * 2)
        for one in answer:
            self.assertEqual(one["files"], [])
            self.assertIn("Left out" if one["kind"] != "curves" else "In no mean", one["caption"])
            self.assertTrue(one["query"].startswith("SELECT "))

    def test_the_plots_of_the_file_come_before_the_usual_ones(self):
        text = BASE + '[[plots]]\nkind = "histogram"\nmetric = "test.loss"\n'
        answer = json.loads(self.perturb("--json", text=text).stdout)
        self.assertEqual([one["kind"] for one in answer], ["histogram"])

    def test_one_that_is_asked_for_comes_before_those_of_the_file(self):
        text = BASE + '[[plots]]\nkind = "histogram"\nmetric = "test.loss"\n'
        answer = json.loads(self.perturb("--json", "--kind", "scatter", "--set", "x=test.loss", "--set",
                                         "y=train.loss", text=text).stdout)
        self.assertEqual([one["kind"] for one in answer], ["scatter"])

    def test_what_is_wrong_is_shown_where_it_stands(self):
        done = self.perturb("--kind", "curves", "--metric", "test.los", code=2)
        self.assertIn('did you mean "test.loss"?', done.stderr)
        self.assertIn("metric=test.los", done.stderr)
        done = self.perturb("--kind", "heatmap", "--metric", "test.loss", "--set", "x=seeds.init", "--set",
                            "y=optimizer.lr", code=2)
        self.assertIn('"optimizer.lr" does not vary', done.stderr)
        done = self.perturb("--metric", "test.loss", code=2)
        self.assertIn("--kind", done.stderr)

    def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(self):
        (self.folder / "taken").write_text("", encoding="utf-8")
        self.assertIn("--out", self.perturb("--out", "taken/drawn", code=5).stderr)

    def test_every_example_of_the_page_is_valid(self):
        page = (ROOT / "docs" / "plots.md").read_text(encoding="utf-8")
        examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
        kinds = {plot["kind"] for example in examples for plot in tomllib.loads(example)["plots"]}
        self.assertEqual(kinds, set(re.findall(r"(?m)^## (.*)$", page)))
        text = BASE.replace('"mlp"', '"lenet5"').replace('"iris"', '"fashion-mnist"') + (
            "[[variations]]\noptimizer.momentum = [0.0, 0.9]\n[[metrics]]\nkind = \"weight-norm\"\n")
        others = {"loss-at": FIT, "point": GENERATOR, "traffic": GENERATOR, "network-accuracy": FLOW}
        for example in examples:
            metrics = [metric["kind"] for metric in tomllib.loads(example).get("metrics", [])]
            other = next((others[kind] for kind in metrics if kind in others), None)
            if other is None:
                text += example
            else:
                self.perturb("--json", text=other + example)
        self.perturb("--json", text=text)


if __name__ == "__main__":
    unittest.main()
