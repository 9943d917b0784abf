"""sbatch, squeue, scontrol and scancel that only look like Slurm, for answers that the real one gives
too rarely: none, wrong, late, or not the whole truth. Tasks are real: they run here, one after
another, as a job's script says.

    folder = Fake(path)     makes path/bin with the four commands, to be first in PATH
    folder.fault("squeue", "empty", times=3)

What a command is to do wrong stands in FOLDER/faults/NAME as lines "TIMES HOW [TEXT]":

    fail TEXT    ends with 1 and says TEXT
    empty        says nothing and ends with 0
    silent TEXT  does what it is asked to do, and then fails with TEXT
"""

import fcntl
import json
import os
import pathlib
import re
import subprocess
import sys
import time

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED")


class Fake:
    def __init__(self, folder, array=1001):
        self.folder = pathlib.Path(folder)
        (self.folder / "bin").mkdir(parents=True)
        for name in ("faults", "jobs"):
            (self.folder / name).mkdir()
        (self.folder / "array").write_text(str(array))
        for name in COMMANDS:
            script = self.folder / "bin" / name
            script.write_text(f"#!/bin/sh\nexec {sys.executable} {os.path.abspath(__file__)} "
                              f"{self.folder} {name} \"$@\"\n")
            script.chmod(0o755)

    def fault(self, command, how, times=1, text=""):
        with open(self.folder / "faults" / command, "a", encoding="utf-8") as file:
            file.write(f"{times} {how} {text}\n")

    def calls(self, command):
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.split()[0] == command]

    def jobs(self):
        return sorted((self.folder / "jobs").iterdir(), key=lambda job: int(job.name))

    def hold(self):
        """Tasks that have not begun wait until `go_on`."""
        (self.folder / "hold").touch()

    def go_on(self):
        (self.folder / "hold").unlink(missing_ok=True)

    def end(self, state, status="0"):
        """Every task that has not ended is said to have ended so, and does not run."""
        for job in self.jobs():
            for task in (job / "tasks").iterdir():
                if task.read_text().split("|")[0] not in ENDED:
                    task.write_text(f"{state}|{status}")

    def close(self):
        """Ends what still runs: nothing of a test is to outlive it."""
        (self.folder / "closed").touch()
        for job in self.jobs():
            runner = job / "runner"
            if runner.exists():
                try:
                    os.killpg(int(runner.read_text()), 9)
                except (ProcessLookupError, ValueError):
                    pass


def tasks_of(job):
    return sorted((job / "tasks").iterdir(), key=lambda task: int(task.name))


def ended(folder, number):
    job = folder / "jobs" / number
    return not job.exists() or all(t.read_text().split("|")[0] in ENDED for t in tasks_of(job))


def option(script, name):
    found = re.search(rf"^#SBATCH --{name}=(.*)$", script, re.M)
    return found.group(1).strip("'") if found else ""


def sbatch(folder, arguments):
    script = pathlib.Path(arguments[-1]).read_text()
    size = int(re.match(r"0-(\d+)", option(script, "array")).group(1)) + 1
    if size > int((folder / "array").read_text()):
        sys.exit("sbatch: error: Batch job submission failed: Invalid job array specification")
    number = str(len(list((folder / "jobs").iterdir())) + 1)
    job = folder / "jobs" / number
    (job / "tasks").mkdir(parents=True)
    for index in range(size):
        (job / "tasks" / str(index)).write_text("PENDING|0")
    (job / "name").write_text(option(script, "job-name"))
    (job / "script").write_text(script)
    (job / "after").write_text(option(script, "dependency").removeprefix("afterany:"))
    runner = subprocess.Popen([sys.executable, __file__, str(folder), "run", number],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    (job / "runner").write_text(str(runner.pid))
    print(number)


def run(folder, number):
    job = folder / "jobs" / number
    script = (job / "script").read_text()
    output = option(script, "output")
    after = [one for one in (job / "after").read_text().split(":") if one]
    while not all(ended(folder, other) for other in after) or (folder / "hold").exists():
        time.sleep(0.02)
    for task in tasks_of(job):
        while (folder / "hold").exists():
            time.sleep(0.02)
        if task.read_text().split("|")[0] != "PENDING":
            continue
        task.write_text("RUNNING|0")
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": task.name,
                       "SLURM_ARRAY_JOB_ID": number, "SLURM_JOB_ID": f"{number}{task.name:0>5}"}
        with open(output.replace("%a", task.name), "ab") as log:
            done = subprocess.run(["bash", job / "script"], env=environment, stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, check=False)
        if task.read_text().split("|")[0] == "RUNNING":
            code = done.returncode
            wait_status = -code if code < 0 else code << 8
            task.write_text("COMPLETED|0" if code == 0 else f"FAILED|{wait_status}")


def squeue(folder, arguments):
    names = next(a for a in arguments if a.startswith("--name=")).removeprefix("--name=").split(",")
    short = any("Format=ArrayJobID:|" == a.removeprefix("--") for a in arguments)
    for job in Fake.jobs(at(folder)):
        if (job / "name").read_text() not in names or (job / "forgotten").exists():
            continue
        for task in tasks_of(job):
            state, status = task.read_text().split("|")
            print(f"{job.name}|" if short
                  else f"{job.name}|{task.name}|{state}|None|{status}|fake|")


def at(folder):
    fake = Fake.__new__(Fake)
    fake.folder = folder
    return fake


def scontrol(folder, arguments):
    if "config" in arguments:
        print(f"MaxArraySize            = {(folder / 'array').read_text()}")
        print("MaxJobCount             = 10000")
        return
    if "job" in arguments:
        job = folder / "jobs" / arguments[-1]
        if not job.exists() or (job / "forgotten").exists():
            sys.exit("slurm_load_jobs error: Invalid job id specified")
        for task in tasks_of(job):
            state, status = task.read_text().split("|")
            print(f"JobId=1 ArrayJobId={job.name} ArrayTaskId={task.name} JobState={state} "
                  f"Reason=None ExitCode={int(status) >> 8}:{int(status) & 127} NodeList=fake")


def scancel(folder, arguments):
    wanted = [a.removeprefix("--name=") for a in arguments]
    for job in Fake.jobs(at(folder)):
        if job.name not in wanted and (job / "name").read_text() not in wanted:
            continue
        for task in tasks_of(job):
            if task.read_text().split("|")[0] not in ENDED:
                task.write_text("CANCELLED|0")


def next_fault(folder, name):
    path = folder / "faults" / name
    if not path.exists():
        return None
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        times, how, text = (line.split(" ", 2) + [""])[:3]
        if int(times) > 0:
            lines[number] = f"{int(times) - 1} {how} {text}"
            path.write_text("\n".join(lines) + "\n")
            return how, text
    return None


def main():
    folder, name, arguments = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if name == "run":
        return run(folder, arguments[0])
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(folder / "calls", "a", encoding="utf-8") as log:
            log.write(" ".join([name, *arguments]) + "\n")
        how, text = next_fault(folder, name) or ("", "")
        if how == "fail":
            sys.exit(text)
        if how == "empty":
            return None
        {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "scancel": scancel}[name](
            folder, arguments)
        if how == "silent":
            sys.exit(text)
    return None


if __name__ == "__main__":
    main()
