"""Plugins as whoever writes one meets them: perturb is installed, experiments/plugin is built against that in a folder of its
own, runs, and is told apart from what it was before; what must not be loaded is refused with the reason, and the store stays
as it was."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

PERTURB = pathlib.Path(os.environ["PERTURB"]).resolve()
BUILD = PERTURB.parent
EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "experiments" / "plugin"
TRAINS = BUILD.joinpath("libperturb_train.so").exists()
LIMIT = 300  # seconds; a bound on what hangs, not a measurement
MAGIC = b"\x7fperturb-plugin\n"  # then abi, flag of strings, version, compiler, LibTorch

# One library that misbehaves as the environment says, so that it is compiled once.
BAD = r"""
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <perturb/plugin/plugin.h>
#include <perturb/report/plot.h>
namespace perturb { class Metric {}; }
using namespace perturb;
static std::string wish() { const char* text = std::getenv("WISH"); return text ? text : ""; }
struct Early {
  Early() {
    if (wish() == "abort early") { std::fputs("no way out\n", stderr); std::abort(); }
    if (wish() == "exit early") std::exit(0);
  }
} early;
static Figure draw(const PlotSpec&, const Results&) { return {}; }
PERTURB_PLUGIN(plugin) {
  if (wish() == "segfault") { volatile int* nowhere = nullptr; *nowhere = 1; }
  if (wish() == "exit") std::exit(3);
  if (wish() == "throw") throw std::runtime_error("I do not want to");
  if (wish() == "throw anything") throw 3;
  if (wish() == "nothing") return;
  if (wish() == "no factory") return plugin.plot({.name = "bad", .help = "Bad."}, nullptr);
  if (wish() == "built in") return plugin.plot({.name = "curves", .help = "Bad."}, draw);
  if (wish() == "no LibTorch")
    return plugin.metric({.name = "bad", .help = "Bad."},
                         [](const Parameters&) -> std::unique_ptr<Metric> { return nullptr; });
  plugin.plot({.name = "bad", .help = "Bad."}, draw);
}
"""

LARGEST = "select number, step, value from results where metric = 'largest_weight' and epoch = 6 order by number"

TINY = """
plugins = {plugins}
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
[train]
epochs = 1
"""


def installed():
    """The folder that perturb was installed to, as the root of everything, and its environment."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="perturb-installed-"))
    unittest.addModuleCleanup(shutil.rmtree, root, ignore_errors=True)
    options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", str(BUILD)], check=True,
                                        capture_output=True, text=True).stdout)
    option = {one["name"]: one["value"] for one in options}
    done = subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet", "--destdir", str(root)],
                          capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    prefix = root / option["prefix"].lstrip("/")
    environment = dict(os.environ)
    for name in ("PERTURB_TRAIN", "PERTURB_PLUGINS", "PERTURB_STORE", "PERTURB_DATA"):
        environment.pop(name, None)
    environment["PKG_CONFIG_PATH"] = str(prefix / option["libdir"] / "pkgconfig")
    environment["NO_COLOR"] = "1"
    return prefix, environment


