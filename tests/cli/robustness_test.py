#!/usr/bin/env python3
"""From an experiment about noise on the weights to tables, figures and a picture: the whole way but the training, whose values a
pretended engine makes up. Rules of the files themselves are in tests/report/robustness_test.cpp."""
import csv
import json
import math
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERTURB = os.environ.get("PERTURB", str(ROOT / "build" / "perturb"))
PRETEND = os.environ.get("PERTURB_PRETEND", str(ROOT / "build" / "tests" / "cli" / "pretend_engine.so"))
LIMIT = 120  # seconds; a bound on what hangs, not a measurement
STRENGTHS = [0, 0.01, 0.1, 0.5]

EXPERIMENT = """
name = "robust"
[model]
kind = "mlp-small"
[data]
kind = "mnist"
[train]
epochs = 1
[[variations]]
model.kind = ["mlp-small", "cnn"]
[[variations]]
zip = true
seeds.init = [0, 1, 2]
seeds.shuffle = [0, 1, 2]
[[interventions]]
kind = "weight-noise"
epsilon = 0.5
[[metrics]]
kind = "noisy-accuracy"
strength = [0, 0.01, 0.1, 0.5]
every = "end"
[[metrics]]
kind = "noisy-loss"
strength = [0, 0.01, 0.1, 0.5]
every = "end"
"""
SUMMARY = "architecture,regime,seed,dataset,alpha_train,acc_0,acc_01,drop_at_01".split(",")
SWEEP = "architecture,regime,seed,dataset,alpha_train,alpha_test,acc,loss".split(",")


def key(row, names=("architecture", "regime", "seed", "dataset", "alpha_train")):
    return tuple(row[name] if name in ("architecture", "regime", "dataset") else float(row[name]) for name in names)


