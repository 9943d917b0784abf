"""Tasks without classes, through the program: fits of distributions, and generators that one experiment pretrains and
another moves. The experiments are those of experiments/, made small."""

import sqlite3
import unittest

from cli_test import ROOT, ProgramTest, needs_training

EXPERIMENTS = ROOT / "experiments"

GENERATOR = """
[task]
kind = "TASK"
critic_width = 16
critic_layers = 1
[model]
kind = "generator"
width = 16
layers = 1
[data]
kind = "four-gaussians"
examples = 256
test_examples = 64
"""

PRETRAIN = 'name = "pretrain"\n' + GENERATOR.replace("TASK", "wgan") + """
[optimizer]
kind = "adam"
[train]
epochs = 2
[[variations]]
seeds.init = [0, 1]
[[metrics]]
kind = "critic-steepness"
samples = 64
"""

MOVE = 'name = "move"\n' + GENERATOR.replace("TASK", "transport").replace(
    "layers = 1\n[data]", 'layers = 1\nfrom = { experiment = "pretrain.toml" }\n[data]') + """
shift = [1.8, 1.8]
batch_size = 64
[optimizer]
kind = "guarded"
[train]
epochs = 2
[[variations]]
seeds.init = [0, 1]
[[interventions]]
set.task.congestion = true
[[metrics]]
kind = "wasserstein"
samples = 64
every = [0, 8]
[[metrics]]
kind = "critic-steepness"
samples = 64
every = [0, 8]
[[metrics]]
kind = "point"
of = ["model", "init", "test"]
index = [0, 1, 2]
coordinate = [0, 1]
every = "end"
[[metrics]]
kind = "traffic"
x = [0, 1]
y = [0, 1]
component = ["across", "up"]
samples = 64
every = "end"
[[plots]]
kind = "distributions"
[[plots]]
kind = "field"
"""


class Declared(ProgramTest):
    def test_the_experiments_are_right(self):
        for file in sorted([*EXPERIMENTS.glob("wasserstein/*.toml"), *EXPERIMENTS.glob("transport/*.toml")]):
            with self.subTest(file.name):
                self.perturb("check", file)

    def test_what_a_task_does_not_have_is_said_with_its_place(self):
        file = self.file(PRETRAIN + '[[metrics]]\nkind = "agreement"\n')
        said = self.perturb("check", file, code=2)
        self.assertIn('metric "agreement" has no place in task "wgan": it needs predictions of classes',
                      said.stdout + said.stderr)


@needs_training
class Trained(ProgramTest):
    def results(self, experiment, store=None):
        path = (store or self.folder / ".perturb") / "results.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT number, step, metric, value FROM results WHERE experiment = ? "
                              "ORDER BY 1, 2, 3", (experiment,)).fetchall()

    def test_a_fit_runs_and_is_shown_drawn_and_reported(self):
        file = self.file((EXPERIMENTS / "wasserstein" / "worms.toml").read_text(encoding="utf-8"))
        run = self.perturb("run", file, "train.epochs=60")
        self.assertIn("test.loss at the end of the run", run.stdout)
        self.assertFalse([row for row in self.results("worms") if "accuracy" in row[2]])
        profile = {row[2]: row[3] for row in self.results("worms") if row[0] == 0 and ".loss_at." in row[2]}
        self.assertEqual(len(profile), 100)
        self.assertLess(min(profile.values()), 0.175)
        figures = self.folder / "figures"
        self.perturb("plot", file, "train.epochs=60", "--out", figures)
        self.assertIn("loss-at over value",
                      "".join(path.read_text(encoding="utf-8") for path in figures.glob("*profile*.json")))
        self.perturb("report", file, "train.epochs=60")
        self.assertIn("all the same bits",
                      self.perturb("audit", file, "train.epochs=60", "--sample", "2").stdout)

    def test_a_generator_goes_on_with_its_critic_and_leaves_the_same_bits_however_it_ran(self):
        self.file(PRETRAIN, "pretrain.toml")
        move = self.file(MOVE, "move.toml")
        self.perturb("run", move)
        results = self.results("move")
        # The generator and its critic begin as they ended there.
        ended = [row[3] for row in self.results("pretrain")
                 if row[1] == 8 and row[2].startswith("critic.steep_share")]
        first = [row[3] for row in results if row[1] == 0 and row[2].startswith("critic.steep_share")]
        self.assertEqual(first, [ended[0], ended[0], ended[1], ended[1]])
        at = {(row[0], row[2]): row[3] for row in results}
        for number in (0, 2):  # two controls
            self.assertNotEqual(at[number, "point.model.0.0"], at[number, "point.init.0.0"])
        other = self.folder / "isolated"
        self.perturb("--store", other, "run", move, "--isolate", "-j", "2")
        self.assertEqual(self.results("move", other), results)
        figures = self.folder / "figures"
        self.perturb("plot", move, "--out", figures)
        text = "".join(path.read_text(encoding="utf-8") for path in figures.glob("*.vl.json"))
        for said in ("at step 0", "samples", "mean flow over trials"):
            self.assertIn(said, text)
        self.assertIn("all the same bits", self.perturb("audit", move, "--sample", "4").stdout)


if __name__ == "__main__":
    unittest.main()
