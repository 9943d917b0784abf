"""Trials that crash, leave, grow and hang, in isolated workers: each is a failure with a name, and
takes nothing else along. engine.cpp is what makes them."""

import os
import pathlib
import unittest

import lab
from lab import check_left, count, dump, environment, open_store, require

ENGINE = os.environ.get("PERTURB_FAULTS_ENGINE", "")

BASE = """
name = "bad"
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [8]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.05
[train]
epochs = 4
[[variations]]
seeds.sample = [0, 901, 1, 902, 903, 2, 904, 905, 3]
[[interventions]]
set.optimizer.lr = 0.1
when = { epochs = [1, 2] }
"""
NAMED = {
    901: ("crashed", "signal 11"),
    902: ("crashed", "signal 6"),
    903: ("crashed", "ended with status 0 without a result"),
    904: ("out of memory", "was allowed"),
    905: ("timed out", "took longer than"),
}


@unittest.skipUnless(pathlib.Path(ENGINE).is_file(), "tests/faults/engine is not built")
class Trials(lab.FaultTest):
    def test_misbehaviour(self):
        world = self.lab(BASE)

        def one(rng, store, _):
            env = environment(PERTURB_TRAIN=ENGINE,
                              PERTURB_FAULTS_TRAIN=os.path.join(os.path.dirname(lab.PROGRAM),
                                                                "libperturb_train.so"))
            # LibTorch alone takes seconds to load on a machine with other things to do.
            run = world.run(store, "-j", rng.choice([1, 2, 3]), "--isolate", "--timeout", 15,
                            "--memory", "3GB", "--shuffle", rng.randrange(1 << 30), env=env)
            code = run.wait(300)
            require(code == 1, f"exit code {code}", run.said())
            check_left(store)
            with open_store(store) as db:
                rows = db.execute('SELECT "seeds.sample", outcome, message FROM trials').fetchall()
            require(len(rows) == 18, rows)
            for sample, outcome, message in rows:
                wanted, words = NAMED.get(sample, ("done", ""))
                require(outcome == wanted and words in message, sample, outcome, message)
            # What was done has the results that it has without such company.
            lines = set(world.untouched.splitlines())
            require(set(dump(store).splitlines()) <= lines, "other results")
            world.check_whole(store, "-j", 2)
            return len(NAMED)

        self.rounds("misbehaving trials", world, range(count("misbehaviour", 1, 4)), one)


if __name__ == "__main__":
    lab.main()
