"""The program as a user meets it: help, exit codes, streams, a pipe that closes, Ctrl-C.

Help texts are compared with tests/cli/golden; PERTURB_ACCEPT=1 writes them anew. What trains is
skipped where the training half is not built. Nothing outside a temporary folder is written.
"""

import csv
import io
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["PERTURB"]
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = HERE / "golden"
COMMANDS = [
    "check", "plan", "run", "cancel", "status", "why", "show", "plot", "diff", "query",
    "report", "export", "import", "verify", "audit", "gc",
    "list", "describe", "data", "doctor", "completion",
]
LIMIT = 120  # seconds; a bound on what hangs, not a measurement
TRAINS = bool(os.environ.get("PERTURB_TRAIN")) or \
    pathlib.Path(PROGRAM).with_name("libperturb_train.so").exists()
needs_training = unittest.skipUnless(TRAINS, "the training half is not built")

TINY = """
name = "tiny"
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
lr = 0.1
[train]
epochs = 2
[[variations]]
seeds.init = [0, 1, 2]
[[interventions]]
set.optimizer.lr = [0.2, 0.3]
"""


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TERM": "xterm",
        }
        for name in ("LD_LIBRARY_PATH", "PERTURB_TRAIN"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def file(self, text, name="tiny.toml"):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def perturb(self, *arguments, code=0, **options):
        """The finished process; its exit code is checked."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment, timeout=LIMIT,
                              capture_output=True, text=True, encoding="utf-8",
                              cwd=self.folder, **options)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.perturb(*arguments, "--json", **options).stdout)


class PretendingTest(ProgramTest):
    """With a training half that only pretends, and saves a few bytes for each state."""

    def setUp(self):
        super().setUp()
        self.environment["PERTURB_TRAIN"] = os.environ["PERTURB_PRETEND"]
        self.environment["PERTURB_PRETEND_SAVES"] = "1"

    def ask(self, sql):
        with sqlite3.connect(f"file:{self.folder / '.perturb' / 'results.db'}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def outcomes(self, experiment):
        return self.ask("SELECT number, outcome, step FROM trials "
                        f"WHERE experiment = '{experiment}' ORDER BY number")


class Help(ProgramTest):
    def golden(self, name, text):
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("PERTURB_ACCEPT") == "1":
            GOLDEN.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.assertTrue(path.exists(), f"{path} is missing: run with PERTURB_ACCEPT=1")
        self.assertEqual(text, path.read_text(encoding="utf-8"))

    def test_help_of_every_command(self):
        self.golden("help", self.perturb("--help").stdout)
        for command in COMMANDS:
            with self.subTest(command):
                done = self.perturb(command, "--help")
                self.assertEqual(done.stderr, "")
                self.golden(command, done.stdout)

    def test_help_names_every_command_and_exit_code(self):
        text = self.perturb("--help").stdout
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")
        for code in (0, 1, 2, 3, 4, 5, 6, 70, 130, 143):
            self.assertRegex(text, rf"\b{code}\b")

    def test_version(self):
        self.assertRegex(self.perturb("--version").stdout, r"^perturb \d+\.\d+\.\d+\n$")


class Usage(ProgramTest):
    def wrong(self, *arguments):
        done = self.perturb(*arguments, code=2)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_nothing_asked_shows_the_help(self):
        self.assertIn("perturb plan", self.wrong())

    def test_a_misspelt_command_is_told_what_was_meant(self):
        self.assertIn("did you mean `perturb plan`?", self.wrong("paln", "x.toml"))
        self.assertIn("did you mean `perturb plan`?", self.wrong("--store", "x", "paln"))

    def test_wrong_options_name_the_help(self):
        for arguments in (["run"], ["run", "x.toml", "--bogus"], ["run", "x.toml", "-j", "0"],
                          ["run", "x.toml", "-j", "many"], ["list", "model", "data"],
                          ["--color", "pink", "list"]):
            with self.subTest(arguments):
                self.assertIn("--help", self.wrong(*arguments))

    def test_names_of_families_that_are_commands_too(self):
        self.assertIn("fashion-mnist", self.perturb("list", "data").stdout)

    def test_a_file_that_is_not_there(self):
        self.assertIn("error: there is no file", self.wrong("check", "absent.toml"))

    def test_everything_wrong_with_a_file_is_said_at_once(self):
        text = self.wrong("check", self.file(TINY.replace("lr = 0.1", "rl = 0.1\nlrr = 2")))
        self.assertIn("rl", text)
        self.assertIn("lrr", text)
        self.assertRegex(text, r"tiny\.toml:\d+:\d+: error")

    def test_a_store_that_is_not_there(self):
        self.assertIn("no store", self.wrong("status"))
        self.assertIn("no store", self.wrong("query", "select 1"))

    def test_unknown_names(self):
        self.assertIn('did you mean "lenet5"?', self.wrong("describe", "lenet"))
        self.assertIn('did you mean "model"?', self.wrong("list", "modle"))


class Plans(ProgramTest):
    def test_the_reference_experiments(self):
        expected = {"weight_noise": (31, 1), "optimizers": (30, 15), "batch_size": (90, 15),
                    "momentum": (210, 30), "momentum_one_init": (21, 3)}
        for name, (trials, controls) in expected.items():
            with self.subTest(name):
                plan = self.json("plan", ROOT / "experiments/perturb" / f"{name}.toml",
                                 "--store", self.folder / "none")
                self.assertEqual((plan["trials"], plan["controls"]), (trials, controls))

    def test_planning_creates_nothing(self):
        file = self.file(TINY)
        self.perturb("plan", file)
        self.perturb("show", file)
        self.perturb("status", file)
        self.perturb("run", file, "--dry-run")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["tiny.toml"])

    def test_figures_of_a_plan(self):
        plan = self.json("plan", self.file(TINY), "--all")
        steps = 2 * -(-120 // 16)  # iris trains on 120 of its 150 rows
        self.assertEqual(plan["trials"], 9)
        self.assertEqual(plan["variations"], 3)
        self.assertEqual(plan["interventions"], 2)
        self.assertEqual((plan["cached"], plan["new"]), (0, 9))
        self.assertEqual(plan["steps_asked"], 9 * steps)
        self.assertEqual(plan["steps_to_run"], 9 * steps)
        self.assertEqual([row["number"] for row in plan["matrix"]], list(range(9)))
        self.assertEqual(len({row["trial"] for row in plan["matrix"]}), 9)

    def test_missing_data_are_said_and_stop_no_plan(self):
        file = self.file(TINY.replace('"iris"', '"cifar10"'))
        done = self.perturb("plan", file)
        self.assertIn("9 trials", done.stdout)
        self.assertIn("cifar10", done.stderr)
        self.assertTrue(self.json("plan", file)["missing_data"])
        self.assertIn("cifar10", self.perturb("run", file, code=2).stderr)

    def test_long_plans_are_cut(self):
        file = self.file(TINY.replace("[0, 1, 2]", "{ range = [0, 100] }"))
        text = self.perturb("plan", file).stdout
        self.assertIn("and 270 more; --all shows them", text)
        self.assertGreater(len(self.perturb("plan", file, "--all").stdout.splitlines()), 300)

    def test_check_says_what_is_in_the_file(self):
        text = self.perturb("check", self.file(TINY)).stdout
        self.assertIn("9 trials = 3 variations x (control + 2 interventions)", text)
        self.assertEqual(self.json("check", self.file(TINY))["trials"], 9)


class Streams(ProgramTest):
    def test_a_reader_that_leaves_ends_it_quietly(self):
        file = self.file(TINY.replace("[0, 1, 2]", "{ range = [0, 3000] }"))
        process = subprocess.Popen([PROGRAM, "plan", file, "--all"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(100)
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assertEqual(process.wait(LIMIT), 141)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = subprocess.run([PROGRAM, "list"], env=self.environment, stdout=full,
                                     stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        self.assertEqual(process.returncode, 5)
        self.assertIn("No space left", process.stderr)

    def test_colour_only_where_it_is_asked_for(self):
        self.assertNotIn("\x1b", self.perturb("list").stdout)
        self.assertIn("\x1b", self.perturb("list", "--color", "always").stdout)

    def test_every_json_is_json(self):
        file = self.file(TINY)
        for arguments in (["check", file], ["plan", file], ["plan", file, "--all"], ["show", file],
                          ["status", file], ["list"], ["list", "model"], ["describe", "sgd"]):
            with self.subTest(arguments):
                self.json(*arguments)


class Descriptions(ProgramTest):
    def test_everything_that_is_listed_can_be_described(self):
        for row in self.json("list"):
            name = row["name"] or row["family"]
            with self.subTest(name):
                self.assertIn(row["help"], [one["help"] for one in self.json("describe", name)])

    def test_markdown_has_every_parameter(self):
        for family in ("model", "data", "optimizer", "intervention", "metric"):
            text = self.perturb("describe", "--markdown", family).stdout
            for row in self.json("list", family):
                self.assertIn(f"### `{row['name']}`", text)
                for parameter in self.json("describe", row["name"])[0]["parameters"]:
                    self.assertIn(f"| `{parameter['name']}` |", text)


class Completion(ProgramTest):
    def words(self, *words):
        """What may come where the last of `words` stands."""
        text = self.perturb("completion", "words", "--", *words).stdout
        return [line.split("\t")[0] for line in text.splitlines()]

    def test_commands_options_and_names(self):
        self.assertEqual(self.words("pla"), ["plan"])
        self.assertEqual(set(self.words("")), set(COMMANDS))
        self.assertIn("--fail-fast", self.words("run", "--f"))
        self.assertIn("--store", self.words("run", "--s"))
        self.assertEqual(self.words("--color", "a"), ["auto", "always"])
        self.assertEqual(self.words("run", "--store", ""), [":folders"])
        self.assertEqual(self.words("list", "mod"), ["model"])
        self.assertEqual(self.words("describe", "lenet"), ["lenet5"])

    def test_overrides(self):
        self.assertEqual(self.words("run", ""), [":files"])
        self.assertEqual(self.words("run", "-j", "2", ""), [":files"])
        self.assertEqual(self.words("run", "x.toml", "optimizer.mom"), ["optimizer.momentum="])
        self.assertIn("model.kind=lenet5", self.words("run", "x.toml", "model.kind=le"))
        self.assertIn("model.kind=mlp,lenet5", self.words("run", "x.toml", "model.kind=mlp,le"))
        self.assertEqual(self.words("run", "x.toml", "optimizer.nesterov=t"),
                         ["optimizer.nesterov=true"])

    def bash(self, line):
        script = """
eval "$("$PERTURB" completion bash)"
compopt() { :; }  # works only inside a completion
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=("$PERTURB") COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_perturb
printf '%s\\n' "${COMPREPLY[@]}"
"""
        done = subprocess.run(["bash", "-c", script, "bash", line], text=True, timeout=LIMIT,
                              env={**self.environment, "PERTURB": PROGRAM},
                              capture_output=True, cwd=self.folder)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash(self):
        self.file(TINY)
        self.assertEqual(self.bash("perturb pla"), ["plan"])
        self.assertEqual(self.bash("perturb run ti"), ["tiny.toml"])
        self.assertEqual(self.bash("perturb run tiny.toml optimizer.mom"), ["optimizer.momentum="])
        # bash completes the word after '=' alone.
        self.assertEqual(self.bash("perturb run tiny.toml model.kind=len"), ["lenet5"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_accepts_the_script(self):
        script = self.perturb("completion", "zsh").stdout
        subprocess.run(["zsh", "-n"], input=script, text=True, check=True, timeout=LIMIT)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_accepts_the_script(self):
        script = self.perturb("completion", "fish").stdout
        subprocess.run(["fish", "-n"], input=script, text=True, check=True, timeout=LIMIT)


@needs_training
class Runs(ProgramTest):
    def dump(self, file, store):
        return self.perturb("query", file, "--store", store,
                            "select * from results order by number, step, metric").stdout

    def test_trains_once_and_then_answers(self):
        file = self.file(TINY)
        first = self.perturb("run", file, "-j", 2)
        self.assertIn("9 done", first.stderr)
        self.assertIn("control", first.stdout)
        self.assertNotIn("\x1b", first.stdout + first.stderr)
        again = self.perturb("run", file)
        self.assertIn("nothing to train", again.stderr)
        self.assertEqual(again.stdout, first.stdout)
        self.assertEqual(self.perturb("show", file).stdout, first.stdout)
        plan = self.json("plan", file)
        self.assertEqual((plan["cached"], plan["new"]), (9, 0))
        self.assertIn("9 cached", self.perturb("status", file).stdout)

    def test_trains_exactly_what_is_new(self):
        file = self.file(TINY)
        self.perturb("run", file, "seeds.init=0,1")
        self.assertEqual(self.json("plan", file)["new"], 3)
        self.assertIn("3 done", self.perturb("run", file).stderr)
        # A level taken away costs nothing, and its results are still there when it is back.
        self.assertIn("nothing to train", self.perturb("run", file, "seeds.init=1").stderr)
        self.assertIn("nothing to train", self.perturb("run", file).stderr)

    def test_the_same_bits_however_it_ran(self):
        file = self.file(TINY)
        ways = {"serial": ["-j", 1], "pool": ["-j", 4], "shuffled": ["-j", 3, "--shuffle", 5]}
        dumps = {}
        for name, options in ways.items():
            self.perturb("run", file, "--store", self.folder / name, *options)
            dumps[name] = self.dump(file, self.folder / name)
        self.assertGreater(len(dumps["serial"].splitlines()), 9 * 2 * 4)
        self.assertEqual(dumps["serial"], dumps["pool"])
        self.assertEqual(dumps["serial"], dumps["shuffled"])

    def test_failures_are_results(self):
        file = self.file(TINY.replace("[0.2, 0.3]", "[0.2, 1e30]"))
        done = self.perturb("run", file, code=1)
        self.assertIn("6 done, 3 diverged", done.stderr)
        self.assertIn("0/3 (3 diverged)", done.stdout)
        self.assertIn("diverged", self.perturb("status", file).stdout)
        # It would diverge again, bit for bit: nothing is trained, and it is still no success.
        again = self.perturb("run", file, code=1)
        self.assertIn("nothing to train", again.stderr)

    def test_fail_fast(self):
        file = self.file(TINY.replace("lr = 0.1", "lr = 1e30"))
        done = self.perturb("run", file, "--fail-fast", "-j", 1, code=1)
        self.assertIn("1 diverged, 8 not started", done.stderr)

    def interrupted(self, number, code):
        file = self.file(TINY)
        process = subprocess.Popen(
            [PROGRAM, "run", file, "train.epochs=50000", "-j", "2"],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        starts = 0
        for line in process.stderr:
            starts += line.startswith("start")
            if starts == 2:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, code, err)
        self.assertEqual(out, "")
        self.assertIn("the same command goes on", err)
        self.assertIn("2 stopped under way, 7 not started", err)
        # Nothing is left locked or half there: another length is planned and trained. The two that
        # were stopped have left what it asks of them if they had come as far as its end.
        again = self.perturb("run", file).stderr
        left = int(again.split(" trials to train")[0])
        self.assertIn(left, (7, 8, 9))
        self.assertIn(f"{left} done", again)
        self.assertEqual(self.json("plan", file)["cached"], 9)
        runs = self.json("status", file)["runs"]
        self.assertEqual([run["outcome"] for run in runs], ["done", "interrupted"])

    def test_ctrl_c_stops_cleanly(self):
        self.interrupted(signal.SIGINT, 130)

    def test_sigterm_stops_cleanly(self):
        self.interrupted(signal.SIGTERM, 143)

    def test_a_second_store_writer_is_told_who_is_first(self):
        file = self.file(TINY)
        process = subprocess.Popen([PROGRAM, "run", file, "train.epochs=50000", "-j", "1"],
                                   env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("start"):
                break
        self.assertIn(str(process.pid), self.perturb("run", file, code=4).stderr)
        self.perturb("status", file)  # reading waits for nobody
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)

    def test_a_terminal_gets_a_bar_that_goes_away(self):
        file = self.file(TINY)
        parent, child = pty.openpty()
        process = subprocess.Popen([PROGRAM, "run", file, "train.epochs=200", "-j", "1"],
                                   env=self.environment, stdout=subprocess.PIPE, stderr=child)
        os.close(child)
        seen = b""
        while True:
            ready, _, _ = select.select([parent], [], [], LIMIT)
            self.assertTrue(ready)
            try:
                data = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            seen += data
        self.assertEqual(process.wait(LIMIT), 0)
        process.stdout.close()
        os.close(parent)
        text = seen.decode()
        self.assertIn("█", text)
        self.assertIn("\x1b[2K", text)
        self.assertNotIn("start", text)
        self.assertIn("9 done", text.splitlines()[-1])

    def test_queries(self):
        file = self.file(TINY)
        self.perturb("run", file)
        text = self.perturb("query", file, "select metric, \"optimizer.lr\" as lr, avg(value) as m "
                            "from results where metric = 'test.accuracy' group by 2").stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([row["lr"] for row in rows], ["0.1"])
        hostile = "select 'a\x1b[2J' || char(8238) || ',b' as \"x\ny\", null as n, 1e999 as i"
        self.assertNotIn("\x1b", self.perturb("query", file, hostile, "--table").stdout)
        self.assertEqual(self.json("query", file, hostile)[0]["n"], None)
        parsed = list(csv.reader(io.StringIO(self.perturb("query", file, hostile).stdout)))
        self.assertEqual(parsed[0][0], "x\ny")
        self.assertEqual(parsed[1][0], "a\x1b[2J\u202e,b")
        for wrong in ("select * from nowhere", "delete from results", "select 1; select 2", ""):
            with self.subTest(wrong):
                self.perturb("query", file, wrong, code=2)

    def test_the_table_splits_and_chooses(self):
        file = self.file(TINY)
        self.perturb("run", file)
        shown = self.json("show", file, "--by", "seeds.init", "--metric", "train.loss")
        self.assertEqual(len(shown["rows"]), 9)
        self.assertEqual(list(shown["rows"][0]["metrics"]), ["train.loss"])
        self.assertEqual(shown["rows"][0]["metrics"]["train.loss"]["value"]["interval"], None)
        self.assertIn("does not vary", self.perturb("show", file, "--by", "model.kind", code=2).stderr)

    def test_what_an_intervention_does_is_compared_and_tested(self):
        file = self.file(TINY.replace("[0, 1, 2]", "{ range = [0, 6] }"))
        self.perturb("run", file, "-q")
        for row in self.json("show", file)["rows"]:
            cell = row["metrics"]["test.loss"]
            if row["control"]:
                self.assertEqual((cell["pairs"], cell["p"]), (0, None))
                continue
            self.assertEqual((cell["pairs"], cell["difference"]["n"], cell["better"]), (6, 6, "lower"))
            self.assertGreaterEqual(cell["p"], 2 / 2**6)
            self.assertGreaterEqual(cell["p_holm"], cell["p"])
            self.assertIsNotNone(cell["hedges_g"])
        text = self.perturb("show", file).stdout
        self.assertIn("test.loss minus the control's", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 110)

    def test_other_places_in_the_run(self):
        file = self.file(TINY.replace("set.optimizer.lr = [0.2, 0.3]", "set.data.batch_size = 8"))
        self.perturb("run", file, "-q")
        by_epoch = self.json("show", file, "--at", "epoch:1", "--seeds")
        for trial in by_epoch["trials"]:
            measured = trial["metrics"]["test.accuracy"]
            self.assertEqual(measured["epoch"], 1)
            self.assertEqual(measured["step"], 8 if trial["intervention"] == "control" else 15)
        # Step 15 is epoch 1 of the halved batches, and no measured step of the controls.
        by_step = self.json("show", file, "--at", 15)
        control, halved = by_step["rows"]
        self.assertEqual(control["metrics"]["test.loss"]["not_measured"], 3)
        self.assertEqual(halved["metrics"]["test.loss"]["difference"],
                         by_epoch["rows"][1]["metrics"]["test.loss"]["difference"])
        contrasts = self.perturb("query", file, "select avg(difference) from contrasts "
                                 "where metric = 'test.loss' and step = 15").stdout.split()[1]
        self.assertAlmostEqual(halved["metrics"]["test.loss"]["difference"]["mean"],
                               float(contrasts), places=14)
        self.assertIn("at each trial's best", self.perturb("show", file, "--at", "best").stdout)
        self.assertIn("8 and 16", self.perturb("show", file, "--at", 9, code=2).stderr)
        self.assertIn("epoch:N", self.perturb("show", file, "--at", "nowhere", code=2).stderr)

    def test_figures_of_whole_runs(self):
        file = self.file(TINY)
        self.perturb("run", file, "-q")
        steps, area = "steps_to(test.loss,0)", "auc(test.loss)"
        shown = self.json("show", file, "--metric", f"{steps},{area}")
        for row in shown["rows"]:
            self.assertEqual(row["metrics"][steps]["never"], 3)
            self.assertEqual(row["metrics"][area]["value"]["n"], 3)
        self.assertIn("0/3 (3 never)", self.perturb("show", file, "--metric", steps).stdout)
        self.assertIn('did you mean "test.loss"?',
                      self.perturb("show", file, "--metric", "auc(test.los)", code=2).stderr)

    def test_statistics_and_contrasts_as_tables(self):
        file = self.file(TINY)
        self.perturb("run", file, "-q")
        shown = self.json("show", file)
        rows = list(csv.DictReader(io.StringIO(self.perturb("show", file, "--csv").stdout)))
        self.assertEqual(len(rows), 2 * len(shown["rows"]))
        for row in rows:
            same = [one for one in shown["rows"] if one["intervention"] == row["intervention"]]
            cell = same[0]["metrics"][row["metric"]]
            self.assertEqual(float(row["mean"]), cell["value"]["mean"])
            self.assertEqual(row["p"], "" if cell["p"] is None else repr(cell["p"]))
        trials = list(csv.DictReader(io.StringIO(self.perturb("show", file, "--csv", "--seeds").stdout)))
        self.assertEqual(len(trials), 2 * 9)
        self.assertIn("two answers", self.perturb("show", file, "--csv", "--json", code=2).stderr)

        text = self.perturb("export", file, "--table", "contrasts").stdout
        contrasts = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(len(contrasts), 2 * 3 * 2 * 4)  # interventions, seeds, epochs, metrics
        for row in contrasts:
            self.assertEqual(float(row["value"]) - float(row["control_value"]), float(row["difference"]))
        results = self.perturb("export", file, "--table", "results").stdout
        self.assertEqual(results, self.perturb("export", file, "--format", "csv").stdout)
        self.assertIn("whose contrasts?", self.perturb("export", "--store", self.folder / ".perturb",
                                                       "--table", "contrasts", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
