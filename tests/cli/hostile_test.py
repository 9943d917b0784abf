"""Texts that mean harm, through every output: names, labels, levels, metrics and messages out of
tests/hostile/corpus.json, in stores that the Store API wrote and in experiments of which nothing was
trained in earnest (pretend_engine.cpp).

The laws: on a terminal nothing comes out that moves the cursor, changes a mode, or turns the
direction of reading, but our own colours; CSV and JSON read back as the same text. A text that is no
UTF-8 goes through CSV byte for byte; JSON cannot hold it, and has U+FFFD in its place.
"""

import concurrent.futures
import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import select
import sqlite3
import struct
import subprocess
import termios
import tty
import unicodedata
import unittest

from cli_test import LIMIT, PROGRAM, ProgramTest
from page_reader import Reader

ENTRIES = json.loads((pathlib.Path(__file__).parents[1] / "hostile" / "corpus.json").read_text())
CORPUS = str(pathlib.Path(__file__).resolve().parents[1] / "hostile" / "corpus.json")
SGR = re.compile(r"\x1b\[[0-9;]*m")
BAR = re.compile(r"\x1b\[A\x1b\[2K")  # a line of a run's bar goes
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# Every number of ours is a seed or a rate; what is text is hostile.
EXPERIMENT = """
name = {name}
description = {description}
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
{data}
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 1
{more}
"""
IRIS = 'kind = "iris"\nbatch_size = 60'


def stored(entry):
    return bytes.fromhex(entry["hex"]) if "hex" in entry else entry["text"].encode()


def is_utf8(entry):
    return "hex" not in entry


def toml(text):
    """A basic string, everything but plain letters escaped."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


def rows_of(data):
    """CSV as its readers see it; bytes that are no UTF-8 become surrogates, as in file names."""
    return list(csv.reader(io.StringIO(data.decode(errors="surrogateescape"), newline="")))


def text_of(entry):
    """As `rows_of` gives it back."""
    return stored(entry).decode(errors="surrogateescape")


def skeleton(text):
    """What is left of a text that was no UTF-8 whatever stands for its bad bytes."""
    return "".join(c for c in text if c != "\ufffd" and not 0xD800 <= ord(c) < 0xE000)


class HostileTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.environment["PERTURB_TRAIN"] = os.environ["PERTURB_PRETEND"]
        self.environment["PERTURB_PRETEND_TEXTS"] = CORPUS

    def bytes(self, *arguments, codes=(0,)):
        done = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment,
                              cwd=self.folder, capture_output=True, timeout=LIMIT)
        self.assertIn(done.returncode, codes, (arguments, done.stderr))
        return done.stdout

    def terminal(self, *arguments, codes=(0,), color="auto", width=120):
        """What a terminal is sent, stdout and stderr together, held to the law."""
        parent, child = pty.openpty()
        tty.setraw(child)  # no \r before \n of the terminal's own
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        process = subprocess.Popen([PROGRAM, *map(str, arguments), "--color", color],
                                   env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=child, stderr=child)
        os.close(child)
        seen = b""
        while True:
            ready, _, _ = select.select([parent], [], [], LIMIT)
            self.assertTrue(ready, arguments)
            try:
                data = os.read(parent, 1 << 16)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(parent)
        self.assertIn(process.wait(LIMIT), codes, (arguments, seen))
        text = seen.decode()  # whatever was stored, a terminal gets UTF-8
        self.check_terminal(BAR.sub("", text) if arguments[0] == "run" else text,
                            color != "never", arguments)
        return text

    def check_terminal(self, text, color, what):
        plain = SGR.sub("", text) if color else text
        bad = {f"U+{ord(c):04X}" for c in plain
               if (unicodedata.category(c) == "Cc" and c != "\n") or c in DIRECTIONS}
        self.assertFalse(bad, f"{what}: {bad} in {plain[:2000]!r}")

    def page(self, file, *options):
        """Its report, held to the law of pages; and its plots, which are to be JSON."""
        page = self.folder / f"{pathlib.Path(file).stem}-page.html"
        self.terminal("report", file, "-o", page, *options)
        reader = Reader(page.read_text(encoding="utf-8"))
        reader.check_safe(self)
        return reader

    def every(self, entries, check):
        """`check` of each entry, several at a time; each failure names its entry."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = [(entry["name"], pool.submit(check, entry)) for entry in entries]
        for name, result in results:
            with self.subTest(name):
                result.result()