class Robustness(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="perturb-robustness-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        # Iris has a few rows and is always there: what is trained on is nothing that these tests are about.
        self.text = EXPERIMENT.replace('"mnist"', '"iris"').replace('"mlp-small"', '"mlp"', 1).replace(
            'model.kind = ["mlp-small", "cnn"]', "")
        self.file = self.folder / "robust.toml"
        self.file.write_text(self.text, encoding="utf-8")
        self.out = self.folder / "out"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PERTURB_TRAIN": PRETEND}
        if "LD_LIBRARY_PATH" in os.environ:
            self.environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]

    def perturb(self, *arguments, code=0):
        done = subprocess.run([PERTURB, *map(str, arguments)], env=self.environment, timeout=LIMIT, capture_output=True,
                              text=True, encoding="utf-8", cwd=self.folder, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def export(self, *arguments, code=0):
        return self.perturb("export", self.file, *arguments, "--robustness", self.out, code=code)

    def rows(self, name):
        with open(self.out / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def files(self):
        return {name: (self.out / name).read_bytes() for name in ("summary.csv", "sweep.csv", "results.json")}

    def run_all(self, *overrides):
        self.perturb("run", self.file, *overrides, "--quiet")

    def test_the_tables_have_the_values_of_the_store(self):
        self.run_all()
        done = self.export()
        self.assertEqual(done.stderr, "")
        summary, sweep = self.rows("summary.csv"), self.rows("sweep.csv")
        self.assertEqual(list(summary[0]), SUMMARY)
        self.assertEqual(list(sweep[0]), SWEEP)
        self.assertEqual(len(summary), 6)
        self.assertEqual(len(sweep), 6 * len(STRENGTHS))
        stored = json.loads(self.perturb(
            "query", "--json", 'select "seeds.init" seed, intervention, metric, value from results '
            "where metric like '%@%'").stdout)
        values = {(row["seed"], row["intervention"] != "control", row["metric"]): row["value"] for row in stored}
        for row in sweep:
            at = (int(row["seed"]), row["regime"] == "noisy")
            # To the last bit: the shortest digits that read back.
            self.assertEqual(float(row["acc"]), values[*at, f"test.accuracy@{row['alpha_test']}"])
            self.assertEqual(float(row["loss"]), values[*at, f"test.loss@{row['alpha_test']}"])
            self.assertEqual(float(row["alpha_train"]), 0.5 if row["regime"] == "noisy" else 0)
        for row in summary:
            at = (int(row["seed"]), row["regime"] == "noisy")
            clean, noisy = (values[*at, f"test.accuracy@{x}"] for x in ("0", "0.1"))
            self.assertEqual([float(row[name]) for name in SUMMARY[5:]], [clean, noisy, clean - noisy])
        both = json.loads((self.out / "results.json").read_text(encoding="utf-8"))
        for name, table in (("summary", summary), ("sweep", sweep)):
            self.assertEqual(len(both[name]), len(table))
            for one, row in zip(both[name], table):
                self.assertEqual(list(one), list(row))
                for column, value in one.items():
                    self.assertEqual(value, row[column] if isinstance(value, str) else float(row[column]))

    def test_the_mean_drops_are_printed_and_json_has_them(self):
        self.run_all()
        text = self.export().stdout
        answer = json.loads(self.export("--json").stdout)
        self.assertEqual(answer["networks"], 6)
        self.assertEqual(answer["left_out"], [])
        for regime, drop in zip(("clean", "noisy"), answer["drops"]):
            values = [float(row["drop_at_01"]) for row in self.rows("summary.csv") if row["regime"] == regime]
            mean = math.fsum(values) / 3
            sd = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / 2)
            self.assertEqual((drop["architecture"], drop["regime"], drop["drop_at_01"]["n"]), ("mlp", regime, 3))
            self.assertAlmostEqual(drop["drop_at_01"]["mean"], mean, places=12)
            self.assertAlmostEqual(drop["drop_at_01"]["sd"], sd, places=12)
            self.assertRegex(text, rf"mlp +{regime} +iris .* {mean:.4f} ± {sd:.4f}")
        clean, noisy = (drop["drop_at_01"]["mean"] for drop in answer["drops"])
        passes = noisy <= clean + 0.02
        self.assertEqual([drop["passes"] for drop in answer["drops"]], [None, passes])
        self.assertRegex(text, r"noisy .* pass\n" if passes else r"noisy .* fail\n")

    def test_merging_twice_is_merging_once(self):
        self.run_all()
        self.export()
        once = self.files()
        self.export()
        self.assertEqual(self.files(), once)
        self.assertEqual({path.name for path in self.out.iterdir()}, {*once, ".lock"})

    def test_parts_add_up_whatever_their_order_and_rows_of_others_stay(self):
        self.run_all()
        self.export()
        whole = {key(row): row for row in self.rows("summary.csv")}
        shutil.rmtree(self.out)
        for seeds in ("2", "0", "1", "0"):
            self.export(f"seeds.init={seeds}", f"seeds.shuffle={seeds}")
        parts = self.rows("summary.csv")
        self.assertEqual([row["seed"] for row in parts], ["2", "2", "0", "0", "1", "1"])
        self.assertEqual({key(row): row for row in parts}, whole)

    def test_zeros_are_one_key_however_they_are_written(self):
        self.run_all()
        self.export()
        once = self.files()
        lines = (self.out / "summary.csv").read_text(encoding="utf-8").splitlines()
        strange = [line.replace("clean,0,iris,0,", "clean,0.0,iris,0.00,") for line in lines]
        self.assertNotEqual(strange, lines)
        (self.out / "summary.csv").write_text("\r\n".join([*strange, strange[1]]) + "\r\n", encoding="utf-8")
        self.export()
        self.assertEqual(self.files(), once)

    def test_what_cannot_be_merged_is_refused_and_nothing_is_lost(self):
        self.run_all()
        self.export()
        whole = self.files()
        for name, bad in (("summary.csv", b"another,table\n1,2\n"), ("sweep.csv", b"\x7fELF\0\xff\xfe"),
                          ("results.json", b"[" * 100000), ("sweep.csv", b""),
                          ("summary.csv", whole["summary.csv"] + b"mlp,clean,x,iris,0,1,1,0\n")):
            with self.subTest(name, bad=bad[:20]):
                (self.out / name).write_bytes(bad)
                before = self.files()
                self.assertIn(f"{name}", self.export(code=2).stderr)
                self.assertEqual(self.files(), before)
                (self.out / name).write_bytes(whole[name])
        (self.out / "sweep.csv").unlink()
        (self.out / "sweep.csv").mkdir()
        self.assertIn("is there already, and is no file", self.export(code=2).stderr)
        self.assertEqual((self.out / "summary.csv").read_bytes(), whole["summary.csv"])
        (self.out / "sweep.csv").rmdir()
        with open(self.out / "sweep.csv", "wb") as huge:
            huge.truncate(1 << 40)  # a hole, which takes no room
        self.assertIn("larger than", self.export(code=2).stderr)
        (self.out / "sweep.csv").unlink()
        self.export()
        self.assertEqual(self.files(), whole)
        shutil.rmtree(self.out)
        self.out.write_text("a file\n", encoding="utf-8")
        self.assertIn("cannot make the folder", self.export(code=5).stderr)

    def test_trials_without_scores_are_named(self):
        self.assertIn("to run: 0, 1, 2, 3, 4 and 5", self.export(code=2).stderr)
        self.assertFalse(self.out.exists())
        self.run_all("seeds.init=1", "seeds.shuffle=1")
        done = self.export()
        self.assertIn("note: 4 trials left out, to run: 0, 1, 4 and 5", done.stderr)
        self.assertEqual(len(self.rows("summary.csv")), 2)

    def test_what_is_neither_regime_is_named(self):
        self.file.write_text(self.text + '[[interventions]]\nset.optimizer.lr = 0.5\n', encoding="utf-8")
        self.run_all()
        done = self.export()
        self.assertRegex(done.stderr, r"note: 3 trials left out, optimizer\.lr=0\.5: neither a control nor weight-noise")
        self.assertEqual(len(self.rows("summary.csv")), 6)

    def test_a_factor_without_a_column_is_an_error_that_names_it(self):
        for override in ("optimizer.lr=0.1,0.2", "data.batch_size=16,32"):
            done = self.export(override, code=2)
            self.assertIn(f'"{override.split("=")[0]}" varies', done.stderr)
            self.assertIn("choose one of its levels", done.stderr)
        done = self.export("seeds.noise=0,1", code=2)
        self.assertIn('"seeds.noise" varies', done.stderr)
        self.assertFalse(self.out.exists())

    def test_losses_that_are_not_measured_are_empty_and_said(self):
        self.file.write_text(self.text[:self.text.rindex("[[metrics]]")], encoding="utf-8")
        self.run_all()
        self.assertIn("6 networks without every loss", self.export().stderr)
        self.assertEqual({row["loss"] for row in self.rows("sweep.csv")}, {""})
        self.assertIsNone(json.loads((self.out / "results.json").read_text(encoding="utf-8"))["sweep"][0]["loss"])
        once = self.files()
        self.export()
        self.assertEqual(self.files(), once)

    def test_options_that_say_something_else_are_refused(self):
        for other in (["--table", "results"], ["--format", "csv"], ["-o", "x"], ["--force"]):
            self.assertIn("excludes", self.export(*other, code=2).stderr)
        self.assertIn("an experiment file is missing", self.perturb("export", "--robustness", "out", code=2).stderr)

    def test_curves_are_summed_up_beside_their_control(self):
        self.run_all()
        shown = json.loads(self.perturb("show", self.file, "--json", "--metric",
                                        "noise_auc(test.accuracy),noise_half(test.accuracy,-1)").stdout)
        self.export()
        sweep = self.rows("sweep.csv")
        for row, regime in zip(shown["rows"], ("clean", "noisy")):
            areas = []
            for seed in "012":
                curve = [(float(one["alpha_test"]), float(one["acc"])) for one in sweep
                         if one["regime"] == regime and one["seed"] == seed]
                areas.append(sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(curve, curve[1:])) / 0.5)
            area = row["metrics"]["noise_auc(test.accuracy)"]
            self.assertAlmostEqual(area["value"]["mean"], math.fsum(areas) / 3, places=12)
            half = row["metrics"]["noise_half(test.accuracy,-1)"]
            self.assertEqual(half["never"] + half["value"]["n"], 3)
        self.assertEqual(shown["rows"][1]["metrics"]["noise_auc(test.accuracy)"]["pairs"], 3)

    def test_pictures_of_what_is_measured_under_noise_are_drawn_unasked(self):
        self.run_all()
        answer = json.loads(self.perturb("plot", self.file, "--json", "--out", "drawn").stdout)
        drawn = [one for one in answer if one["kind"] == "robustness"]
        self.assertEqual([one["title"] for one in drawn],
                         [f"test.{score} under noise on the weights, at the end of the run" for score in ("accuracy", "loss")])
        for one in drawn:
            self.assertTrue(one["files"])
            self.assertIn("n = 3", one["caption"])

    def test_the_experiments_of_the_recipe_take_a_part_by_overrides(self):
        for name, trials in (("mnist", 30), ("fashion_mnist", 30), ("cifar10", 30), ("sanity", 2)):
            with self.subTest(name):
                file = ROOT / "experiments" / "robustness" / f"{name}.toml"
                plan = json.loads(self.perturb("plan", file, "--json", "--store", self.folder / "none").stdout)
                self.assertEqual((plan["trials"], plan["controls"]), (trials, trials // 2))
        part = json.loads(self.perturb("plan", ROOT / "experiments" / "robustness" / "mnist.toml",
                                       "model.kind=mlp-small,cnn", "train.epochs=1", "--json", "--store",
                                       self.folder / "none").stdout)
        self.assertEqual(part["trials"], 12)


if __name__ == "__main__":
    unittest.main()