def built(folder, environment):
    """The example, copied and built as its README says."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build", ".perturb"))
    for command in (["meson", "setup", "build"], ["ninja", "-C", "build", "-j2"]):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stdout + done.stderr


def setUpModule():
    if not TRAINS:
        raise unittest.SkipTest("the training half is not built")
    global PREFIX, ENVIRONMENT, MADE, BAD_SO
    PREFIX, ENVIRONMENT = installed()
    place = pathlib.Path(tempfile.mkdtemp(prefix="perturb-example-"))
    unittest.addModuleCleanup(shutil.rmtree, place, ignore_errors=True)
    MADE = place / "example"
    built(MADE, ENVIRONMENT)
    BAD_SO = place / "bad.so"
    source = place / "bad.cpp"
    source.write_text(BAD, encoding="utf-8")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "perturb"], env=ENVIRONMENT, check=True,
                           capture_output=True, text=True).stdout.split()
    subprocess.run(["c++", "-std=c++20", "-shared", "-fPIC", str(source), "-o", str(BAD_SO), *flags], env=ENVIRONMENT,
                   check=True, timeout=LIMIT)


class PluginTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-plugin-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = dict(ENVIRONMENT, HOME=str(self.folder))

    def example(self):
        """A copy of the built example, to be changed."""
        copy = self.folder / "example"
        shutil.copytree(MADE, copy)
        return copy

    def tiny(self, more, plugins="[]"):
        """A small experiment of built-in things, in tiny.toml."""
        (self.folder / "tiny.toml").write_text(TINY.format(plugins=plugins) + more, encoding="utf-8")

    def perturb(self, *arguments, code=0, cwd=None, **environment):
        done = subprocess.run([PREFIX / "bin" / "perturb", *map(str, arguments)], cwd=cwd or self.folder,
                              env=dict(self.environment, **environment), capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.perturb(*arguments, "--json", **options).stdout)

    def rows(self, store, query):
        """The answer of a store to a query, a tuple a row."""
        return [tuple(row.values()) for row in self.json("query", query, "--store", store)]


class Example(PluginTest):
    def test_every_file_is_short(self):
        for kind in ("data", "intervention", "metric", "model", "plot", "task"):
            lines = (EXAMPLE / f"{kind}.cpp").read_text(encoding="utf-8").splitlines()
            self.assertLess(len(lines), 30, kind)

    def test_list_and_describe_say_where_a_thing_comes_from(self):
        metric = MADE / "build" / "metric.so"
        text = self.perturb("list", "metric", "--plugin", metric).stdout
        self.assertRegex(text, r"largest-weight +metric\.so +Largest magnitude")
        row = next(one for one in self.json("list", "--plugin", metric) if one["name"] == "largest-weight")
        self.assertEqual(row["plugin"], {"file": str(metric), "sha256": digest(metric)})
        described = self.perturb("describe", "largest-weight", "--plugin", "./build/metric.so", cwd=MADE).stdout
        self.assertIn(f"from plugin {metric} (sha256 {digest(metric)[:12]})", described)
        self.assertNotIn("largest-weight", self.perturb("list").stdout)
        self.assertNotIn("from", self.perturb("list").stdout.splitlines()[0])

    def test_it_is_checked_planned_run_and_drawn(self):
        example = self.example()
        check = self.json("check", "rings.toml", cwd=example)
        self.assertEqual([pathlib.Path(one["file"]).name for one in check["plugins"]],
                         ["data.so", "intervention.so", "metric.so", "model.so", "plot.so", "task.so"])
        arguments = ["rings.toml", "train.epochs=6"]
        self.assertIn("largest_weight", self.perturb("run", *arguments, "-j", "2", "--metric", "largest_weight", cwd=example).stdout)
        values = self.rows(example / ".perturb", LARGEST)
        self.assertEqual(len(values), 12)
        self.assertEqual(len({value for _, _, value in values}), 12)
        self.assertIn("nothing to train", self.perturb("run", *arguments, cwd=example).stderr)
        (command,) = self.rows(example / ".perturb", "select command from runs")[0]
        self.assertIn(f"metric.so sha256 {digest(example / 'build' / 'metric.so')}", command)

        drawn = self.json("plot", *arguments, "--out", "drawn", cwd=example)
        self.assertEqual([one["kind"] for one in drawn], ["spread"])
        self.assertIn("Spread of test.accuracy", (example / drawn[0]["files"][0]).read_text(encoding="utf-8"))

        isolated = self.folder / "isolated"
        self.perturb("run", *arguments, "--isolate", "-j", "2", "--store", isolated, cwd=example)
        self.assertEqual(self.rows(isolated, LARGEST), values)

    def test_a_program_that_links_the_library_computes_the_same(self):
        self.tiny('[[metrics]]\nkind = "largest-weight"\n', plugins="[]")
        done = subprocess.run([MADE / "build" / "linked", "tiny.toml"], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr)
        linked = [line.split("\t") for line in done.stdout.splitlines()]
        self.perturb("run", "tiny.toml", "--plugin", MADE / "build" / "metric.so")
        ran = self.rows(self.folder / ".perturb", "select metric, value from results order by metric")
        self.assertEqual(sorted((label, float(value)) for _, label, _, value in linked), ran)

    def test_a_plot_alone_does_without_the_training_half(self):
        nowhere = {"PERTURB_TRAIN": "/nowhere/libperturb_train.so"}
        self.assertIn("spread", self.perturb("list", "plot", "--plugin", MADE / "build" / "plot.so", **nowhere).stdout)
        refused = self.perturb("list", "--plugin", MADE / "build" / "metric.so", code=2, **nowhere)
        self.assertIn("the training half", refused.stderr)

    def test_without_its_plugin_a_kind_is_not_known(self):
        self.tiny('[[metrics]]\nkind = "largest-wieght"\n', plugins=f'["{MADE}/build/metric.so"]')
        self.assertIn('did you mean "largest-weight"?', self.perturb("check", "tiny.toml", code=2).stderr)
        self.tiny('[[metrics]]\nkind = "largest-weight"\n', plugins="[]")
        self.assertIn('there is no metric "largest-weight"', self.perturb("check", "tiny.toml", code=2).stderr)


class Identity(PluginTest):
    def rebuild(self, library):
        """As good as another build of the same: a library may end in anything."""
        with open(library, "ab") as file:
            file.write(b"another build")

    def test_another_build_is_another_trial_where_it_takes_part(self):
        example = self.example()
        arguments = ["rings.toml", "train.epochs=6"]
        self.perturb("run", *arguments, cwd=example)
        before = digest(example / "build" / "intervention.so")
        self.rebuild(example / "build" / "intervention.so")
        plan = self.json("plan", *arguments, "--all", cwd=example)
        states = {one["number"]: one["state"] for one in plan["matrix"]}
        # The control of each variation comes first of three.
        self.assertEqual({number for number, state in states.items() if state != "cached"},
                         {number for number in range(12) if number % 3 != 0})
        why = self.json("why", *arguments, "--trial", "1", cwd=example)[0]
        self.assertEqual([one for one in why["differences"] if one["name"].startswith("plugin")],
                         [{"name": "plugin of intervention shrink-weights", "there": before,
                           "here": digest(example / "build" / "intervention.so")}])

    def test_another_build_of_a_metric_is_measured_anew_without_other_trials(self):
        example = self.example()
        arguments = ["rings.toml", "train.epochs=6"]
        self.perturb("run", *arguments, cwd=example)
        self.rebuild(example / "build" / "metric.so")
        plan = self.json("plan", *arguments, "--all", cwd=example)
        self.assertEqual({one["state"] for one in plan["matrix"]}, {"unmeasured"})

    def test_trials_that_use_nothing_of_it_do_not_notice(self):
        example = self.example()
        library = example / "build" / "metric.so"
        self.tiny("")
        self.perturb("run", "tiny.toml")
        self.tiny("", plugins=f'["{library}"]')
        self.assertIn("nothing to train", self.perturb("run", "tiny.toml").stderr)
        self.rebuild(library)
        self.assertIn("nothing to train", self.perturb("run", "tiny.toml").stderr)

    def test_a_worker_takes_no_other_file_than_the_one_that_the_run_began_with(self):
        library = MADE / "build" / "metric.so"
        other = self.perturb("worker", self.folder / "records", "--exact-plugin", f"{'0' * 64}:{library}", code=2)
        self.assertIn("has changed since the run began", other.stderr)


class Refused(PluginTest):
    """Each is refused by a sweep that has run before, whose store is then what it was."""

    def setUp(self):
        super().setUp()
        self.tiny("")
        self.perturb("run", "tiny.toml")
        self.before = contents(self.folder / ".perturb")
        self.library = self.folder / "lib" / "plugin.so"
        self.library.parent.mkdir()
        shutil.copy(MADE / "build" / "plot.so", self.library)
        self.tiny("", plugins='["./lib/plugin.so"]')

    def refused(self, reason, **environment):
        for command in ("run", "check"):
            done = self.perturb(command, "tiny.toml", code=2, **environment)
            self.assertIn(reason, done.stderr)
            # Where it is named, and what to do.
            self.assertRegex(done.stderr, r"tiny\.toml:2:12: error: plugin .*plugin\.so: ")
            self.assertRegex(done.stderr.rstrip().splitlines()[-1], r"^  \S")
        self.assertEqual(contents(self.folder / ".perturb"), self.before)

    def stamp(self, offset, bytes):
        """Writes over what the plugin says that it was built with."""
        all = bytearray(self.library.read_bytes())
        at = all.index(MAGIC) + offset
        all[at:at + len(bytes)] = bytes
        self.library.write_bytes(all)

    def test_the_library_as_it_is_would_do(self):
        self.perturb("check", "tiny.toml")

    def test_files_that_are_none_for_this_program(self):
        for offset, bytes, reason in ((16, b"\x63", "of the plugin interface"),
                                      (20, b"\x00", "strings of libstdc++"),
                                      (24, b"0.0.0\0", "it was built for perturb 0.0.0, this is "),
                                      (56, b"gcc 4\0", "it was built by gcc 4, this is "),
                                      (88, b"0.4.1\0", "it was built with LibTorch 0.4.1, perturb with ")):
            with self.subTest(reason):
                shutil.copy(MADE / "build" / "plot.so", self.library)
                self.stamp(offset, bytes)
                self.refused(reason)

    def test_files_that_are_no_plugins(self):
        self.library.write_text("not a library")
        self.refused("it is not a shared library")
        shutil.copy(PREFIX / "bin" / "perturb", self.library)
        self.library.write_bytes(self.library.read_bytes().replace(MAGIC, b"-" * len(MAGIC)))
        self.refused("no plugin: nothing in it says PERTURB_PLUGIN")
        self.library.unlink()
        self.refused("there is no such file")
        self.library.write_bytes((MADE / "build" / "plot.so").read_bytes()[:200] + b"\0" * 4000)
        self.refused("no plugin")

    def test_a_symbol_that_nothing_has(self):
        bytes = self.library.read_bytes()
        self.library.write_bytes(bytes.replace(b"perturb6Plugin4plot", b"perturb6Plugin4plan"))
        self.refused("it cannot be loaded: undefined symbol: _ZN7perturb6Plugin4plan")

    def test_files_that_others_may_write(self):
        self.library.chmod(0o777)
        self.refused("it can be written by everybody")
        self.library.chmod(0o755)
        self.library.parent.chmod(0o777)
        self.refused("can be written by everybody")
        self.library.parent.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self.library, 12345, 0)
            self.refused("belongs to user 12345, neither to you nor to root")

    def test_what_crashes_ends_or_throws_while_it_is_loaded(self):
        shutil.copy(BAD_SO, self.library)
        for wish, reason in (("abort early", "it crashed: signal 6 (Aborted) while it was being loaded; it said: no way out"),
                             ("exit early", "it ended the process with exit status 0 while it was being loaded"),
                             ("segfault", "it crashed: signal 11 (Segmentation fault) while it was being loaded"),
                             ("exit", "it ended the process with exit status 3 while it was being loaded"),
                             ("throw", "saying what it brings, it threw: I do not want to"),
                             ("throw anything", "saying what it brings, it threw something"),
                             ("nothing", "it brings nothing"),
                             ("no factory", 'the plot "bad" is described, but has no factory'),
                             ("built in", 'the plot "curves" is built in already'),
                             ("no LibTorch", "does not say with which LibTorch it was built")):
            with self.subTest(wish):
                self.refused(reason, WISH=wish)

    def test_a_name_that_another_plugin_has(self):
        shutil.copy(self.library, self.folder / "lib" / "first.so")
        text = (self.folder / "tiny.toml").read_text(encoding="utf-8")
        (self.folder / "tiny.toml").write_text(
            text.replace('"./lib/plugin.so"', '"./lib/first.so", "./lib/../lib/first.so", "./lib/plugin.so"'), encoding="utf-8")
        done = self.perturb("run", "tiny.toml", code=2)
        self.assertIn(f'the plot "spread" is that of {self.folder.resolve()}/lib/first.so already', done.stderr)
        self.assertEqual(done.stderr.count("error:"), 1)  # the same file twice is no mistake
        self.assertEqual(contents(self.folder / ".perturb"), self.before)

    def test_a_name_without_a_slash_is_looked_for_where_the_user_says_alone(self):
        text = (self.folder / "tiny.toml").read_text(encoding="utf-8")
        (self.folder / "tiny.toml").write_text(text.replace("./lib/plugin.so", "plugin.so"), encoding="utf-8")
        here = self.library.parent
        self.assertIn("$PERTURB_PLUGINS, which is not set", self.perturb("run", "tiny.toml", code=2, cwd=self.folder).stderr)
        done = self.perturb("list", "--plugin", "plugin.so", code=2, cwd=here, PERTURB_PLUGINS=".:")
        self.assertIn("it is in no folder of $PERTURB_PLUGINS", done.stderr)
        self.assertEqual(contents(self.folder / ".perturb"), self.before)
        self.assertIn("nothing to train", self.perturb("run", "tiny.toml", PERTURB_PLUGINS=f"/nowhere:{here}").stderr)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(path): digest(path) for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


if __name__ == "__main__":
    unittest.main()
