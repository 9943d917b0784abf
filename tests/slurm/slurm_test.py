"""Runs on a real Slurm, which cluster.py starts for this and ends. Whatever is done to them, results
equal those of a run in one process: the law is lab.py's.

Skipped by name where no Slurm can be started.
"""

import os
import pathlib
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cluster  # noqa: E402
import lab  # noqa: E402

REASON = cluster.missing()


@unittest.skipIf(REASON, f"no Slurm can be started here: {REASON}")
class Real(lab.Lab):
    @classmethod
    def setUpClass(cls):
        cls.slurm = cluster.Cluster(array=17)
        cls.addClassCleanup(cls.slurm.close)

    def setUp(self):
        super().setUp()
        self.environment.update(self.slurm.environment)
        # A step takes a while, so that there is something to disturb.
        self.environment["PERTURB_PRETEND_PAUSE"] = "30"
        self.addCleanup(self.slurm.ask, "scancel", "--user=root")

    def running(self):
        return [task for task in self.slurm.tasks() if task[3] == "RUNNING"]

    def worker_of(self, task):
        """The process that works for a task of the queue."""
        mark = f"SLURM_JOB_ID={task[0]}\0".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (process / "exe").resolve() == pathlib.Path(lab.PROGRAM).resolve() and \
                        mark in (process / "environ").read_bytes():
                    return int(process.name)
            except OSError:
                continue
        return None

    def finish(self, driver, wanted):
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 0, f"{self.said()}\n{self.logs()}")
        self.check_same(wanted)

    def test_sixty_trials_over_arrays_that_are_smaller_give_the_dump_of_a_serial_run(self):
        self.environment.pop("PERTURB_PRETEND_PAUSE")
        file = self.file(lab.FORKS, seeds=12)
        wanted = self.run_here(file)
        self.assertEqual(lab.rows(self.folder / "serial", "SELECT count(*) FROM trials"), [(60,)])
        said = self.run_there(file)
        self.check_same(wanted)
        jobs = said.split("(jobs ")[1].split(")")[0].split(", ")
        self.assertGreater(len(jobs), 1, said)
        self.assertLess(len(jobs), 20, said)

    def test_a_driver_that_is_killed_and_restarted_in_mid_run(self):
        file = self.file(lab.FORKS, seeds=3)
        wanted = self.run_here(file)
        for _ in range(3):
            driver = self.begin_there(file)
            seen = len(self.records("*.last"))
            self.until(lambda s=seen: len(self.records("*.last")) > s or driver.poll() is not None,
                       "nothing comes")
            self.end(driver)
        self.finish(self.begin_there(file), wanted)

    def test_a_worker_that_is_killed(self):
        file = self.file(lab.FORKS, seeds=2)
        wanted = self.run_here(file)
        driver = self.begin_there(file)
        task = self.until(self.running, "nothing runs")[0]
        os.kill(self.until(lambda: self.worker_of(task), "there is no worker"), signal.SIGKILL)
        self.finish(driver, wanted)
        self.assertRegex(self.said(), r"task \d+_\d+ ended \(FAILED\)")

    def test_a_job_that_is_requeued(self):
        file = self.file(lab.FORKS, seeds=2)
        wanted = self.run_here(file)
        driver = self.begin_there(file)
        task = self.until(self.running, "nothing runs")[0]
        self.slurm.ask("scontrol", "requeue", task[0])
        self.until(lambda: any(t[0] == task[0] and t[3] == "PENDING" for t in self.slurm.tasks()),
                   "it is not requeued")
        # Slurm lets a requeued job wait for two minutes, unless it is told otherwise.
        self.slurm.ask("scontrol", "update", f"JobId={task[0]}", "StartTime=now")
        self.finish(driver, wanted)
        self.assertNotIn("ended", self.said())

    def test_a_warning_saves_and_the_job_requeues_itself(self):
        file = self.file(lab.FORKS, seeds=1)
        wanted = self.run_here(file)
        self.environment["PERTURB_PRETEND_PAUSE"] = "150"
        driver = self.begin_there(file)
        task = self.until(self.running, "nothing runs")[0]
        self.until(lambda: self.worker_of(task), "there is no worker")
        self.until(lambda: self.records("*"), "nothing is begun")
        self.slurm.ask("scancel", "--batch", "--signal=USR1", task[0])
        self.until(lambda: any(t[0] == task[0] and t[3] == "PENDING" for t in self.slurm.tasks()),
                   "it does not requeue itself")
        self.slurm.ask("scontrol", "update", f"JobId={task[0]}", "StartTime=now")
        self.finish(driver, wanted)
        # It went on where it was: no step was taken twice.
        steps = lab.rows(self.folder / "serial", "SELECT sum(trained) FROM trials")
        self.assertEqual(lab.rows(self.store, "SELECT sum(trained) FROM trials"), steps)

    def test_tasks_that_are_out_of_time(self):
        # A minute is the least that Slurm limits. The warning comes up to a minute early, too.
        file = self.file(lab.FORKS, seeds=1, slurm='time = "1"\nbundle = 100')
        wanted = self.run_here(file)
        # So that one task has more than a minute to do, with steps that are no longer than needed.
        self.environment["PERTURB_PRETEND_PAUSE"] = "1500"
        driver = self.begin_there(file)

        def on_we_go():
            for task in self.slurm.tasks():
                if task[3] == "PENDING":
                    self.slurm.ask("scontrol", "update", f"JobId={task[0]}", "StartTime=now")
            return driver.poll() is not None
        self.until(on_we_go, "it does not end")
        self.finish(driver, wanted)

    def test_tasks_that_are_cancelled_by_somebody(self):
        file = self.file(lab.FORKS, seeds=3)
        wanted = self.run_here(file)
        driver = self.begin_there(file)
        running = []
        self.until(lambda: running.extend(self.running()) or running, "nothing runs")
        # Of one that only waited Slurm keeps nothing, so one is among them that runs.
        for task in [running[0], *random.sample(self.slurm.tasks(), 3)]:
            self.slurm.ask("scancel", f"{task[1]}_{task[2]}")
        self.finish(driver, wanted)
        self.assertIn("CANCELLED", self.said())

    def test_a_controller_that_is_restarted(self):
        file = self.file(lab.FORKS, seeds=3)
        wanted = self.run_here(file)
        driver = self.begin_there(file)
        self.until(self.running, "nothing runs")
        self.slurm.stop_controller()
        time.sleep(1)  # some looks at the queue that fail; none is waited for
        self.assertIsNone(driver.poll(), self.said())
        self.slurm.start_controller()
        self.finish(driver, wanted)

    def test_accounting_that_is_absent(self):
        # It always is here: the law is that nothing asks for it.
        self.assertIn("disabled", self.slurm.ask("sacct"))

    def test_records_that_come_late_torn_or_twice(self):
        self.environment["PERTURB_PRETEND_PAUSE"] = "5"
        for how in ("late", "torn", "twice"):
            with self.subTest(how):
                self.store = self.folder / how
                file = self.file(lab.FORKS, seeds=2, slurm=lab.mangled(how))
                self.run_there(file)
                self.check_same(self.run_here(file))

    def test_cancel_ends_what_is_queued(self):
        file = self.file(lab.FORKS, seeds=6)
        driver = self.begin_there(file)
        self.until(self.running, "nothing runs")
        done = lab.subprocess.run([lab.PROGRAM, "--store", self.store, "cancel"], check=True,
                                  env=self.environment, capture_output=True, text=True)
        self.assertIn("cancelled", done.stderr)
        self.assertEqual(driver.wait(timeout=lab.LIMIT), 130, self.said())
        self.until(lambda: not self.slurm.tasks(), "jobs go on")
        self.environment.pop("PERTURB_PRETEND_PAUSE")
        self.run_there(file)
        self.check_same(self.run_here(file))


if __name__ == "__main__":
    unittest.main()
