"""Weights that PyTorch trained: `perturb import`, and networks that start from them.

The files are PyTorch's own and the losses are what PyTorch computes (tests/reference/state_dicts.py). What trains is
skipped where the training half is not built.
"""

import json
import lzma
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import tempfile
import unittest
import zipfile

PROGRAM = os.environ["PERTURB"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
STATE_DICTS = ROOT / "tests" / "core" / "state_dicts"
EXPECTED = json.loads((STATE_DICTS / "expected.json").read_text(encoding="utf-8"))
LIMIT = 120  # seconds; a bound on what hangs, not a measurement
TRAINS = bool(os.environ.get("PERTURB_TRAIN")) or \
    pathlib.Path(PROGRAM).with_name("libperturb_train.so").exists()
needs_training = unittest.skipUnless(TRAINS, "the training half is not built")

MLP = """
[model]
kind = "mlp"
hidden = [8]
weights = "mlp.safetensors"
weights_names = ["0.*=fc1.*", "2.*=fc2.*"]
[data]
kind = "csv"
file = "data.csv"
standardise = false
test_fraction = 0.4
batch_size = 6
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 1
[[metrics]]
kind = "loss"
on = ["train", "test"]
every = [0, 3]
[checkpoints]
every = "epoch"
"""

RESNET = """
[model]
kind = "resnet20"
weights = "resnet20.safetensors"
[data]
kind = "mnist"
batch_size = 8
[optimizer]
kind = "sgd"
lr = 0.01
[train]
epochs = 1
[[metrics]]
kind = "loss"
on = ["train", "test"]
every = [0]
"""


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-import-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        for name in ("LD_LIBRARY_PATH", "PERTURB_TRAIN"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        shutil.copy(STATE_DICTS / "data.csv", self.folder)

    def perturb(self, *arguments, code=0):
        """The finished process; its exit code is checked."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment, timeout=LIMIT,
                              capture_output=True, text=True, encoding="utf-8", cwd=self.folder)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def file(self, text, name="x.toml"):
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def import_mlp(self, name="mlp.safetensors", source="mlp.pt", *arguments):
        self.perturb("import", STATE_DICTS / source, "-o", name, *arguments)

    def ids(self, file, *overrides):
        plan = json.loads(self.perturb("plan", file, *overrides, "--all", "--json").stdout)
        return [trial["trial"] for trial in plan["matrix"]]

    def loss_at(self, file, step):
        """Over training and test examples together: which is which, nobody outside knows."""
        lines = self.perturb("export", file, "--table", "results", "--format", "jsonl").stdout.splitlines()
        rows = {row["metric"]: row["value"] for row in map(json.loads, lines) if row["step"] == step}
        return rows["train.loss"], rows["test.loss"]


class Import(Program):
    def test_it_lists_and_writes_what_was_saved(self):
        done = self.perturb("import", STATE_DICTS / "kinds.pt")
        self.assertIn("kinds.safetensors: 13 tensors", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^transposed +\(4, 3\) +F32$")
        bytes = (self.folder / "kinds.safetensors").read_bytes()
        header = json.loads(bytes[8:8 + struct.unpack("<Q", bytes[:8])[0]])
        self.assertEqual(header["brain"]["dtype"], "BF16")
        self.assertEqual(header["scalar"]["shape"], [])
        self.assertIn("there is already", self.perturb("import", STATE_DICTS / "kinds.pt", code=2).stderr)
        self.perturb("import", STATE_DICTS / "kinds.pt", "--force")

    def test_names_are_mapped(self):
        done = self.perturb("import", STATE_DICTS / "parallel.pt", "--names", "module.*=*", "--names", "0.*=fc1.*",
                            "--names", "2.bias=", "--json")
        self.assertEqual([tensor["name"] for tensor in json.loads(done.stdout)["tensors"]],
                         ["fc1.weight", "fc1.bias", "2.weight"])
        twice = self.perturb("import", STATE_DICTS / "mlp.pt", "--names", "0.weight=x", "--names", "0.bias=x", code=2)
        self.assertIn("would be a second x", twice.stderr)
        self.assertIn("renames nothing", self.perturb("import", STATE_DICTS / "mlp.pt", "--names", "x", code=2).stderr)
        self.assertFalse((self.folder / "mlp.safetensors").exists())

    def test_an_entry_of_a_checkpoint(self):
        self.assertIn("--entry model", self.perturb("import", STATE_DICTS / "checkpoint.pt", code=2).stderr)
        self.perturb("import", STATE_DICTS / "checkpoint.pt", "--entry", "model")
        self.import_mlp()
        self.assertEqual((self.folder / "checkpoint.safetensors").read_bytes(),
                         (self.folder / "mlp.safetensors").read_bytes())

    def test_a_pickle_that_would_run_something_does_not(self):
        class Evil:
            def __reduce__(self):
                return os.system, ("touch ran",)
        with zipfile.ZipFile(self.folder / "evil.pt", "w") as archive:
            archive.writestr("evil/data.pkl", pickle.dumps({"weight": Evil()}, protocol=2))
        done = self.perturb("import", "evil.pt", code=2)
        self.assertRegex(done.stderr, r"it would use (posix|os)\.system")
        self.assertFalse((self.folder / "ran").exists())
        self.assertFalse((self.folder / "evil.safetensors").exists())

    def test_what_is_something_else(self):
        for name, said in [("legacy.pt", "before version 1.6"), ("whole_model.pt", "torch.nn.modules"),
                           ("script.pt", "TorchScript"), ("data.csv", "not one that torch.save wrote")]:
            with self.subTest(name):
                self.assertIn(said, self.perturb("import", STATE_DICTS / name, code=2).stderr)
        self.perturb("import", "absent.pt", code=5)
        shown = self.folder / "a\x1b[31mb.pt"
        shown.write_bytes(b"x")
        self.assertNotIn("\x1b", self.perturb("import", shown, code=2).stderr)


class Check(Program):
    """What is wrong with a file of weights, before anything is trained."""

    def wrong(self, text):
        return self.perturb("check", self.file(text), code=2).stderr

    def test_a_mismatch_has_its_line_and_an_example_that_mends_it(self):
        self.import_mlp()
        said = self.wrong(MLP.replace('weights_names = ["0.*=fc1.*", "2.*=fc2.*"]\n', ""))
        self.assertEqual(said, """\
x.toml:5:1: error: mlp.safetensors does not fit the model "mlp": the file lacks fc1.weight, fc1.bias, fc2.weight, \
fc2.bias; the network has no 0.weight, 0.bias, 2.weight, 2.bias
     5 | weights = "mlp.safetensors"
       | ^
  if they are the same under other names: weights_names = ["0.*=fc1.*", "2.*=fc2.*"]

""")
        self.perturb("check", self.file(MLP))

    def test_each_level_of_a_variation_is_looked_at(self):
        self.import_mlp()
        self.import_mlp("parallel.safetensors", "parallel.pt")
        text = MLP + '[[variations]]\nmodel.weights = ["mlp.safetensors", "parallel.safetensors", "absent"]\n'
        said = self.wrong(text)
        self.assertIn("there is no file", said)
        said = self.wrong(text.replace(', "absent"', ""))
        self.assertIn("parallel.safetensors does not fit", said)
        self.assertNotIn("error: mlp.safetensors", said)
        said = self.wrong(MLP + '[[interventions]]\nset.model.weights = "parallel.safetensors"\n')
        self.assertIn("parallel.safetensors does not fit", said)

    def test_files_of_pytorch_are_imported_first(self):
        for name in ("mlp.pt", "legacy.pt"):
            shutil.copy(STATE_DICTS / name, self.folder)
            self.assertIn("`perturb import", self.wrong(MLP.replace("mlp.safetensors", name)))

    def test_seeds_that_draw_nothing_are_warned_of(self):
        self.import_mlp()
        done = self.perturb("check", self.file(MLP + "[[variations]]\nseeds.init = [0, 1]\n"))
        self.assertIn("x.toml:5:1: warning: \"seeds.init\" varies", done.stderr)
        self.assertEqual(self.perturb("check", self.file(MLP)).stderr, "")

    def test_rules_that_are_none(self):
        self.import_mlp()
        self.assertIn("a * has to stand on both sides", self.wrong(MLP.replace('"2.*=fc2.*"', '"2.*=fc2"')))

    def test_damage(self):
        self.import_mlp()
        path = self.folder / "mlp.safetensors"
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole[:40], b"", b"\xff" * 100):
            path.write_bytes(damaged)
            self.assertIn("mlp.safetensors: not a valid safetensors file", self.wrong(MLP))

    def test_a_file_that_is_held_to_its_content(self):
        self.import_mlp()
        self.assertIn("weights_sha256 says 00", self.wrong(MLP.replace("hidden", 'weights_sha256 = "00"\nhidden')))


class Identity(Program):
    def test_it_is_the_content_that_counts(self):
        self.import_mlp()
        file = self.file(MLP)
        before = self.ids(file)
        self.assertNotEqual(before, self.ids(file, 'model.weights_names=["0.*=fc1.*", "2.*=fc2.*", "x=y"]'))
        # Under another name, in another place: the same trial.
        (self.folder / "elsewhere").mkdir()
        shutil.copy(self.folder / "mlp.safetensors", self.folder / "elsewhere" / "other.safetensors")
        self.assertEqual(before, self.ids(file, "model.weights=elsewhere/other.safetensors"))
        # One bit of one weight: another.
        path = self.folder / "mlp.safetensors"
        changed = bytearray(path.read_bytes())
        changed[-1] ^= 1
        path.write_bytes(changed)
        self.assertNotEqual(before, self.ids(file))

    def test_a_network_without_a_file_is_the_trial_that_it_was(self):
        text = MLP.replace('weights = "mlp.safetensors"\nweights_names = ["0.*=fc1.*", "2.*=fc2.*"]\n', "")
        self.assertNotIn("weights", text)
        self.assertEqual(self.ids(self.file(text)),
                         self.ids(self.file(text.replace("hidden", "weights_names = []\nhidden"), "y.toml")))


@needs_training
class Train(Program):
    def test_an_mlp_computes_what_pytorch_computes(self):
        losses = []
        for source, names in [("mlp.pt", []), ("parallel.pt", ["--names", "module.*=*"])]:
            self.import_mlp("mlp.safetensors", source, "--force", *names)
            file = self.file(MLP, f"{source}.toml")
            self.perturb("run", file, "--store", source)
            train, test = self.loss_at_store(file, source)
            self.assertAlmostEqual((18 * train + 12 * test) / 30, EXPECTED["mlp"], delta=1e-5)
            losses.append((train, test))
        self.assertEqual(*losses)

    def loss_at_store(self, file, store):
        self.environment["PERTURB_STORE"] = store
        return self.loss_at(file, 0)

    def test_a_residual_network_with_its_running_statistics(self):
        """Its weights lie in PyTorch's file with the channels last."""
        (self.folder / "resnet20.pt").write_bytes(lzma.decompress((STATE_DICTS / "resnet20.pt.xz").read_bytes()))
        self.perturb("import", "resnet20.pt")
        data = self.folder / "data" / "mnist"
        data.mkdir(parents=True)
        for part, numbers in [("train", range(16)), ("t10k", range(16, 24))]:
            pixels = bytes((n * 131 + k * k * 7 + k) % 256 for n in numbers for k in range(784))
            count = len(numbers)
            (data / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + pixels)
            (data / f"{part}-labels-idx1-ubyte").write_bytes(
                struct.pack(">II", 2049, count) + bytes(n % 10 for n in numbers))
        file = self.file(RESNET)
        self.perturb("run", file)
        train, test = self.loss_at(file, 0)
        self.assertAlmostEqual((16 * train + 8 * test) / 24, EXPECTED["resnet20"], delta=1e-5)

    def test_a_checkpoint_of_our_own_is_a_start_too(self):
        self.import_mlp()
        file = self.file(MLP)
        self.perturb("run", file)
        self.perturb("export", file, "--checkpoint", "0", "--step", "3", "-o", "after.safetensors")
        text = MLP.replace("mlp.safetensors", "after.safetensors").replace('"0.*=fc1.*", "2.*=fc2.*"', "")
        again = self.file(text, "again.toml")
        self.perturb("run", again)
        # Not about: the same bits.
        self.assertEqual(self.loss_at(again, 0), self.loss_at(file, 3))

    def test_in_processes_of_their_own_the_same_bits(self):
        self.import_mlp()
        file = self.file(MLP + "[[variations]]\nseeds.shuffle = [0, 1]\n"
                               "[[interventions]]\nkind = \"perturb-weights\"\nepsilon = 0.1\n")
        dumps = []
        for store, more in [("a", []), ("b", ["--isolate", "-j", "2"])]:
            self.environment["PERTURB_STORE"] = store
            self.perturb("run", file, *more)
            dumps.append(self.perturb("export", file, "--table", "results").stdout)
        self.assertEqual(*dumps)

    def test_shapes_are_compared_where_the_network_is_made(self):
        self.import_mlp()
        file = self.file(MLP.replace("hidden = [8]", "hidden = [9]"))
        done = self.perturb("run", file, code=1)
        self.assertIn("0.weight (here fc1.weight) is (8, 4) in the file and (9, 4) here", done.stdout + done.stderr)

    def test_weights_are_floats_of_some_width(self):
        """A linear model whose weights are exact in every type."""
        text = MLP.replace("hidden = [8]", "hidden = []").replace('["0.*=fc1.*", "2.*=fc2.*"]', "[]")
        values = [(k % 7 - 3) / 4 for k in range(15)]

        def encoded(dtype):
            if dtype == "BF16":  # the upper half of a float
                return b"".join(struct.pack("<f", x)[2:] for x in values)
            return struct.pack("<15" + {"F32": "f", "F64": "d", "F16": "e", "I32": "i"}[dtype],
                               *(map(int, values) if dtype == "I32" else values))

        losses = []
        for dtype in ("F32", "F64", "F16", "BF16", "I32"):
            data = encoded(dtype)
            cut = len(data) // 15 * 12
            header = json.dumps({
                "fc1.weight": {"dtype": dtype, "shape": [3, 4], "data_offsets": [0, cut]},
                "fc1.bias": {"dtype": dtype, "shape": [3], "data_offsets": [cut, len(data)]}}).encode()
            (self.folder / "mlp.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
            file = self.file(text)
            if dtype == "I32":
                done = self.perturb("run", file, code=1)
                self.assertIn("weights are F32, F64, F16 or BF16, and fc1.weight is I32", done.stdout + done.stderr)
            else:
                self.perturb("run", file)
                losses.append(self.loss_at(file, 0))
        self.assertEqual(len(set(losses)), 1)


if __name__ == "__main__":
    unittest.main()
