"""The report without a browser: its figures are those of `show`, it needs nothing from anywhere, and whatever names say,
its structure is the same. tests/browser looks at it in Chromium."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from page_reader import Reader

PERTURB = os.path.abspath(os.environ["PERTURB"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINS = pathlib.Path(PERTURB).with_name("libperturb_train.so").exists()
LIMIT = 120  # seconds; a bound on what hangs

SWEEP = """
name = "sweep"
description = "What does a higher rate do?"
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
epochs = 3
[[variations]]
seeds.init = [0, 1, 2, 3]
[[interventions]]
set.optimizer.lr = [0.2, 0.3, 1e30]
"""


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-report-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def perturb(self, *words, code=0):
        done = subprocess.run([PERTURB, *map(str, words)], cwd=self.folder, capture_output=True,
                              text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def file(self, text, name="sweep.toml"):
        (self.folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        return name

    def page(self, name="sweep.html"):
        return Reader((self.folder / name).read_text(encoding="utf-8"))


@unittest.skipUnless(TRAINS, "the training half is not built")
class Trained(ReportTest):
    def test_figures_are_those_of_show(self):
        self.file(SWEEP)
        self.perturb("run", "sweep.toml", "-q", code=1)
        self.assertEqual(self.perturb("report", "sweep.toml").strip(), "sweep.html")
        rows = [[cell for cell in row if cell] for row in self.page().rows["results"]]
        metrics = "train.loss,train.accuracy,test.loss,test.accuracy"
        shown = self.perturb("show", "sweep.toml", "--all", "--metric", metrics)
        compared = 0
        for line in shown.splitlines():
            cells = re.split(r"\s{2,}", line.strip())
            if not re.match(r"control|optimizer\.lr", cells[0]) or len(cells) < 3:
                continue
            self.assertIn(cells, rows)
            compared += 1
        self.assertEqual(compared, 4 * (4 + 3))  # values, and differences of all but the control
        self.assertIn("0/4 (4 diverged)", shown)

    def test_failures_have_their_step(self):
        self.file(SWEEP)
        self.perturb("run", "sweep.toml", "-q", code=1)
        self.perturb("report", "sweep.toml")
        query = ("select number, intervention, outcome, step, message from trials "
                 "where outcome = 'diverged'")
        failed = json.loads(self.perturb("query", query, "--store", ".perturb", "--json"))
        rows = self.page().rows["failures"][1:]
        self.assertEqual(len(rows), 4)
        self.assertEqual(rows, [[str(row[name]) for name in
                                 ("number", "intervention", "outcome", "step", "message")]
                                for row in failed])

    def test_what_diverged_is_not_trained_again(self):
        """Not even where others are compared, which brings every trial back into the plan."""
        self.file(SWEEP + '[[metrics]]\nkind = "distance"\nto = "control"\nevery = "epoch"\n')
        self.perturb("run", "sweep.toml", "-q", code=1)
        plan = self.perturb("plan", "sweep.toml")
        self.assertIn("12 cached, 4 diverged; 0 to train", plan)

    def test_run_keeps_a_page(self):
        self.file(SWEEP)
        self.perturb("run", "sweep.toml", "-q", "--report", code=1)
        text = (self.folder / "sweep.html").read_text(encoding="utf-8")
        self.assertNotIn("data-refresh", text[:200])
        self.assertIn("● done", text)
        self.assertNotIn("○ to run", text)

    def test_an_interrupted_run_leaves_its_page(self):
        self.file(SWEEP)
        run = subprocess.Popen([PERTURB, "run", "sweep.toml", "-q", "--report-file", "page.html",
                                "train.epochs=100000"], cwd=self.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + LIMIT
        page = self.folder / "page.html"
        while not page.exists() and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.02)
        self.assertIn(" data-refresh=", page.read_text(encoding="utf-8")[:200])
        run.send_signal(signal.SIGTERM)
        said = run.communicate(timeout=LIMIT)[1]
        self.assertEqual(run.returncode, 143, said)
        text = page.read_text(encoding="utf-8")
        self.assertNotIn("data-refresh", text[:200])
        self.assertIn("○ to run", text)


class Untrained(ReportTest):
    def test_needs_nothing_from_anywhere(self):
        self.file(SWEEP)
        self.perturb("report", "sweep.toml")
        self.page().check_safe(self)

    def test_nothing_trained_is_said(self):
        self.file(SWEEP)
        self.perturb("report", "sweep.toml")
        page = self.page()
        self.assertEqual(sum("○ to run" in row for row in page.rows["trials"]), 16)
        self.assertIn("No trial has failed", page.text)
        self.assertFalse((self.folder / ".perturb").exists())

    def test_replaces_only_its_own(self):
        self.file(SWEEP)
        thesis = self.folder / "thesis.html"
        thesis.write_text("<html>years of work", encoding="utf-8")
        self.perturb("report", "sweep.toml", "-o", "thesis.html", code=2)
        self.assertEqual(thesis.read_text(encoding="utf-8"), "<html>years of work")
        self.perturb("report", "sweep.toml", "-o", "page.html")
        self.perturb("report", "sweep.toml", "-o", "page.html")
        self.perturb("report", "sweep.toml", "-o", "nowhere/page.html", code=5)

    def test_hostile_text_changes_no_structure(self):
        corpus = json.loads((ROOT / "tests/hostile/corpus.json").read_text(encoding="utf-8"))
        texts = [entry for entry in corpus if entry.get("text", "").strip()]
        self.assertGreater(len(texts), 100)
        self.file(SWEEP)
        self.perturb("report", "sweep.toml")
        wanted = self.page().elements
        tried = 0
        for number, entry in enumerate(texts):
            toml = SWEEP.replace('"What does a higher rate do?"', json.dumps(entry["text"]))
            toml = toml.replace('name = "sweep"', f'name = "hostile {number}"')
            done = subprocess.run([PERTURB, "report", self.file(toml, "hostile.toml")],
                                  cwd=self.folder, capture_output=True, text=True, timeout=LIMIT,
                                  check=False)
            if done.returncode == 2:
                continue  # JSON says it otherwise than TOML; hostile_test.py has it
            tried += 1
            with self.subTest(entry["name"]):
                self.assertEqual(done.returncode, 0, done.stderr)
                page = self.page("hostile.html")
                self.assertEqual(page.elements, wanted)
                page.check_safe(self)
        self.assertGreater(tried, 100)


if __name__ == "__main__":
    unittest.main()
