"""`perturb status --watch` beside a run: on a terminal, into a pipe, and with what a run should never
have left.

Nothing is trained in earnest (pretend_engine.cpp): a run goes half way and waits there until it is let
go on, so that what is seen does not depend on the machine's speed.
"""

import json
import os
import pty
import re
import select
import signal
import socket
import sqlite3
import subprocess
import time
import unittest

from cli_test import LIMIT, PROGRAM, TINY, ProgramTest

HALF_WAY = {"version": 1, "run": 1, "beat": 1, "trials": 9, "over": 0, "failed": 0, "share": 0.5,
            "left": 60.0, "stages": 1, "ended": [],
            "running": [{"number": 0, "name": "#0 control", "trials": 1, "begin": 0, "step": 8,
                         "end": 16, "rate": 100.0, "loss": [1.0, 0.5]}]}


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, test, *arguments):
        self.test = test
        self.parent, child = pty.openpty()
        self.process = subprocess.Popen([PROGRAM, *map(str, arguments)], env=test.environment,
                                        cwd=test.folder, stdin=subprocess.DEVNULL, stdout=child,
                                        stderr=child)
        os.close(child)
        test.addCleanup(os.close, self.parent)
        self.seen = ""

    def read(self):
        """False at its end."""
        ready, _, _ = select.select([self.parent], [], [], LIMIT)
        self.test.assertTrue(ready, self.seen)
        try:
            data = os.read(self.parent, 65536)
        except OSError:
            data = b""
        self.seen += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern):
        while not re.search(pattern, self.seen):
            self.test.assertTrue(self.read(), f"{pattern} never came:\n{self.seen}")

    def end(self, code=0):
        while self.read():
            pass
        self.test.assertEqual(self.process.wait(LIMIT), code, self.seen)
        return self.seen