class Corpus(unittest.TestCase):
    def test_it_is_what_its_readers_expect(self):
        self.assertGreaterEqual(len(ENTRIES), 100)
        self.assertEqual(len({entry["name"] for entry in ENTRIES}), len(ENTRIES))
        self.assertEqual(len({stored(entry) for entry in ENTRIES}), len(ENTRIES))
        for entry in ENTRIES:
            self.assertLessEqual(set(entry), {"name", "text", "hex"})
            if "hex" in entry:
                with self.assertRaises(UnicodeDecodeError):
                    stored(entry).decode()


class Stored(HostileTest):
    """Whatever a store may hold."""

    def setUp(self):
        super().setUp()
        self.store = self.folder / "store"
        subprocess.run([os.environ["PERTURB_HOSTILE_STORE"], self.store, CORPUS], check=True,
                       timeout=LIMIT)

    def ask(self, sql, *options):
        return self.bytes("query", "--store", self.store, sql, *options)

    def test_csv_reads_back(self):
        names = [text_of(entry) for entry in ENTRIES]
        for column, table, where in (("experiment", "trials", "number = 0"),
                                     ("intervention", "trials", "number = 1"),
                                     ("message", "trials", "number = 1"),
                                     ("note", "trials", "number = 1"),
                                     ("metric", "results", "number = 1"),
                                     ("description", "experiments", "1"),
                                     ("command", "runs", "1")):
            with self.subTest(column):
                order = "rowid" if table in ("experiments", "runs") else "run, number"
                if table == "results":
                    sql = ("select r.metric from results as r join trials as t using "
                           "(experiment, number) where r.number = 1 order by t.run")
                else:
                    sql = f"select {column} from {table} where {where} order by {order}"
                rows = rows_of(self.ask(sql, "--csv"))
                self.assertEqual(rows[0], [column])
                self.assertEqual([row[0] for row in rows[1:]], names)

    def test_a_spreadsheet_computes_nothing(self):
        rows = rows_of(self.ask("select experiment, run from trials where number = 0 order by run",
                                "--spreadsheet"))
        begins = re.compile(r"^ *[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
        changed = 0
        for row, entry in zip(rows[1:], ENTRIES):
            text = text_of(entry)
            is_number = re.fullmatch(r"-?(\d+(\.\d*)?|inf)", text)
            if begins.match(text) and not is_number:
                self.assertEqual(row[0], "'" + text)
                changed += 1
            else:
                self.assertEqual(row[0], text)
        self.assertGreater(changed, 8)
        # Numbers stay numbers.
        self.assertEqual(self.ask("select -0.5, -1, 'x', '-1', '=x'", "--spreadsheet")
                         .splitlines()[1], b"-0.5,-1,x,-1,\"'=x\"")

    def test_json_reads_back(self):
        rows = json.loads(self.ask("select * from trials where number = 1 order by run", "--json"))
        self.assertEqual(len(rows), len(ENTRIES))
        for row, entry in zip(rows, ENTRIES):
            for column in ("experiment", "intervention", "message", "note"):
                if is_utf8(entry):
                    self.assertEqual(row[column], entry["text"])
                else:
                    self.assertEqual(skeleton(row[column]), skeleton(text_of(entry)))

    def test_tables_on_a_terminal(self):
        for color in ("always", "never"):
            for sql in ("select * from trials", "select * from results", "select * from contrasts",
                        "select * from experiments", "select * from runs"):
                text = self.terminal("query", "--store", self.store, sql, color=color)
                self.assertGreater(len(text.splitlines()), len(ENTRIES))
        self.assertIn(r"abc\u202egnp.exe",
                      self.terminal("query", "--store", self.store, "select experiment from trials"))

    def test_a_table_has_a_line_a_row(self):
        text = self.terminal("query", "--store", self.store, "select note from trials")
        self.assertEqual(len(text.splitlines()), 2 * len(ENTRIES) + 1)

    def test_column_names(self):
        for entry in ENTRIES:
            if not is_utf8(entry) or "\0" in entry["text"] or not entry["text"]:
                continue
            name = '"' + entry["text"].replace('"', '""') + '"'
            sql = f"select 1 as {name}"
            if len(sql) > 4000:
                continue
            with self.subTest(entry["name"]):
                self.terminal("query", "--store", self.store, sql)
                self.assertEqual(rows_of(self.ask(sql, "--csv"))[0], [entry["text"]])

    def test_status_of_the_store(self):
        self.terminal("status", "--store", self.store)
        found = json.loads(self.bytes("status", "--store", self.store, "--json"))
        self.assertEqual(sorted(skeleton(row["experiment"]) for row in found["experiments"]),
                         sorted(skeleton(text_of(entry)) for entry in ENTRIES))

    def test_trials_that_are_named(self):
        with sqlite3.connect(f"file:{self.store}/results.db?mode=ro", uri=True) as db:
            db.text_factory = bytes
            ids = {}
            for name, number, trial in db.execute("select experiment, number, trial from trials"):
                ids[name, number] = trial.decode()[:16]

        def check(entry):
            control, noise = ids[stored(entry), 0], ids[stored(entry), 1]
            self.terminal("diff", "--store", self.store, control, noise)
            self.terminal("why", "--store", self.store, noise)
            json.loads(self.bytes("diff", "--store", self.store, control, noise, "--json"))
            json.loads(self.bytes("why", "--store", self.store, noise, "--json"))
        self.every(ENTRIES, check)

    def test_watching(self):
        text = self.terminal("query", "--store", self.store, "select count(*) from runs")
        self.assertIn(str(len(ENTRIES)), text)
        text = self.bytes("status", "--store", self.store, "--watch").decode()
        self.check_terminal(text, False, "status --watch")

    def test_upkeep(self):
        self.terminal("verify", "--store", self.store, codes=(0, 6))
        self.terminal("gc", "--store", self.store)


class Declared(HostileTest):
    """Whatever an experiment file may say."""

    def experiment(self, number, name="x", description="", data=IRIS, more=""):
        return self.file(EXPERIMENT.format(name=toml(name), description=toml(description), data=data,
                                           more=more), f"{number}.toml")

    def test_names_and_descriptions(self):
        entries = [entry for entry in ENTRIES if is_utf8(entry)]
        numbers = {entry["name"]: number for number, entry in enumerate(entries)}

        def check(entry):
            text = entry["text"]
            name = text if len(text.encode()) <= 200 else "long"
            # Without a name it is the file's.
            named = name or str(numbers[entry["name"]])
            file = self.experiment(numbers[entry["name"]], name, text)
            store = ("--store", self.folder / f"store-{numbers[entry['name']]}")
            for command in ("check", "plan", "show", "status"):
                self.terminal(command, file, *store)
            self.assertEqual(json.loads(self.bytes("plan", file, "--json", *store))["name"], named)
            self.assertEqual(json.loads(self.bytes("status", file, "--json", *store))["name"],
                             named)
            title = self.page(file, *store).title
            if named.isprintable() and named.strip() == named:
                self.assertEqual(title, named)
        self.every(entries, check)

    def test_a_name_that_is_too_long_is_refused_in_a_line(self):
        file = self.experiment(0, "\x1b[2J" + "x" * 10_000)
        self.assertLess(len(self.terminal("check", file, codes=(2,))), 2000)

    def test_exports_of_a_name(self):
        for number, entry in enumerate(entry for entry in ENTRIES if is_utf8(entry)):
            if len(entry["text"].encode()) > 200 or number % 8:
                continue  # every eighth: each is a run
            with self.subTest(entry["name"]):
                file = self.experiment(number, entry["text"], entry["text"])
                store = ("--store", self.folder / f"export-{number}")
                self.terminal("run", file, "-j", 1, *store)
                rows = rows_of(self.bytes("export", file, "--table", "results", *store))
                name = entry["text"] or str(number)
                self.assertEqual({row[0] for row in rows[1:]}, {name})
                lines = self.bytes("export", file, "--format", "jsonl", *store).splitlines()
                self.assertEqual({json.loads(line)["experiment"] for line in lines}, {name})

    def test_messages_of_failures(self):
        file = self.experiment(0, more="[[variations]]\nseeds.sample = { range = [0, %d] }\n"
                               % (len(ENTRIES) + 1))
        self.terminal("run", file, "-j", 2, codes=(1,))
        self.terminal("run", file, "-q", "-j", 2, codes=(1,), color="never")
        for command in ("status", "show", "plan", "why"):
            self.terminal(command, file)
        self.terminal("why", file, "--all")
        failures = json.loads(self.bytes("status", file, "--json"))["failures"]
        self.assertEqual([skeleton(row["message"]) for row in failures],
                         [skeleton(text_of(entry)) for entry in ENTRIES])
        said = [row[-1] for row in self.page(file).rows["failures"][1:]]
        self.assertEqual(len(said), len(ENTRIES))
        for text, entry in zip(said, ENTRIES):
            if is_utf8(entry) and entry["text"].isprintable():
                self.assertEqual(text, entry["text"])

    def test_levels_of_a_factor(self):
        """Columns of a table are text that an experiment may vary over."""
        levels = [entry["text"] for entry in ENTRIES if is_utf8(entry) and entry["text"].strip()
                  and "\0" not in entry["text"] and entry["name"] != "byte order mark"]
        table = io.StringIO(newline="")
        writer = csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(levels)
        for row in range(12):
            writer.writerow([str(row % 3)] * len(levels))
        (self.folder / "table.csv").write_text(table.getvalue(), encoding="utf-8", newline="")
        data = 'kind = "csv"\nfile = "table.csv"\nbatch_size = 4'
        more = ("[[variations]]\ndata.target = [%s]\n[[interventions]]\nset.optimizer.lr = 0.2\n"
                % ", ".join(map(toml, levels)))
        file = self.experiment(0, data=data, more=more)
        self.terminal("check", file)
        self.terminal("plan", file, "--all")
        self.terminal("run", file, "-j", 1)
        for arguments in (["show"], ["show", "--all"], ["show", "--all", "--seeds"], ["status"],
                          ["why", "--all"]):
            for color in ("always", "never"):
                self.terminal(arguments[0], file, *arguments[1:], color=color)

        for options in ([], ["--seeds"]):
            rows = rows_of(self.bytes("show", file, "--csv", *options))
            column = rows[0].index("data.target")
            self.assertEqual({row[column] for row in rows[1:]}, set(levels))
            found = json.loads(self.bytes("show", file, "--json", *options))
            self.assertEqual({row["levels"]["data.target"] for row in found["rows"]}, set(levels))
        for table in ("results", "contrasts"):
            rows = rows_of(self.bytes("export", file, "--table", table))
            column = rows[0].index("data.target")
            self.assertEqual({row[column] for row in rows[1:]}, set(levels))
            lines = self.bytes("export", file, "--table", table, "--format", "jsonl").splitlines()
            self.assertEqual({json.loads(line)["data.target"] for line in lines}, set(levels))
        shown = {cell for row in self.page(file).rows["trials"] for cell in row}
        missing = {level for level in levels if level.isprintable()} - shown
        self.assertFalse(missing)
        # For a spreadsheet, and the same through all three doors.
        for arguments in (["show", file], ["export", file],
                          ["query", file, 'select "data.target" from trials']):
            rows = rows_of(self.bytes(*arguments, "--spreadsheet"))
            column = rows[0].index("data.target")
            seen = {row[column] for row in rows[1:]}
            self.assertIn("'=1+1", seen)
            self.assertNotIn("=1+1", seen)
            self.assertIn("00123", seen)

    def test_what_is_wrong_is_said_in_plain_text(self):
        """Keys, values, overrides and paths that no experiment has."""
        for number, entry in enumerate(entry for entry in ENTRIES if is_utf8(entry)):
            text = entry["text"]
            if len(text) > 500 or number % 4:
                continue  # every fourth: each is four processes
            with self.subTest(entry["name"]):
                more = f"{toml(text)} = 1\n[plots]\n" if text else ""
                self.terminal("check", self.experiment(number, more=more), codes=(0, 2))
                raw = self.folder / f"raw-{number}.toml"
                raw.write_text(f"name = \"x\"\n[model]\nkind = \"{text}\"\n", encoding="utf-8",
                               newline="")
                self.terminal("check", raw, codes=(2,))
                if "\0" in text:
                    continue
                good = self.experiment(f"good-{number}")
                self.terminal("plan", good, f"{text}=1", codes=(2,))
                self.terminal("plan", good, f"model.kind={text}", codes=(0, 2))
                self.terminal("check", self.folder / f"absent{text.replace('/', '_')[:40]}.toml",
                              codes=(2, 5))


if __name__ == "__main__":
    unittest.main()
