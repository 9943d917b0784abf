#!/usr/bin/env python3
"""docs/reading-results.md does what it says: every snippet of it runs, in its order, in the folder of
its experiment, and prints what the page shows, numbers aside. What needs a program or a package that
is not here is skipped by its name.

PERTURB_ACCEPT=1 writes what they print into the page."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from cli_test import LIMIT, PROGRAM, ProgramTest, needs_training

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "reading-results.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
# Those of pyenv and of the system need not have the same packages.
PYTHONS = [sys.executable, "/usr/bin/python3", "python3"]
NUMBER = re.compile(r"(?<![\w.])[-+]?(\d+\.\d*|\.\d+|\d+)(e[-+]?\d+)?(?![\w.])|NaN")


def shape(text):
    """A printed text, whatever numbers there are in it and however wide they are."""
    lines = [re.sub(r"\s+", " ", NUMBER.sub("N", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line]


class Snippet:
    def __init__(self, match):
        self.language, self.code, self.output = match[1], match[2], match[3]

    def packages(self):
        if self.language == "python":
            found = re.findall(r"^(?:import|from) ([\w.]+)", self.code, re.MULTILINE)
            return [name for name in found if name.split(".")[0] not in sys.stdlib_module_names]
        if self.language == "r":
            return sorted(set(re.findall(r"(\w+)::", self.code)))
        return []


def snippets(section=None):
    """Of the page, or of the section with that title."""
    text = PAGE.read_text(encoding="utf-8")
    if section:
        text = re.split(rf"^#+ {re.escape(section)}\n", text, flags=re.MULTILINE)[1]
        text = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    return [Snippet(match) for match in FENCE.finditer(text)]


def works(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False).returncode == 0
    except OSError:
        return False


@functools.lru_cache(maxsize=None)
def python_with(packages):
    """The first Python that can import them; None where none can."""
    code = "; ".join(f"import {name}" for name in packages) or "pass"
    candidates = [*os.environ.get("PERTURB_PYTHON", "").split(), *PYTHONS]
    return next((python for python in candidates if works(python, "-c", code)), None)


@functools.lru_cache(maxsize=None)
def duckdb():
    """Words before the SQL: the program, or a Python that has it; and its extension has to be there."""
    code = ("import csv, duckdb, sys; answer = duckdb.sql(sys.argv[1]); "
            "csv.writer(sys.stdout).writerows([answer.columns, *answer.fetchall()])")
    for command in (["duckdb", "-csv", "-c"], [python_with(("duckdb",)) or "none", "-c", code]):
        if works(*command, "install sqlite; load sqlite; select 1"):
            return command
    return None


def command_of(snippet):
    """(the words that run it, "") or (None, what is missing)."""
    packages = tuple(snippet.packages())
    if snippet.language == "python":
        python = python_with(packages)
        missing = "" if python else f"no Python here has {', '.join(packages)}"
        return [python, "-c", snippet.code], missing
    if snippet.language == "r":
        there = " && ".join(f"requireNamespace('{name}')" for name in packages)
        missing = "" if works("Rscript", "-e", f"stopifnot({there})") else \
            f"no R here with {', '.join(packages)}"
        return ["Rscript", "-e", snippet.code], missing
    if snippet.language == "sql":
        missing = "" if duckdb() else "no DuckDB here with its sqlite extension"
        return [*(duckdb() or []), snippet.code], missing
    assert snippet.language == "sh", snippet.language
    return ["sh", "-ec", snippet.code], ""


@needs_training
class Reading(ProgramTest):
    """One store for all; they only read it."""

    @classmethod
    def setUpClass(cls):
        cls.shared = None

    def setUp(self):
        super().setUp()
        self.environment["PATH"] = f"{pathlib.Path(PROGRAM).parent}:{self.environment['PATH']}"
        self.environment["LC_ALL"] = "C.UTF-8"
        self.environment["MPLCONFIGDIR"] = str(self.folder)
        self.file(snippets()[0].code, "reading.toml")
        if not Reading.shared:
            self.perturb("run", "reading.toml")
            Reading.shared = pathlib.Path(shutil.copytree(
                self.folder / ".perturb", f"{self.folder}-store"))
            self.addClassCleanup(shutil.rmtree, Reading.shared, ignore_errors=True)
        else:
            shutil.copytree(Reading.shared, self.folder / ".perturb")

    def run_section(self, title):
        """Skips by name what cannot run; the whole test where that is all of it."""
        reasons = []
        for snippet in snippets(title):
            command, missing = command_of(snippet)
            with self.subTest(snippet.code.splitlines()[0], language=snippet.language):
                if missing:
                    reasons.append(missing)
                    if len(reasons) < len(snippets(title)):
                        self.skipTest(missing)
                    continue
                done = subprocess.run(command, env=self.environment, cwd=self.folder,
                                      capture_output=True, text=True, timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                if os.environ.get("PERTURB_ACCEPT") and snippet.output is not None:
                    self.accept(snippet, done.stdout)
                elif snippet.output is not None:
                    self.assertEqual(shape(done.stdout), shape(snippet.output))
        self.assertTrue(snippets(title))
        if len(reasons) == len(snippets(title)):
            self.skipTest(", ".join(reasons))

    @staticmethod
    def accept(snippet, output):
        lines = "".join(line.rstrip() + "\n" for line in output.splitlines() if line.strip())
        page = PAGE.read_text(encoding="utf-8")
        before = f"{snippet.code}```\n```text\n"
        page = page.replace(before + snippet.output, before + lines)
        PAGE.write_text(page, encoding="utf-8")

    def test_python(self):
        self.run_section("Python")

    def test_r(self):
        self.run_section("R")

    def test_duckdb(self):
        self.run_section("DuckDB")

    def test_checkpoints(self):
        self.run_section("Checkpoints")

    def test_csv_and_json_lines(self):
        self.run_section("CSV and JSON lines")

    def test_in_a_spreadsheet(self):
        self.run_section("In a spreadsheet")

    def test_tensorboard(self):
        self.run_section("TensorBoard")


class Page(unittest.TestCase):
    def test_every_snippet_is_run_by_a_test(self):
        titles = re.findall(r"^#+ (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        tested = [title for title in titles
                  if hasattr(Reading, "test_" + re.sub(r"\W+", "_", title.lower()))]
        # The first is the experiment itself.
        self.assertEqual(sum(len(snippets(title)) for title in tested) + 1, len(snippets()))

    def test_a_shape_is_no_number_and_every_word(self):
        self.assertEqual(shape("a  1.25\n\nb -3e-05  NaN"), shape("a 0.5\nb      7 2"))
        self.assertNotEqual(shape("a 1"), shape("b 1"))
        self.assertNotEqual(shape("a 1"), shape("a 1 2"))
        self.assertNotEqual(shape("a 1\na 2"), shape("a 1"))


class Live(ProgramTest):
    """Beside a run that goes on; nothing is trained in earnest (pretend_engine.cpp)."""

    def test_the_store_is_read_while_a_run_writes(self):
        hold = self.folder / "hold"
        self.environment["PERTURB_TRAIN"] = os.environ["PERTURB_PRETEND"]
        file = self.file(snippets()[0].code, "reading.toml")
        self.perturb("run", file)
        hold.touch()
        self.environment["PERTURB_PRETEND_HOLD"] = str(hold)
        run = subprocess.Popen([PROGRAM, "run", file, "train.epochs=8", "-j", "1"],
                               env=self.environment, cwd=self.folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
        try:
            for line in run.stderr:
                if line.startswith("start"):
                    break
            ran = 0
            for section in ("Python", "R"):
                for snippet in snippets(section):
                    command, missing = command_of(snippet)
                    if missing:
                        continue
                    done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True,
                                          timeout=LIMIT, check=False)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(shape(done.stdout), shape(snippet.output))
                    ran += 1
            self.assertGreater(ran, 0)
            self.assertIsNone(run.poll(), "the run went on all the time")
        finally:
            hold.unlink()
            run.communicate(timeout=LIMIT)
        self.assertEqual(run.returncode, 0)
        self.assertEqual(self.json("plan", file, "train.epochs=8")["new"], 0)


if __name__ == "__main__":
    unittest.main()