class Watching(ProgramTest):
    def setUp(self):
        super().setUp()
        self.environment["PERTURB_TRAIN"] = os.environ["PERTURB_PRETEND"]
        self.hold = self.folder / "hold"
        self.environment["PERTURB_PRETEND_HOLD"] = str(self.hold)
        self.experiment = self.file(TINY)
        self.store = self.folder / ".perturb"

    def start(self):
        """A run that stands half way, and has told so."""
        self.hold.touch()
        run = subprocess.Popen([PROGRAM, "run", self.experiment, "-j", "2", "-q"],
                               env=self.environment, cwd=self.folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)

        def end():
            run.kill()
            run.communicate()
        self.addCleanup(end)
        self.wait_until(lambda: [stage["step"] for stage in self.live().get("running", [])] == [8, 8])
        return run

    def wait_until(self, true):
        end = time.monotonic() + LIMIT
        while not true():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def live(self):
        try:
            return json.loads((self.store / "live.json").read_text())
        except FileNotFoundError:
            return {}

    def finish(self, run):
        self.hold.unlink()
        _, err = run.communicate(timeout=LIMIT)
        self.assertEqual(run.returncode, 0, err)

    def test_a_terminal_shows_it_until_it_is_over(self):
        run = self.start()
        watch = Terminal(self, "status", self.experiment, "--watch")
        watch.wait_for(r"step +steps/s")
        watch.wait_for(r"█+░+ +8/16")
        watch.wait_for(r"\x1b\[\d+A")  # it redraws in place
        self.finish(run)
        seen = watch.end()
        self.assertIn("9 trials: 9 to run", seen)
        self.assertIn("9 trials: 9 done", seen)
        self.assertIn("the run is over: done", seen)
        self.assertTrue(seen.startswith("\x1b[?25l"))
        self.assertTrue(seen.rstrip().endswith("\x1b[?25h"), seen[-200:])
        self.assertFalse((self.store / "live.json").exists())

    def test_somebody_has_seen_enough(self):
        self.start()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            watch = Terminal(self, "status", "--watch")
            watch.wait_for("8/16")
            watch.process.send_signal(number)
            self.assertTrue(watch.end(code).endswith("\x1b[?25h"))

    def test_a_pipe_gets_lines(self):
        run = self.start()
        watch = subprocess.Popen([PROGRAM, "status", self.experiment, "--watch"],
                                 env=self.environment, cwd=self.folder, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        first = watch.stdout.readline()
        self.assertEqual(first.split(",")[0], "tiny: run 1")
        self.assertIn(f"process {run.pid} on {socket.gethostname()}", first)
        self.finish(run)
        out, err = watch.communicate(timeout=LIMIT)
        self.assertEqual((watch.returncode, err), (0, ""))
        self.assertNotIn("\x1b", out)
        self.assertEqual(out.splitlines()[-2:],
                         ["tiny: 9 trials: 9 done", "the run is over: done"])

    def test_json_is_an_object_a_change(self):
        run = self.start()
        watch = subprocess.Popen([PROGRAM, "status", "--watch", "--json"], env=self.environment,
                                 cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        first = json.loads(watch.stdout.readline())
        self.assertEqual((first["experiment"], first["outcome"], first["trials"]), ("tiny", None, 9))
        self.assertEqual({stage["step"] for stage in first["running"]}, {8})
        self.finish(run)
        out, _ = watch.communicate(timeout=LIMIT)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual((last["outcome"], last["done"], last["running"]), ("done", 9, []))
        self.assertEqual(last["metric"], "test.loss")
        self.assertTrue(all(len(trial["values"]) == 2 for trial in last["ended"]))

    def test_a_run_that_is_killed_is_told(self):
        run = self.start()
        watch = Terminal(self, "status", self.experiment, "--watch")
        watch.wait_for("8/16")
        run.kill()
        run.wait()
        self.assertIn("the run has died", watch.end())
        # What it left is no harm to anybody: not to who looks, nor to who goes on.
        self.assertTrue(self.live())
        self.perturb("verify")
        self.assertIn("the run has died", self.perturb("status", "--watch").stdout)
        self.hold.unlink()
        self.perturb("run", self.experiment)
        self.assertFalse((self.store / "live.json").exists())

    def test_what_is_over_is_shown_once(self):
        self.perturb("run", self.experiment)
        out = self.perturb("status", self.experiment, "--watch").stdout
        self.assertEqual(out, "tiny: 9 trials: 9 done\nthe run is over: done\n")

    def test_nothing_to_watch(self):
        self.assertIn("no store", self.perturb("status", "--watch", code=2).stderr)
        self.perturb("run", self.experiment)
        other = self.file(TINY.replace('"tiny"', '"other"'), "other.toml")
        self.assertIn('"other" has not been run',
                      self.perturb("status", other, "--watch", code=2).stderr)

    def pretend_run(self):
        """A run that is under way as far as the store knows: this process."""
        self.perturb("run", self.experiment)
        with sqlite3.connect(self.store / "results.db") as db:
            db.execute("update runs set outcome = null, ended = null, pid = ?", [os.getpid()])

    def test_whatever_stands_in_the_file_nobody_is_harmed(self):
        self.pretend_run()
        good = json.dumps(HALF_WAY)
        nasty = json.loads(good)
        nasty["running"][0]["name"] = "\x1b[2J\x1b]0;owned\x07\u202e\n\r" + "x" * 200
        file = self.store / "live.json"
        for data in (b"", b"{", good[:-20].encode(), b"[" * 200_000, b"\xff" * 1000, b"null",
                     json.dumps(nasty).encode(), good.replace('"run": 1', '"run": 2').encode(),
                     b" " * (2 << 20) + good.encode()):
            with self.subTest(data[:40]):
                file.write_bytes(data)
                watch = Terminal(self, "status", "--watch")
                watch.wait_for(r"run 1\D")
                watch.process.send_signal(signal.SIGINT)
                seen = watch.end(130)
                seen = re.sub(r"\x1b\[(\?25[lh]|\d*A|K|J|[0-9;]*m)|\r\n|\r(?=\x1b|$)", "", seen)
                self.assertFalse([c for c in seen if ord(c) < 32 and c not in "\r\n"], seen)
                self.assertNotIn("\u202e", seen)
        file.unlink()
        os.mkfifo(file)
        watch = Terminal(self, "status", "--watch")
        watch.wait_for(r"run 1, process")
        watch.process.send_signal(signal.SIGINT)
        watch.end(130)

    def test_a_run_on_another_host_is_believed(self):
        self.pretend_run()
        with sqlite3.connect(self.store / "results.db") as db:
            db.execute("update runs set pid = 1, host = 'elsewhere'")
        watch = Terminal(self, "status", "--watch")
        watch.wait_for("process 1 on elsewhere")
        watch.process.send_signal(signal.SIGINT)
        watch.end(130)

    def test_a_disk_that_is_full_ends_no_run(self):
        """Where live.json cannot be written: something that is no file has its name."""
        self.store.mkdir()
        (self.store / "live.json").mkdir()
        self.perturb("run", self.experiment)
        self.assertEqual(self.json("plan", self.experiment)["new"], 0)
        self.perturb("verify")


if __name__ == "__main__":
    unittest.main()
