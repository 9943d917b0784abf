"""Runs on a Slurm that only looks like one (tests/slurm/fake_slurm.py): answers that are missing,
wrong, late or not the whole truth, and what the commands say. The law is tests/slurm/lab.py's.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "slurm"))
import fake_slurm  # noqa: E402
import lab  # noqa: E402


class Fake(lab.Lab):
    def setUp(self):
        super().setUp()
        self.slurm = fake_slurm.Fake(self.folder / "fake", array=17)
        self.addCleanup(self.slurm.close)
        self.environment["PATH"] = f"{self.slurm.folder / 'bin'}:{os.environ['PATH']}"

    def perturb(self, *arguments, code=0):
        done = subprocess.run([lab.PROGRAM, "--store", str(self.store), *map(str, arguments)],
                              env=self.environment, timeout=lab.LIMIT, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, code, f"{done.stdout}\n{done.stderr}")
        return done


class SameResults(Fake):
    def test_the_same_file_serially_in_the_pool_in_processes_and_on_slurm(self):
        file = self.file(lab.FORKS, seeds=2)
        wanted = self.run_here(file)
        for name, more in (("pool", ["-j", "3"]), ("isolated", ["--isolate", "-j", "2"])):
            store = self.folder / name
            subprocess.run(self.command(file, "-q", *more, store=store), check=True,
                           env=self.environment, capture_output=True, timeout=lab.LIMIT)
            self.assertEqual(lab.dump(store), wanted)
        said = self.run_there(file)
        self.check_same(wanted)
        self.assertRegex(said, r"submitted \d+ stages in \d+ tasks of \d+ job arrays? \(jobs? 1")

    def test_records_that_come_late_torn_or_twice(self):
        for how in ("late", "torn", "twice"):
            with self.subTest(how):
                self.store = self.folder / how
                file = self.file(lab.FORKS, seeds=1, slurm=lab.mangled(how))
                self.run_there(file)
                self.check_same(self.run_here(file))

    def test_a_thousand_stages_take_less_than_twenty_calls_of_sbatch(self):
        file = self.file(lab.FLAT, seeds=1000, slurm="bundle = 50")
        said = self.run_there(file, "-q")
        self.assertLess(len(self.slurm.calls("sbatch")), 20)
        self.check_same(self.run_here(file))
        self.assertIn("1000 stages", said)


class DryRun(Fake):
    def test_it_prints_the_scripts_and_does_nothing(self):
        file = self.file(lab.FORKS, seeds=5, slurm="""
