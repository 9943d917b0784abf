"""An experiment that goes on from another: `[model] from`, through the program.

What decides is tested with a training half that only pretends, and saves a few bytes for each state;
that networks really begin with what was trained, with the real one.
"""

import json
import os
import sqlite3
import subprocess
import unittest

from cli_test import LIMIT, PROGRAM, PretendingTest, ProgramTest, needs_training

DONE, FAILED, USAGE, TERMINATED = 0, 1, 2, 143
STEPS = 2 * -(-120 // 16)  # iris trains on 120 of its 150 rows

BASE = """
[model]
kind = "mlp"
hidden = [8]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 2
"""

PRETRAIN = 'name = "pretrain"\n' + BASE + """
[checkpoints]
keep = "needed"
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
set.optimizer.lr = 0.2
"""

TUNE = 'name = "tune"\n' + BASE.replace(
    'kind = "mlp"', 'kind = "mlp"\nfrom = { experiment = "pretrain.toml" }') + """
[[variations]]
seeds.init = [1, 2]
[[interventions]]
set.optimizer.lr = 0.05
[[metrics]]
kind = "distance"
to = "init"
every = [0, 5]
"""


class FromTest(PretendingTest):
    def setUp(self):
        super().setUp()
        self.pretrain = self.file(PRETRAIN, "pretrain.toml")
        self.tune = self.file(TUNE, "tune.toml")


class Planned(FromTest):
    def test_the_plan_says_what_comes_first_before_anything_was_trained(self):
        plan = self.json("plan", self.tune)
        self.assertEqual(plan["new"], 4)
        self.assertEqual(plan["first"], [{"experiment": "pretrain", "trials": 2, "cached": 0,
                                          "to_train": 2, "steps_to_run": 2 * STEPS,
                                          "seconds": None}])
        self.assertIn(f"first   2 trials of pretrain: 0 in the store, 2 to train, {2 * STEPS} steps",
                      self.perturb("plan", self.tune).stdout)
        self.assertIn(f"it begins with step {STEPS} of trial 2 (seeds.init=1) of \"pretrain\", which "
                      "has not been trained that far", self.perturb("why", self.tune).stdout)

    def test_the_estimate_has_what_comes_first(self):
        self.environment["PERTURB_PRETEND_PAUSE"] = "1"
        # Nothing like it was timed yet.
        self.assertIsNone(self.json("plan", self.tune)["seconds"])
        self.perturb("run", self.file(PRETRAIN.replace('"pretrain"', '"timed"'), "timed.toml"),
                     "optimizer.lr=0.3", "-j", "1")
        plan = self.json("plan", self.tune, "-j", "1")
        steps, first = plan["steps_to_run"], plan["first"][0]["steps_to_run"]
        alone = self.json("plan", self.file(TUNE.replace('from = { experiment = "pretrain.toml" }', ""),
                                            "alone.toml"), "-j", "1")
        # Steps of one model on one data set take the same each, so seconds are as steps are.
        self.assertAlmostEqual(plan["seconds"] / (steps + first),
                               alone["seconds"] / alone["steps_to_run"], places=9)
        self.assertAlmostEqual(plan["first"][0]["seconds"] / plan["seconds"], first / (steps + first), places=9)
        self.assertRegex(self.perturb("plan", self.tune, "-j", "1").stdout,
                         r"time    about .* with 1 worker, .* of it for what comes first\n")

    def test_status_has_a_line_for_each_that_comes_first(self):
        self.file(TUNE.replace("pretrain.toml", "tune.toml").replace('"tune"', '"last"'), "last.toml")

        def first():
            lines = self.perturb("status", "last.toml").stdout.splitlines()
            return [line for line in lines if line.startswith("  first ")]

        self.assertEqual(first(), ["  first pretrain: 2 trials: 0 in the store, 2 to train",
                                   "  first tune: 2 trials: 0 in the store, 2 to train"])
        self.perturb("run", self.tune, "seeds.init=1")
        self.assertEqual(first(), ["  first pretrain: 2 trials: 1 in the store, 1 to train",
                                   "  first tune: 2 trials: 1 in the store, 1 to train"])
        self.perturb("run", self.tune)
        self.assertEqual(first(), ["  first pretrain: 2 trials: 2 in the store, 0 to train",
                                   "  first tune: 2 trials: 2 in the store, 0 to train"])
        self.perturb("run", "last.toml")
        self.assertEqual(self.json("status", "last.toml")["first"],
                         [{"experiment": name, "trials": 2, "cached": 2, "to_train": 0, "diverged": 0}
                          for name in ("pretrain", "tune")])
        self.assertEqual(self.json("status", self.pretrain)["first"], [])

    def test_an_experiment_that_two_others_go_on_from_comes_first_once(self):
        for name in ("left", "right"):
            self.file(TUNE.replace('"tune"', f'"{name}"').replace("lr = 0.1", f"lr = 0.{len(name)}"),
                      f"{name}.toml")
        self.file(TUNE.replace('from = { experiment = "pretrain.toml" }', "") + """
[[variations]]
model.from = [{ experiment = "left.toml" }, { experiment = "right.toml" }]
""", "tune.toml")
        plan = self.json("plan", self.tune)
        self.assertEqual([(first["experiment"], first["to_train"]) for first in plan["first"]],
                         [("pretrain", 2), ("left", 2), ("right", 2)])
        self.perturb("run", self.tune)
        self.assertEqual({first["to_train"] for first in self.json("status", self.tune)["first"]}, {0})

    def test_seeds_that_begin_with_one_network_are_warned_of(self):
        self.file(PRETRAIN.replace("[[variations]]\nseeds.init = [0, 1, 2]", ""), "pretrain.toml")
        for command in ("check", "run"):
            said = self.perturb(command, self.tune).stderr
            self.assertRegex(said, r"tune\.toml:\d+:\d+: warning: the levels of seeds\.init begin with "
                                   r"one and the same network: \"pretrain\" does not vary it")
            self.assertIn("vary seeds.init there too", said)
        self.assertEqual(len(self.json("check", self.tune)["warnings"]), 1)

    def test_a_misspelt_file_is_answered_with_the_nearest(self):
        self.assertIn('did you mean "pretrain.toml"?', self.perturb("run", "pretrian.toml", code=USAGE).stderr)
        (self.folder / "deep").mkdir()
        self.file(PRETRAIN, "deep/pretrain.toml")
        self.assertIn('did you mean "deep/pretrain.toml"?', self.perturb("check", "deep/pretrain.tml", code=USAGE).stderr)
        self.file('name = "flow"\n[task]\nkind = "flow-matching"\n[model]\nkind = "mlp"\nhidden = [8]\n'
                  '[data]\nkind = "weights"\nexperiment = "pretrian.toml"\n[optimizer]\nkind = "sgd"\n'
                  'lr = 0.1\n', "flow.toml")
        said = self.perturb("check", "flow.toml", code=USAGE).stderr
        self.assertIn("flow.toml:9:", said)
        self.assertIn('did you mean "pretrain.toml"?', said)

    def test_it_runs_alone_and_once(self):
        said = self.perturb("run", self.tune, "-j", "1").stderr
        self.assertLess(said.index("first pretrain, which tune goes on from"), said.index("4 trials to train"))
        self.assertEqual(self.outcomes("tune"), [(n, "done", STEPS) for n in range(4)])
        # Of the other experiment what is needed, as its own trials.
        self.assertEqual(self.outcomes("pretrain"),
                         [(0, None, None), (1, None, None), (2, "done", STEPS), (3, None, None),
                          (4, "done", STEPS), (5, None, None)])
        again = self.perturb("run", self.tune).stderr
        self.assertIn("nothing to train", again)
        self.assertNotIn("first", again)
        self.assertEqual(self.json("plan", self.tune)["first"], [])
        self.assertEqual(self.json("plan", self.pretrain)["cached"], 2)
        self.perturb("run", self.pretrain)
        self.assertEqual(self.json("plan", self.tune)["new"], 0)

    def test_what_is_trained_already_is_taken(self):
        self.perturb("run", self.pretrain)
        # Nobody asked for the checkpoints to stay, so the tails are trained again.
        plan = self.json("plan", self.tune)
        self.assertEqual(plan["first"][0]["to_train"], 2)
        self.perturb("run", self.tune)
        self.assertEqual(self.outcomes("tune"), [(n, "done", STEPS) for n in range(4)])

    def test_no_further_than_asked(self):
        self.file(TUNE.replace('"pretrain.toml" }', '"pretrain.toml", at = 5 }'), "tune.toml")
        self.perturb("run", self.tune)
        self.assertEqual(self.outcomes("pretrain")[2], (2, "done", 5))
        self.assertEqual(self.json("plan", self.pretrain)["states"], {"longer": 2, "new": 4})

    def test_another_rate_there_makes_other_trials_here_and_names_do_not(self):
        self.perturb("run", self.tune)
        self.file(PRETRAIN.replace('"pretrain"', '"renamed"') + "# moved\n", "moved.toml")
        self.file(TUNE.replace("pretrain.toml", "moved.toml"), "tune.toml")
        self.assertEqual(self.json("plan", self.tune)["new"], 0)
        self.file(TUNE, "tune.toml")
        self.file(PRETRAIN.replace("lr = 0.1", "lr = 0.3"), "pretrain.toml")
        plan = self.json("plan", self.tune)
        self.assertEqual((plan["new"], plan["first"][0]["to_train"]), (4, 2))
        self.assertIn("model.from, the state that it begins with", self.perturb("why", self.tune).stdout)

    def test_gc_leaves_what_an_experiment_begins_with(self):
        self.perturb("run", self.tune)
        needed = self.ask("SELECT count(*) FROM needed_states JOIN checkpoints USING (state)")
        self.assertEqual(needed, [(2,)])
        # pretrain itself wants none of them.
        self.perturb("run", self.pretrain)
        self.perturb("gc", "--apply")
        self.assertEqual(self.ask("SELECT count(*) FROM needed_states JOIN checkpoints USING (state)"),
                         needed)
        # And when it does not begin with them any more, they go.
        self.file(TUNE.replace('from = { experiment = "pretrain.toml" }', "").replace("lr = 0.1", "lr = 0.3"),
                  "tune.toml")
        self.perturb("run", self.tune)
        self.perturb("gc", "--apply")
        self.assertEqual(self.ask("SELECT count(*) FROM checkpoints AS c JOIN runs ON runs.id = c.run "
                                  "WHERE runs.experiment = 'pretrain'"), [(0,)])

    def test_a_state_that_is_gone_is_trained_again(self):
        self.perturb("run", self.tune)
        for (blob,) in self.ask("SELECT blob FROM needed_states JOIN checkpoints USING (state)"):
            path = self.folder / ".perturb" / "blobs" / blob.hex()[:2] / blob.hex()
            path.chmod(0o600)
            path.write_bytes(b"damaged")
        said = self.perturb("run", self.tune, "train.epochs=1,2", "optimizer.momentum=0.5").stderr
        self.assertIn("could not be read", said)
        self.assertIn("first pretrain", said)
        self.assertEqual({outcome for _, outcome, _ in self.outcomes("tune")}, {"done"})

    def test_overrides_are_of_the_file_that_is_named(self):
        self.perturb("run", self.tune, "train.epochs=1")
        self.assertEqual(self.outcomes("pretrain")[2], (2, "done", STEPS))
        self.assertEqual(self.outcomes("tune")[0], (0, "done", STEPS // 2))

    def test_a_chain_runs_from_its_beginning(self):
        self.file(TUNE.replace("pretrain.toml", "tune.toml").replace('"tune"', '"last"'), "last.toml")
        plan = self.json("plan", "last.toml")
        self.assertEqual([first["experiment"] for first in plan["first"]], ["pretrain", "tune"])
        self.perturb("run", "last.toml")
        self.assertEqual({outcome for _, outcome, _ in self.outcomes("last")}, {"done"})
        self.assertEqual([outcome for _, outcome, _ in self.outcomes("tune")],
                         ["done", None, "done", None])

    def test_wrong_references_are_said_by_check(self):
        wrong = self.perturb("check", self.tune, "seeds.init=7", code=USAGE).stderr
        self.assertIn('no variation of "pretrain" has seeds.init=7', wrong)
        self.assertIn("seeds.init: 0, 1, 2 (nearest to 7: 2)", wrong)
        self.perturb("check", self.tune)


class Failing(FromTest):
    def setUp(self):
        super().setUp()
        texts = self.folder / "texts.json"
        texts.write_text(json.dumps([{"name": "one", "text": "the cat sat on it"}]), encoding="utf-8")
        self.environment["PERTURB_PRETEND_TEXTS"] = str(texts)
        self.pretrain = self.file(PRETRAIN.replace("seeds.init = [0, 1, 2]", "seeds.sample = [0, 1]"),
                                  "pretrain.toml")
        self.tune = self.file(TUNE.replace("seeds.init = [1, 2]", "seeds.sample = [0, 1]"), "tune.toml")

    def test_trials_that_need_what_failed_fail_by_name_and_the_others_run(self):
        self.perturb("run", self.tune, code=FAILED)
        self.assertEqual(self.outcomes("tune"), [(0, "done", STEPS), (1, "done", STEPS),
                                                 (2, "failed", 0), (3, "failed", 0)])
        (message,) = set(row[0] for row in self.ask(
            "SELECT message FROM trials WHERE experiment = 'tune' AND outcome = 'failed'"))
        self.assertEqual(message, f"it begins with step {STEPS} of trial 2 (seeds.sample=1) of "
                                  "\"pretrain\", which ended at step 0: the cat sat on it")
        # Once the cause has gone, all is well.
        del self.environment["PERTURB_PRETEND_TEXTS"]
        self.perturb("run", self.tune)
        self.assertEqual({outcome for _, outcome, _ in self.outcomes("tune")}, {"done"})

    def test_fail_fast_stops_before_what_goes_on(self):
        self.perturb("run", self.tune, "--fail-fast", "-j", "1", code=FAILED)
        self.assertEqual({outcome for _, outcome, _ in self.outcomes("tune")}, {None})


class Killed(FromTest):
    def test_a_run_that_is_killed_between_the_parts_goes_on(self):
        hold = self.folder / "hold"
        self.environment["PERTURB_PRETEND_HOLD"] = str(hold)
        for part in ("pretrain", "tune"):
            with self.subTest(part):
                hold.touch()
                run = subprocess.Popen([PROGRAM, "run", self.tune, "-j", "1"], env=self.environment,
                                       cwd=self.folder, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
                try:
                    going = False
                    for line in run.stderr:
                        if part == "tune" and line.startswith("first"):
                            hold.unlink()  # let it through to the next part
                        going = going or ("4 trials to train" in line if part == "tune" else
                                          line.startswith("first"))
                        if going and line.startswith("start"):
                            break
                finally:
                    run.kill()
                    run.communicate(timeout=LIMIT)
                hold.unlink(missing_ok=True)
        self.perturb("run", self.tune)
        self.assertEqual({outcome for _, outcome, _ in self.outcomes("tune")}, {"done"})
        self.assertEqual(self.ask("SELECT sum(conflicts) FROM runs"), [(0,)])


@needs_training
class Trained(ProgramTest):
    """With the real training half."""

    def setUp(self):
        super().setUp()
        self.file(PRETRAIN, "pretrain.toml")
        self.tune = self.file(TUNE, "tune.toml")

    def results(self, store):
        with sqlite3.connect(f"file:{store / 'results.db'}?mode=ro", uri=True) as db:
            return db.execute("SELECT number, step, metric, value FROM results "
                              "WHERE experiment = 'tune' ORDER BY 1, 2, 3").fetchall()

    def test_networks_begin_with_what_was_trained(self):
        self.perturb("run", self.tune)
        results = self.results(self.folder / ".perturb")
        at_first = [row for row in results if row[1] == 0 and row[2] == "distance.init"]
        self.assertEqual([row[3] for row in at_first], [0.0] * 4)
        self.assertTrue(all(row[3] > 0 for row in results if row[1] == 5))
        # The loss that one ends with is the loss that the other begins with.
        with sqlite3.connect(f"file:{self.folder / '.perturb' / 'results.db'}?mode=ro", uri=True) as db:
            (needed,) = db.execute("SELECT count(*) FROM needed_states JOIN checkpoints USING (state)")
        self.assertEqual(needed, (2,))
        self.assertIn("all the same bits", self.perturb("audit", self.tune, "--sample", "4").stdout)

    def test_what_diverged_is_not_waited_for(self):
        self.file(PRETRAIN.replace("lr = 0.1", "lr = 1e30"), "pretrain.toml")
        self.perturb("run", self.tune, code=FAILED)
        self.assertIn("  first pretrain: 2 trials: 0 in the store, 0 to train, 2 diverged\n",
                      self.perturb("status", self.tune).stdout)
        self.assertEqual(self.json("plan", self.tune)["first"], [])

    def test_isolated_workers_leave_the_same_bits(self):
        self.perturb("run", self.tune)
        other = self.folder / "isolated"
        self.perturb("--store", other, "run", self.tune, "--isolate", "-j", "2")
        self.assertEqual(self.results(other), self.results(self.folder / ".perturb"))


if __name__ == "__main__":
    unittest.main()
