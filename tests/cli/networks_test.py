"""Data that are the trained networks of another experiment: `[data] kind = "weights"`, through the program.

What decides is tested with a training half that only pretends; that the networks are read, with the
real one.
"""

import json
import os
import re
import sqlite3
import unittest

from cli_test import PretendingTest, ProgramTest, needs_training
from page_reader import Reader

DONE, FAILED, USAGE = 0, 1, 2
STEPS = 2 * -(-120 // 16)  # iris trains on 120 of its 150 rows

POPULATION = """
name = "population"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 2
[checkpoints]
keep = "needed"
[[variations]]
seeds.sample = [0, 1, 2, 3, 4]
seeds.init = [0, 1]
"""

LEARNER = """
name = "learner"
[model]
kind = "mlp"
hidden = [8]
[data]
kind = "weights"
experiment = "population.toml"
select = { seeds.init = 1 }
held_out = 0.2
batch_size = 2
[optimizer]
kind = "sgd"
lr = 0.01
[train]
epochs = 3
"""


FLOW = """
name = "flow"
[task]
kind = "flow-matching"
[model]
kind = "flow"
hidden_width = 8
[data]
kind = "weights"
experiment = "population.toml"
select = { seeds.init = 1 }
held_out = 0.2
components = 3
batch_size = 2
[optimizer]
kind = "adamw"
[train]
epochs = 5
"""

BEGUN = """
name = "begun"
[model]
kind = "mlp"
hidden = [4]
from = { experiment = "flow.toml", generated = true }
[data]
kind = "iris"
split_seed = 1
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.01
[train]
epochs = 1
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
set.model.from = ""
[[metrics]]
kind = "loss"
on = "train"
every = [0, 5]
[[metrics]]
kind = "agreement"
to = "control"
every = "end"
"""


class NetworksTest(PretendingTest):
    def setUp(self):
        super().setUp()
        self.population = self.file(POPULATION, "population.toml")
        self.learner = self.file(LEARNER, "learner.toml")
        self.generator = self.file(FLOW, "flow.toml")
        self.begun = self.file(BEGUN, "begun.toml")


class Planned(NetworksTest):
    def test_the_plan_counts_before_anything_was_trained(self):
        plan = self.json("plan", self.learner)
        self.assertEqual(plan["steps_to_run"], 3 * 2)  # 4 of 5 networks, 2 a batch
        self.assertEqual(plan["first"], [{"experiment": "population", "trials": 5, "cached": 0,
                                          "to_train": 5, "steps_to_run": 5 * STEPS,
                                          "seconds": None}])
        self.assertIn(f"one of its examples is step {STEPS} of trial 1 (seeds.sample=0 seeds.init=1) "
                      "of \"population\", which has not been trained that far",
                      self.perturb("why", self.learner).stdout)

    def test_it_runs_alone_and_once(self):
        self.perturb("run", self.learner, "-j", "1")
        self.assertEqual(self.outcomes("learner"), [(0, "done", 6)])
        self.assertEqual([outcome for _, outcome, _ in self.outcomes("population")], [None, "done"] * 5)
        self.assertEqual(self.ask("SELECT count(*) FROM needed_states JOIN checkpoints USING (state)"),
                         [(5,)])
        self.assertIn("nothing to train", self.perturb("run", self.learner).stderr)
        self.perturb("run", self.population)
        self.perturb("gc", "--apply")
        self.assertEqual(self.json("plan", self.learner)["cached"], 1)
        self.assertEqual(self.ask("SELECT count(*) FROM needed_states JOIN checkpoints USING (state)"),
                         [(5,)])

    def test_a_change_there_is_a_change_here(self):
        self.perturb("run", self.learner)
        self.file(POPULATION.replace("lr = 0.1", "lr = 0.2"), "population.toml")
        plan = self.json("plan", self.learner)
        self.assertEqual((plan["new"], plan["first"][0]["to_train"]), (1, 5))
        self.assertIn("content of the data", self.perturb("why", self.learner).stdout)
        self.file(POPULATION.replace('"population"', '"other"'), "population.toml")
        self.assertEqual(self.json("plan", self.learner)["cached"], 1)

    def test_a_network_that_is_gone_is_trained_again(self):
        self.perturb("run", self.learner)
        (blob,) = self.ask("SELECT blob FROM needed_states JOIN checkpoints USING (state) LIMIT 1")[0]
        path = self.folder / ".perturb" / "blobs" / blob.hex()[:2] / blob.hex()
        path.chmod(0o600)
        path.write_bytes(b"damaged")
        said = self.perturb("run", self.learner, "optimizer.lr=0.02").stderr
        self.assertIn("could not be read", said)
        self.assertIn("first population", said)
        self.assertEqual(self.outcomes("learner"), [(0, "done", 6)])

    def test_what_cannot_be_split_is_said(self):
        wrong = self.perturb("run", self.learner, "data.held_out=0.01", code=USAGE).stderr
        self.assertIn("held_out 0.01 of 5 networks leaves none to test on", wrong)


class Begun(NetworksTest):
    """Trials that begin with networks which another experiment generates."""

    def test_what_generates_and_what_that_learnt_from_come_first(self):
        plan = self.json("plan", self.begun)
        self.assertEqual([(one["experiment"], one["to_train"]) for one in plan["first"]],
                         [("population", 5), ("flow", 1)])
        self.perturb("run", self.begun, "-j", "1")
        self.assertEqual([outcome for _, outcome, _ in self.outcomes("begun")], ["done"] * 6)
        self.assertIn("nothing to train", self.perturb("run", self.begun).stderr)
        # The flow, and what it learnt from: held by it and by whoever begins with what it generates.
        self.assertEqual(self.ask("SELECT count(DISTINCT state) FROM needed_states"), [(6,)])
        self.perturb("gc", "--apply")
        self.assertEqual(self.json("plan", self.begun)["cached"], 6)

    def test_a_network_that_it_learnt_from_and_is_gone_is_trained_again(self):
        self.perturb("run", self.generator)
        (blob,) = self.ask("SELECT blob FROM needed_states JOIN checkpoints USING (state) LIMIT 1")[0]
        (self.folder / ".perturb" / "blobs" / blob.hex()[:2] / blob.hex()).unlink()
        self.perturb("run", self.begun)
        self.assertEqual([outcome for _, outcome, _ in self.outcomes("begun")], ["done"] * 6)


class Shrunk(NetworksTest):
    """Who pretends measures values under 0.3 at the end, of whatever it is."""

    def flow(self, of):
        text = LEARNER.replace('kind = "mlp"\nhidden = [8]', 'kind = "flow"')
        text = text.replace("[model]", '[task]\nkind = "flow-matching"\n[model]')
        return self.file(text + f'[[metrics]]\nkind = "rms-ratio"\nof = "{of}"\n', "flow.toml")

    def test_a_flow_that_collapsed_is_called_out_wherever_results_are(self):
        flow = self.flow("generated")
        sentence = (r"generated networks have shrunk toward their mean: generated\.rms_ratio 0\.[0-7]\d, "
                    r"under 0\.8\n")
        said = "warning: " + sentence
        self.assertRegex(self.perturb("run", flow).stderr, said)
        for words in (("show", flow), ("show", flow, "--seeds"), ("show", flow, "--csv")):
            shown = self.perturb(*words)
            self.assertRegex(shown.stderr, said)
            self.assertNotIn("shrunk", shown.stdout)  # which is data
        self.assertTrue(self.json("show", flow)["rows"])
        page = self.folder / "page.html"
        self.perturb("report", flow, "-o", page)
        page = Reader(page.read_text(encoding="utf-8"))
        page.check_safe(self)
        self.assertRegex(page.text, sentence)
        titles, (number, metric, _, meaning) = page.rows["failures"]
        self.assertEqual((titles[0], number, metric), ("number", "0", "generated.rms_ratio"))
        self.assertEqual(meaning, "under 0.8: generated networks have shrunk toward their mean")

    def test_what_may_be_small_is_not(self):
        flow = self.flow("average")
        self.assertNotIn("shrunk", self.perturb("run", flow).stderr)
        self.perturb("report", flow, "-o", self.folder / "page.html")
        self.assertNotIn("shrunk", (self.folder / "page.html").read_text(encoding="utf-8").split(
            "The experiment file")[0])


class Failing(NetworksTest):
    def test_who_needs_a_network_that_failed_fails_by_name(self):
        texts = self.folder / "texts.json"
        texts.write_text(json.dumps([{"name": "one", "text": "the cat sat on it"}]), encoding="utf-8")
        self.environment["PERTURB_PRETEND_TEXTS"] = str(texts)
        self.perturb("run", self.learner, code=FAILED)
        ((outcome, message),) = self.ask(
            "SELECT outcome, message FROM trials WHERE experiment = 'learner'")
        self.assertEqual(outcome, "failed")
        self.assertEqual(message, f"one of its examples is step {STEPS} of trial 3 (seeds.sample=1 "
                                  "seeds.init=1) of \"population\", which ended at step 0: the cat sat "
                                  "on it")
        self.perturb("run", self.learner, "data.select={seeds.sample=[0,2,3,4]}")
        self.assertEqual(self.outcomes("learner")[0][1], "done")


@needs_training
class Trained(ProgramTest):
    """With the real training half."""

    def setUp(self):
        super().setUp()
        # Seeds that make a difference.
        self.file(POPULATION.replace("seeds.sample", "seeds.shuffle"), "population.toml")
        self.learner = self.file(LEARNER, "learner.toml")
        self.file(FLOW, "flow.toml")
        self.begun = self.file(BEGUN, "begun.toml")

    def results(self, store, experiment="learner"):
        with sqlite3.connect(f"file:{store / 'results.db'}?mode=ro", uri=True) as db:
            return db.execute("SELECT number, step, metric, value FROM results "
                              "WHERE experiment = ? ORDER BY 1, 2, 3", (experiment,)).fetchall()

    def test_it_learns_from_networks_isolated_or_not(self):
        self.perturb("run", self.learner)
        results = self.results(self.folder / ".perturb")
        self.assertTrue(results)
        self.assertIn("all the same bits", self.perturb("audit", self.learner).stdout)
        other = self.folder / "isolated"
        self.perturb("--store", other, "run", self.learner, "--isolate", "-j", "2")
        self.assertEqual(self.results(other), results)

    def test_generated_networks_are_begun_with_isolated_or_not(self):
        self.perturb("run", self.begun)
        results = self.results(self.folder / ".perturb", "begun")
        first = {number: value for number, step, metric, value in results
                 if step == 0 and metric == "train.loss"}
        self.assertEqual(len(set(first.values())), 6)  # each its own network
        self.assertIn("all the same bits", self.perturb("audit", self.begun).stdout)
        other = self.folder / "isolated"
        self.perturb("--store", other, "run", self.begun, "--isolate", "-j", "2")
        self.assertEqual(self.results(other, "begun"), results)


if __name__ == "__main__":
    unittest.main()