partition = "gpu"
time = "1:00:00"
memory = "4G"
gpus = "a100:1"
modules = ["cuda/12"]
setup = ["export A=1"]
lines = ["--exclude=node7"]
container = "apptainer exec image.sif"
at_once = 3""")
        script = self.perturb("run", file, "--executor", "slurm", "--dry-run").stdout
        for line in ("#SBATCH --partition=gpu", "#SBATCH --time=1:00:00", "#SBATCH --mem=4G",
                     "#SBATCH --gpus=a100:1", "#SBATCH --exclude=node7", "#SBATCH --requeue",
                     "#SBATCH --signal=B:USR1@1", "module load cuda/12", "export A=1"):
            self.assertIn(f"\n{line}\n", script)
        self.assertRegex(script, r"#SBATCH --array=0-\d+%3\n")
        self.assertRegex(script, r"\napptainer exec image.sif \S*perturb --store ")
        self.assertRegex(script, r"#SBATCH --dependency=afterany:JOB_1")
        self.assertFalse(self.store.exists())
        self.assertEqual(self.slurm.calls("sbatch"), [])
        # Every script is one that bash can read.
        for one in re.split(r"(?m)^# job array \d+\n", script)[1:]:
            subprocess.run(["bash", "-n"], input=one, text=True, check=True, timeout=lab.LIMIT)

    def test_ten_thousand_stages_are_a_bounded_number_of_jobs_and_it_says_so(self):
        (self.slurm.folder / "array").write_text("1001")
        file = self.file(lab.FLAT, seeds=10000)
        script = self.perturb("run", file, "--executor", "slurm", "--dry-run").stdout
        self.assertTrue(script.startswith("# 10000 stages in 1000 tasks of 1 job array\n"),
                        script[:200])

    def test_what_is_cached_is_not_submitted(self):
        file = self.file(lab.FLAT, seeds=3)
        self.perturb("run", file, "-q")
        self.run_there(file)
        self.assertEqual(self.slurm.calls("sbatch"), [])


class OddAnswers(Fake):
    def test_an_empty_or_failing_squeue_loses_nothing(self):
        file = self.file(lab.FORKS, seeds=1)
        self.slurm.fault("squeue", "fail", 3, "slurm_load_jobs error: Unable to contact controller")
        self.slurm.fault("squeue", "empty", 100000)
        said = self.run_there(file)
        self.check_same(self.run_here(file))
        self.assertIn("the queue cannot be asked", said)
        # Nothing was submitted twice: jobs that squeue does not show are not lost.
        self.assertEqual(said.count("submitted"), 1)

    def test_ended_jobs_that_slurm_has_forgotten_are_known_by_their_records(self):
        file = self.file(lab.FORKS, seeds=1)
        self.slurm.fault("squeue", "empty", 100000)
        self.slurm.fault("scontrol", "silent", 0)
        driver = self.begin_there(file)
        self.until(lambda: self.slurm.jobs() if self.folder.joinpath("driver.txt").exists() and
                   "submitted" in self.said() else None, "nothing is submitted")
        for job in self.slurm.jobs():
            (job / "forgotten").touch()
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 0, self.said())
        self.check_same(self.run_here(file))

    def test_a_submission_whose_answer_was_lost_is_found_and_not_repeated(self):
        file = self.file(lab.FLAT, seeds=3)
        self.slurm.fault("sbatch", "silent", 1,
                         "sbatch: error: Batch job submission failed: Socket timed out")
        said = self.run_there(file)
        self.check_same(self.run_here(file))
        self.assertEqual(len(self.slurm.jobs()), 1)
        self.assertIn("it is looked for", said)

    def test_a_submission_that_was_lost_is_repeated(self):
        file = self.file(lab.FLAT, seeds=3)
        self.slurm.fault("sbatch", "fail", 1, "sbatch: error: Socket timed out")
        self.run_there(file)
        self.check_same(self.run_here(file))
        self.assertEqual(len(self.slurm.calls("sbatch")), 2)

    def test_a_queue_that_is_full_is_asked_again(self):
        file = self.file(lab.FORKS, seeds=5)
        full = ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy "
                "(job submit limit, user's size and/or time limits)")
        self.slurm.fault("sbatch", "fail", 2, full)
        said = self.run_there(file)
        self.check_same(self.run_here(file))
        self.assertIn("Slurm does not take more now", said)

    def test_what_slurm_will_never_take_ends_the_run_with_what_to_do(self):
        file = self.file(lab.FLAT, seeds=3)
        self.slurm.fault("sbatch", "fail", 1, "sbatch: error: Batch job submission failed: "
                         "Invalid partition name specified")
        said = self.run_there(file, code=2)
        self.assertIn("Invalid partition name specified", said)
        self.assertIn("docs/cluster.md", said)
        # And the next run is none the worse for it.
        self.run_there(file)
        self.check_same(self.run_here(file))

    def test_without_slurm_it_says_so(self):
        for name in fake_slurm.COMMANDS:
            (self.slurm.folder / "bin" / name).unlink()
        self.environment["PATH"] = f"{self.slurm.folder / 'bin'}"
        said = self.run_there(self.file(lab.FLAT, seeds=3), code=2)
        self.assertIn("there is no Slurm here", said)


class Ends(Fake):
    """Tasks that end before their stages do, in every way that Slurm has."""

    def named(self, state, outcome, words, status="0"):
        self.environment["PERTURB_PRETEND_HOLD"] = str(self.folder / "held")
        (self.folder / "held").touch()
        # Nothing is saved on the way: who comes further each time is tried again for ever.
        file = self.file(lab.FLAT.replace("epochs = 1", "epochs = 4"), seeds=1,
                         slurm="retries = 0\n[checkpoints]\nevery = 'never'")
        driver = self.begin_there(file)
        self.until(self.records, "nothing is begun")
        self.slurm.end(state, status)
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 1, self.said())
        found = lab.rows(self.store, "SELECT outcome, message FROM trials")
        self.assertEqual(found[0][0], outcome)
        self.assertIn(words, found[0][1])
        self.assertRegex(found[0][1], r"^Slurm's task 1_0 ended ")
        self.slurm.close()
        # What failed is tried again by the next run.
        (self.folder / "held").unlink()
        (self.slurm.folder / "closed").unlink()
        self.run_there(file)
        self.check_same(self.run_here(file))

    def test_out_of_time(self):
        self.named("TIMEOUT", "timed out", "TIMEOUT on fake")

    def test_out_of_memory(self):
        self.named("OUT_OF_MEMORY", "out of memory", "OUT_OF_MEMORY on fake")

    def test_killed(self):
        self.named("FAILED", "crashed", "by signal 9 (Killed)", status="9")

    def test_nodes_that_fail_and_preemption_are_nobodys_fault(self):
        for state in ("NODE_FAIL", "PREEMPTED"):
            with self.subTest(state):
                self.store = self.folder / state
                held = self.folder / f"held-{state}"
                held.touch()
                self.environment["PERTURB_PRETEND_HOLD"] = str(held)
                file = self.file(lab.FORKS, seeds=1, slurm="retries = 0")
                driver = self.begin_there(file)
                self.until(self.records, "nothing is begun")
                self.slurm.end(state)
                self.until(lambda s=state: f"ended ({s})" in self.said(), "it is not told")
                held.unlink()
                self.assertEqual(driver.wait(timeout=lab.LIMIT), 0, self.said())
                self.check_same(self.run_here(file))

    def test_a_worker_that_is_killed_once_is_tried_again(self):
        marks = self.folder / "marks"
        marks.mkdir()
        file = self.file(lab.FORKS, seeds=1)
        wanted = self.run_here(file)
        self.environment["PERTURB_PRETEND_DIE"] = str(marks)
        said = self.run_there(file)
        self.assertIn("to the queue again", said)
        self.check_same(wanted)

    def test_a_worker_that_is_always_killed_is_a_named_failure_and_stops_nothing_else(self):
        file = self.file(lab.FLAT.replace("epochs = 1", "epochs = 4"), seeds=3,
                         slurm="retries = 1\nbundle = 3\n[checkpoints]\nevery = 'never'")
        self.environment["PERTURB_PRETEND_DIE"] = str(self.folder / "no-such-folder")
        said = self.run_there(file, code=1)
        self.assertRegex(said, "(?i)crashed|failed")
        outcomes = lab.rows(self.store, "SELECT outcome FROM trials")
        self.assertEqual(outcomes, [("crashed",)] * 3)


class Drivers(Fake):
    def test_a_driver_that_is_killed_finds_its_jobs_again(self):
        file = self.file(lab.FORKS, seeds=4)
        wanted = self.run_here(file)
        self.environment["PERTURB_PRETEND_PAUSE"] = "20"
        driver = self.begin_there(file)
        self.until(lambda: self.records("*.last") and "submitted" in self.said(), "nothing comes")
        self.end(driver)
        submitted = len(self.slurm.calls("sbatch"))
        said = self.run_there(file)
        self.check_same(wanted)
        self.assertIn("taken over", said)
        self.assertEqual(len(self.slurm.calls("sbatch")), submitted, said)

    def test_jobs_go_on_after_ctrl_c_and_what_they_do_is_taken(self):
        file = self.file(lab.FORKS, seeds=2)
        driver = self.begin_there(file)
        self.until(lambda: self.records("*.last"), "nothing comes")
        self.assertEqual(self.end(driver, signal.SIGINT), 130)
        self.assertIn("jobs go on", self.said())
        jobs = self.slurm.jobs()
        self.until(lambda: all(fake_slurm.ended(self.slurm.folder, job.name) for job in jobs),
                   "jobs do not end")
        calls = len(self.slurm.calls("sbatch"))
        said = self.run_there(file)
        self.assertRegex(said, r"took over \d+ records? that jobs of a former run left")
        self.assertIn("nothing to train", said)
        self.assertEqual(len(self.slurm.calls("sbatch")), calls)

    def test_status_shows_the_queue_beside_the_trials(self):
        file = self.file(lab.FORKS, seeds=1)
        self.slurm.hold()
        driver = self.begin_there(file)
        self.until(lambda: (self.folder / "driver.txt").exists() and "submitted" in self.said(),
                   "nothing is submitted")
        shown = self.perturb("status", file).stdout
        self.assertRegex(shown, r"on Slurm: 0 of \d+ stages over; tasks: \d+ pending, 0 running")
        asked = json.loads(self.perturb("status", file, "--json").stdout)["slurm"]
        self.assertGreater(asked["pending"], 0)
        self.slurm.go_on()
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 0, self.said())
        self.assertNotIn("on Slurm", self.perturb("status", file).stdout)

    def test_cancel_ends_the_jobs_and_the_run_and_the_next_run_goes_on(self):
        file = self.file(lab.FORKS, seeds=2)
        self.slurm.hold()
        driver = self.begin_there(file)
        self.until(lambda: (self.folder / "driver.txt").exists() and "submitted" in self.said(),
                   "nothing is submitted")
        said = self.perturb("cancel", file).stderr
        self.assertRegex(said, r"cancelled \d+ jobs?: 1")
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 130, self.said())
        self.assertIn("was cancelled", self.said())
        self.slurm.go_on()
        self.run_there(file)
        self.check_same(self.run_here(file))
        self.assertIn("no jobs", self.perturb("cancel", file).stderr)

    def test_gc_waits_for_jobs_that_may_need_what_is_in_the_store(self):
        file = self.file(lab.FORKS, seeds=1)
        self.slurm.hold()
        driver = self.begin_there(file)
        self.until(lambda: (self.folder / "driver.txt").exists() and "submitted" in self.said(),
                   "nothing is submitted")
        self.end(driver)
        self.assertIn("perturb cancel", self.perturb("gc", "--apply", code=4).stderr)
        self.slurm.go_on()
        self.run_there(file)
        self.perturb("gc", "--apply")

    def test_a_run_here_takes_what_jobs_left_and_warns_of_the_rest(self):
        file = self.file(lab.FORKS, seeds=1)
        self.slurm.hold()
        driver = self.begin_there(file)
        self.until(lambda: (self.folder / "driver.txt").exists() and "submitted" in self.said(),
                   "nothing is submitted")
        self.end(driver)
        self.assertIn("perturb cancel", self.perturb("run", file).stderr)
        self.assertEqual(lab.dump(self.store), self.run_here(file))


class Settings(Fake):
    def test_all_that_is_wrong_is_said_at_once_with_its_place(self):
        file = self.file(lab.FLAT, seeds=1, slurm='partiton = "gpu"\ncpus = 0\ntime = "a\\nb"')
        said = self.perturb("check", file, code=2).stderr
        self.assertIn('unknown key "slurm.partiton"', said)
        self.assertIn('did you mean "partition"?', said)
        self.assertIn('"slurm.cpus"', said)
        self.assertIn("control character", said)

    def test_the_site_says_what_the_experiment_does_not(self):
        site = self.folder / "config" / "perturb" / "slurm.toml"
        site.parent.mkdir(parents=True)
        site.write_text('partition = "site"\naccount = "site"\n')
        self.environment["XDG_CONFIG_HOME"] = str(self.folder / "config")
        file = self.file(lab.FLAT, seeds=1, slurm='partition = "mine"')
        script = self.perturb("run", file, "--executor", "slurm", "--dry-run").stdout
        self.assertIn("#SBATCH --partition=mine\n", script)
        self.assertIn("#SBATCH --account=site\n", script)
        other = self.folder / "other.toml"
        other.write_text('account = "other"\n')
        script = self.perturb("run", file, "--executor", "slurm", "--dry-run", "--slurm-options",
                              other).stdout
        self.assertIn("#SBATCH --account=other\n", script)

    def test_none_of_it_is_identity(self):
        file = self.file(lab.FLAT, seeds=2)
        self.perturb("run", file, "-q")
        file = self.file(lab.FLAT, seeds=2, slurm='partition = "gpu"')
        self.assertIn("nothing to train", self.perturb("run", file).stderr)

    def test_options_that_do_not_go_together(self):
        file = self.file(lab.FLAT, seeds=1)
        for more in (["--isolate"], ["--timeout", "5"], ["--fail-fast"]):
            said = self.run_there(file, *more, code=2)
            self.assertIn("is not for --executor slurm", said)
        self.assertIn("--slurm-options needs --executor slurm",
                      self.perturb("run", file, "--slurm-options", file, code=2).stderr)


if __name__ == "__main__":
    unittest.main()
