"""`perturb verify`, `gc` and `export`: a store that was damaged, cleaned and copied from.

Checkpoints are read here as their users read them, by the safetensors format alone. Nothing
outside a temporary folder is written.
"""

import csv
import hashlib
import io
import json
import math
import pathlib
import signal
import sqlite3
import struct
import subprocess
import unittest

from cli_test import LIMIT, PROGRAM, TINY, ProgramTest, needs_training

DONE, USAGE, STORE, LOCKED, FOUND = 0, 2, 3, 4, 6
STEPS = 2 * -(-120 // 16)  # iris trains on 120 of its 150 rows


def safetensors(path):
    """(metadata, {name: (shape, values)}), by the format's description."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    covered = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        assert entry["dtype"] == "F32", entry
        begin, end = entry["data_offsets"]
        assert begin == covered and end - begin == 4 * math.prod(entry["shape"]), entry
        covered = end
        values = struct.unpack_from(f"<{(end - begin) // 4}f", data, 8 + length + begin)
        tensors[name] = (entry["shape"], values)
    assert 8 + length + covered == len(data)
    return metadata, tensors


class Nothing(ProgramTest):
    def test_there_is_no_store(self):
        for arguments in (["verify"], ["verify", "--repair"], ["gc"], ["gc", "--apply"],
                          ["export", "--checkpoint", "abcd"]):
            with self.subTest(arguments):
                self.assertIn("no store", self.perturb(*arguments, code=USAGE).stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_wrong_usage_of_export(self):
        self.assertIn("--checkpoint", self.perturb("export", code=USAGE).stderr)
        self.assertIn("experiment file", self.perturb("export", "--format", "csv", code=USAGE).stderr)
        for arguments in (["--step", "3"], ["--format", "xml"], ["--step", "x", "--checkpoint", "a"],
                          ["--format", "csv", "--checkpoint", "abcd"]):
            with self.subTest(arguments):
                self.assertIn("--help", self.perturb("export", *arguments, code=USAGE).stderr)

    def test_completion_knows_them(self):
        def words(*words):
            text = self.perturb("completion", "words", "--", *words).stdout
            return [line.split("\t")[0] for line in text.splitlines()]
        self.assertIn("verify", words("ver"))
        self.assertIn("gc", words("g"))
        self.assertIn("export", words("exp"))
        self.assertEqual(words("verify", ""), [":files"])
        self.assertEqual(words("gc", "x.toml", ""), [])
        self.assertEqual(words("export", "--format", ""), ["csv", "jsonl"])
        self.assertIn("--apply", words("gc", "--a"))


@needs_training
class Upkeep(ProgramTest):
    def setUp(self):
        super().setUp()
        self.experiment = self.file(TINY + '[checkpoints]\nevery = { epochs = 1 }\nkeep = "all"\n')
        self.perturb("run", self.experiment, "-j", 1)
        self.store = self.folder / ".perturb"

    def blobs(self):
        return sorted(self.store.glob("blobs/*/*"))

    def listing(self):
        """Names and bytes of everything but what SQLite keeps beside the database."""
        return {str(path.relative_to(self.store)): path.read_bytes()
                for path in sorted(self.store.rglob("*"))
                if path.is_file() and not path.name.startswith(("results.db-", "lock"))}

    def rows(self, sql):
        db = sqlite3.connect(f"file:{self.store}/results.db?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def damage(self, path):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    # Verify.

    def test_a_store_that_was_only_used_is_clean(self):
        before = self.listing()
        self.assertIn("nothing is wrong", self.perturb("verify").stdout)
        found = self.json("verify", self.experiment)
        self.assertEqual((found["damaged"], found["unused"], found["findings"]), (0, 0, []))
        self.assertEqual(found["checkpoints"], len(self.blobs()))
        self.assertEqual(found["bytes"], sum(path.stat().st_size for path in self.blobs()))
        self.assertEqual(self.listing(), before)

    def test_damage_is_found_repaired_and_trained_again(self):
        results = self.perturb("query", self.experiment, "select * from results").stdout
        flipped, missing = self.blobs()[0], self.blobs()[1]
        self.damage(flipped)
        missing.unlink()

        text = self.perturb("verify", code=FOUND).stdout
        self.assertIn("damaged", text)
        self.assertIn(flipped.name, text)
        self.assertIn("--repair", text)
        found = self.json("verify", code=FOUND)
        self.assertEqual({finding["kind"] for finding in found["findings"]}, {"bytes", "missing"})
        self.assertFalse(any(finding["repaired"] for finding in found["findings"]))

        repaired = self.json("verify", "--repair")
        self.assertEqual(repaired["repaired"], 2)
        self.assertTrue(all(finding["repaired"] for finding in repaired["findings"]))
        self.assertFalse(flipped.exists())
        self.assertIn("nothing is wrong", self.perturb("verify").stdout)
        self.assertEqual(self.perturb("query", self.experiment, "select * from results").stdout,
                         results)

        # Going on for longer is the same as never having lost them.
        self.perturb("run", self.experiment, "train.epochs=3")
        self.perturb("run", self.experiment, "train.epochs=3", "--store", self.folder / "fresh")
        dumps = [self.perturb("query", "--store", store,
                              "select * from results order by number, step, metric").stdout
                 for store in (self.store, self.folder / "fresh")]
        self.assertEqual(*dumps)
        self.perturb("verify")

    def test_repairing_says_what_it_did(self):
        self.damage(self.blobs()[0])
        text = self.perturb("verify", "--repair").stdout
        self.assertIn("repaired", text)
        self.assertIn("forgot 1 checkpoint", text)

    def test_what_is_unused_is_no_damage(self):
        (self.store / "blobs" / "00").mkdir(exist_ok=True)
        (self.store / "blobs" / "00" / ("0" * 64)).write_bytes(b"unused")
        done = self.perturb("verify")
        self.assertIn("nothing is wrong", done.stdout)
        self.assertIn("perturb gc", done.stdout)
        self.assertEqual(self.json("verify")["unused"], 1)

    def test_a_database_that_is_damaged_is_not_written_to(self):
        db = sqlite3.connect(self.store / "results.db")
        db.execute("update trial_states set state = 12345 where trial = 1")
        db.commit()
        db.close()
        self.blobs()[0].unlink()
        for arguments in (["verify"], ["verify", "--repair"]):
            text = self.perturb(*arguments, code=FOUND).stdout
            self.assertIn("results.db", text)
            self.assertIn("VACUUM INTO", text)
        self.assertEqual(self.json("verify", "--repair", code=FOUND)["repaired"], 0)
        (self.store / "results.db").write_bytes(b"no database")
        for suffix in ("-wal", "-shm"):
            (self.store / f"results.db{suffix}").unlink(missing_ok=True)
        self.assertIn("not a database", self.perturb("verify", code=STORE).stderr)

    # Removing.

    def test_gc_lists_and_then_removes_what_it_listed(self):
        (self.store / "work-1" / "records").mkdir(parents=True)
        (self.store / "work-1" / "records" / "0-0.0.json").write_text("{}")
        half = self.blobs()[0].with_name(self.blobs()[0].name + ".tmp-1-0")
        half.write_bytes(b"half")
        before = self.listing()
        listed = self.json("gc")
        self.assertEqual(self.listing(), before)
        self.assertFalse(listed["applied"])
        self.assertEqual({item["kind"] for item in listed["items"]}, {"work", "temporary"})
        self.assertEqual(listed["bytes"], 6)
        self.assertIn("--apply", self.perturb("gc", self.experiment).stdout)

        removed = self.json("gc", "--apply")
        self.assertTrue(removed["applied"])
        self.assertEqual(removed["items"], listed["items"])
        gone = {str(half.relative_to(self.store)), "work-1/records/0-0.0.json"}
        self.assertEqual(set(before) - set(self.listing()), gone)
        self.assertFalse((self.store / "work-1").exists())
        self.assertIn("nothing that could go", self.perturb("gc").stdout)

    def test_gc_follows_what_the_experiments_keep(self):
        wanted = len(self.blobs())
        self.assertEqual(wanted, 2 * 9)
        # Declared anew, without training: what is kept changes, and gc acts on it.
        text = pathlib.Path(self.experiment).read_text()
        pathlib.Path(self.experiment).write_text(text.replace('keep = "all"', 'keep = "last"'))
        self.perturb("run", self.experiment)
        removed = self.json("gc", "--apply")
        self.assertEqual([item["kind"] for item in removed["items"]], ["checkpoint"] * 9)
        self.assertEqual(len(self.blobs()), 9)
        self.assertEqual(self.rows("select distinct step from checkpoints"), [(STEPS,)])
        self.perturb("verify")
        # Another experiment that shares trials keeps what this one does not.
        other = self.file(text.replace('"tiny"', '"other"').replace('keep = "all"', 'keep = "last"'),
                          "other.toml")
        self.perturb("run", other)
        pathlib.Path(self.experiment).write_text(text.replace('keep = "all"', 'keep = "needed"'))
        self.perturb("run", self.experiment)
        self.assertEqual(self.json("gc", "--apply")["items"], [])
        pathlib.Path(other).write_text(pathlib.Path(other).read_text().replace("last", "needed"))
        self.perturb("run", other)
        self.assertEqual(len(self.json("gc", "--apply")["items"]), 9)
        self.assertEqual(self.blobs(), [])
        self.perturb("verify")

    def test_a_run_that_goes_on_keeps_out_who_would_write(self):
        process = subprocess.Popen([PROGRAM, "run", self.experiment, "train.epochs=50000", "-j", "1"],
                                   env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if line.startswith("start"):
                    break
            for arguments in (["gc", "--apply"], ["verify", "--repair"]):
                done = self.perturb(*arguments, code=LOCKED)
                self.assertIn(str(process.pid), done.stderr)
            self.assertIn("a run goes on", self.perturb("gc").stderr)
            self.perturb("verify")
            self.perturb("export", self.experiment, "--checkpoint", "0", "-o", self.folder / "x")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=LIMIT)

    # Export.

    def test_a_checkpoint_is_a_file_that_others_read(self):
        out = self.folder / "control.safetensors"
        done = self.json("export", self.experiment, "--checkpoint", "0", "-o", out)
        self.assertEqual((done["file"], done["step"]), (str(out), STEPS))
        self.assertEqual(done["sha256"], hashlib.sha256(out.read_bytes()).hexdigest())
        self.assertEqual(done["bytes"], out.stat().st_size)
        metadata, tensors = safetensors(out)
        self.assertEqual(metadata["step"], str(STEPS))
        self.assertEqual(metadata["optimizer"], "sgd")
        self.assertEqual(metadata["format"], "pt")
        shapes = sorted(shape for shape, _ in tensors.values())
        # 4 features, 8 hidden units, 3 classes: two weights, two biases, and what moments there are.
        expected = sorted([[8, 4], [8], [3, 8], [3]])
        moments = [shape for name, (shape, _) in tensors.items() if name.startswith("optimizer.")]
        self.assertEqual(shapes, sorted(expected + moments))
        self.assertTrue(all(shape == [8 * 4 + 8 + 3 * 8 + 3] for shape in moments))
        for _, values in tensors.values():
            self.assertTrue(all(math.isfinite(value) for value in values))

    def test_a_trial_is_named_in_three_ways_and_its_steps_are_told(self):
        trial = self.rows("select trial from trials where number = 1")[0][0]
        for name, file in ((trial[:10], []), (trial, []), ("tiny:1", []), ("1", [self.experiment])):
            with self.subTest(name):
                out = self.folder / f"{name.replace(':', '-')}.safetensors"
                done = self.json("export", *file, "--checkpoint", name, "-o", out)
                self.assertEqual(done["trial"], trial)
        named = self.perturb("export", "--checkpoint", trial[:12], "--step", STEPS // 2)
        self.assertIn(f"{trial[:12]}-{STEPS // 2}.safetensors", named.stdout)
        metadata, _ = safetensors(self.folder / f"{trial[:12]}-{STEPS // 2}.safetensors")
        self.assertEqual(metadata["step"], str(STEPS // 2))

        wrong = self.perturb("export", "--checkpoint", trial, "--step", 3, code=USAGE).stderr
        self.assertIn(f"{STEPS // 2} and {STEPS}", wrong)
        self.assertIn("9 trials", self.perturb("export", self.experiment, "--checkpoint", "99",
                                               code=USAGE).stderr)
        for name in ("ffff", "7", "xyz"):
            self.perturb("export", "--checkpoint", name, code=USAGE)

    def test_nothing_is_overwritten_unasked(self):
        out = self.folder / "mine"
        out.write_text("mine")
        for arguments in (["--checkpoint", "0"], ["--format", "csv"]):
            done = self.perturb("export", self.experiment, *arguments, "-o", out, code=USAGE)
            self.assertIn("--force", done.stderr)
            self.assertEqual(out.read_text(), "mine")
        self.perturb("export", self.experiment, "--checkpoint", "0", "-o", out, "--force")
        safetensors(out)
        # Whatever is no file stays, also when forced.
        link = self.folder / "link"
        link.symlink_to(out)
        for place in (self.folder, link, "/dev/null"):
            self.perturb("export", self.experiment, "--checkpoint", "0", "-o", place, "--force",
                         code=USAGE)
        self.assertTrue(link.is_symlink())
        self.assertFalse([path.name for path in self.folder.iterdir() if ".tmp-" in path.name])

    def test_a_damaged_checkpoint_is_not_handed_out(self):
        for path in self.blobs():
            self.damage(path)
        done = self.perturb("export", self.experiment, "--checkpoint", "0", code=STORE)
        self.assertIn("verify --repair", done.stderr)
        self.assertEqual(list(self.folder.glob("*.safetensors")), [])
        self.perturb("verify", "--repair")
        done = self.perturb("export", self.experiment, "--checkpoint", "0", code=USAGE)
        self.assertIn("no checkpoint", done.stderr)

    def test_results_come_back_as_they_were(self):
        db = sqlite3.connect(self.store / "results.db")
        # What training rarely leaves: NaN is null, and an infinity.
        states = [row[0] for row in db.execute("select state from measurements order by state limit 9")]
        db.execute("update measurements set value = null where state = ?", (states[0],))
        db.execute("update measurements set value = -9e999 where state = ?", (states[-1],))
        db.commit()
        db.close()
        rows = self.rows("select number, step, metric, value from results "
                         "where experiment = 'tiny' order by number, step, metric")
        self.assertIn(None, [row[3] for row in rows])
        self.assertIn(-math.inf, [row[3] for row in rows])

        out = self.folder / "results.csv"
        self.assertEqual(self.perturb("export", self.experiment, "--format", "csv", "-o", out).stdout, "")
        text = out.read_text(encoding="utf-8")
        self.assertEqual(self.perturb("export", self.experiment, "--format", "csv").stdout, text)
        read = [(int(row["number"]), int(row["step"]), row["metric"],
                 float(row["value"]) if row["value"] else None)
                for row in csv.DictReader(io.StringIO(text, newline=""))]
        self.assertEqual(read, rows)
        self.assertIn(",-inf,", text)

        lines = self.perturb("export", self.experiment, "--format", "jsonl").stdout.splitlines()
        values = [json.loads(line) for line in lines]
        self.assertEqual([(row["number"], row["step"], row["metric"],
                           float(row["value"]) if row["value"] is not None else None)
                          for row in values], rows)
        self.assertEqual(list(values[0]), next(csv.reader(io.StringIO(text))))

    def test_an_experiment_that_never_ran_has_no_results(self):
        other = self.file(TINY.replace('"tiny"', '"other"'), "other.toml")
        self.assertIn("perturb run", self.perturb("export", other, "--format", "csv",
                                                  code=USAGE).stderr)


if __name__ == "__main__":
    unittest.main()
