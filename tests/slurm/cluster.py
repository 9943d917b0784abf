"""A Slurm of its own for tests: munged, slurmctld and one slurmd on this machine, with ports, keys and
folders that nobody else uses, and nothing left behind. Debian: slurm-wlm, munge; needs root, since
slurmd changes users.

    with cluster.Cluster() as slurm:
        subprocess.run(["sbatch", ...], env={**os.environ, **slurm.environment})

`missing()` says why none can be started here, or nothing. As a program it starts one, says how to
use it, and ends it with the input:

    tests/slurm/cluster.py
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
START = 30  # seconds until all three answer; a bound on what hangs, not a measurement

CONFIGURATION = """
ClusterName=perturb
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
MaxArraySize={array}
MaxJobCount=5000
MinJobAge={age}
KillWait=2
MessageTimeout=10
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=60
MpiDefault=none
SwitchType=switch/none
# More processors than there are: what the tests train sleeps.
SlurmdParameters=config_overrides
NodeName={host} CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why no cluster can be started here; nothing when one can."""
    if os.geteuid() != 0:
        return "only root can start slurmd"
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=path())]
    return f"not installed: {', '.join(lacking)} (Debian: slurm-wlm munge)" if lacking else None


def path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """`array`: MaxArraySize. `age`: seconds until an ended job may be forgotten."""

    def __init__(self, array=17, cpus=8, age=5):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-slurm-"))
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path()}
        self.daemons = {}
        try:
            self._start(array, cpus, age)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, array, cpus, age):
        for name in ("run", "log", "state", "spool"):
            (self.folder / name).mkdir()
        # munged insists that nobody else can write there, and that all can reach its socket.
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            folder=self.folder, host=socket.gethostname().split(".")[0], ports=free_ports(2),
            array=array, cpus=cpus, age=age))
        run = self.folder / "run"
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}",
                     f"--socket={run}/munge.socket", f"--pid-file={run}/munged.pid",
                     f"--log-file={self.folder}/log/munged.log",
                     f"--seed-file={run}/munged.seed")
        self._until(lambda: (run / "munge.socket").exists(), "munged does not answer")
        self.start_controller()
        self._daemon("slurmd", "-D")
        self._until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"),
                    "the node does not come up")

    def _daemon(self, name, *arguments):
        # One that was killed may have left children: a group, which is ended as a whole.
        with open(self.folder / "log" / f"{name}.out", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [shutil.which(name, path=path()), *arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **self.environment},
                start_new_session=True)

    def start_controller(self):
        self._daemon("slurmctld", "-D")
        self._until(lambda: "is UP" in self.ask("scontrol", "ping"), "slurmctld does not answer")

    def stop_controller(self):
        self._end("slurmctld")

    def ask(self, *command):
        """What it says, whether it went well or not."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, timeout=START,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.stdout + done.stderr

    def tasks(self, *options):
        """Of the queue, as (job id, array, index, state)."""
        out = self.ask("squeue", "--noheader", "--array", *options,
                       "--Format=JobID:|,ArrayJobID:|,ArrayTaskID:|,State:|")
        return [tuple(line.split("|")[:4]) for line in out.splitlines() if line.count("|") >= 4]

    def _until(self, ready, what):
        until = time.monotonic() + START
        while not ready():
            if time.monotonic() > until:
                logs = "\n".join(log.read_text(errors="replace")[-2000:]
                                 for log in (self.folder / "log").iterdir())
                raise RuntimeError(f"{what}\n{logs}")
            time.sleep(0.05)

    def _end(self, name):
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def close(self):
        if "slurmctld" in self.daemons and "slurmd" in self.daemons:
            self.ask("scancel", "--user=root", "--signal=KILL", "--full")
            self.ask("scancel", "--user=root")
            until = time.monotonic() + 10
            while self.tasks() and time.monotonic() < until:
                time.sleep(0.1)
        for name in ("slurmd", "slurmctld", "munged"):
            self._end(name)
        self._end_steps()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_steps(self):
        """What slurmd leaves: daemons of jobs, which have our folder in their environment."""
        mark = f"SLURM_CONF={self.folder}/".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                ours = mark in (process / "environ").read_bytes()
                name = (process / "comm").read_text()
            except OSError:
                continue
            if ours and re.match("slurmstepd", name):
                os.kill(int(process.name), signal.SIGKILL)


def main():
    reason = missing()
    if reason:
        sys.exit(f"no Slurm can be started here: {reason}")
    with Cluster() as slurm:
        print(f"export SLURM_CONF={slurm.environment['SLURM_CONF']}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
