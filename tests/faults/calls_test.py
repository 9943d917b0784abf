"""Runs that are killed at, or fail in, the N-th system call of a kind, by strace's injection. The
long form enumerates N until a run ends without being hit, the short one samples.

strace counts for each thread by itself, so what the thread that trains does is reached where it
calls oftener than the one that owns the store; `-q` keeps that one quiet."""

import collections
import random
import re
import shutil
import signal
import subprocess
import unittest

import lab
from lab import LIMIT, LONG, SEED, THREE, Fault, Run, count, environment, open_store, require

CALLS = ["write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "unlink", "unlinkat",
         "ftruncate"]


def refusal():
    """Why there is nothing to inject with; empty when there is."""
    if not shutil.which("strace"):
        return "strace is not installed"
    done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "true"],
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    return f"strace may not trace: {done.stderr.strip()}" if done.returncode else ""


REFUSAL = refusal()


@unittest.skipIf(REFUSAL, REFUSAL)
class Calls(lab.FaultTest):
    def traced(self, world, store, trace, *expressions):
        words = [word for expression in expressions for word in ("-e", expression)]
        # Not with --seccomp-bpf: then strace 6.1 injects errors, but no signals.
        return Run("strace", "-f", "-y", "-o", trace, *words,
                   *world.command(store, "-q", "-j", 1), env=environment())

    def calls(self, world):
        """The most calls that one thread of an untouched run makes, by kind."""
        trace = world.folder / "trace"
        run = self.traced(world, world.folder / "counted", trace, "trace=" + ",".join(CALLS))
        require(run.wait() == 0, run.said())
        threads = collections.Counter(
            re.findall(r"^(\d+) +(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE))
        most = collections.Counter()
        for (_, call), n in threads.items():
            most[call] = max(most[call], n)
        return most

    def places(self, world, kind, calls, short):
        """(call, N): all of them, and one past the last, or as many as the short form has time
        for."""
        most = self.calls(world)
        all_places = [(call, n) for call in calls if most[call]
                      for n in range(1, most[call] + 2)]
        few = count(kind, short, len(all_places))
        if few < len(all_places):
            all_places = random.Random(f"{SEED}/{kind}").sample(all_places, few)
        return all_places

    def inject(self, kind, short, calls, what, check):
        world = self.lab(THREE)
        places = self.places(world, kind, calls, short)

        def one(_, store, number):
            call, n = places[number]
            trace = world.folder / f"{kind}-{number}.trace"
            run = self.traced(world, store, trace, f"trace={call}",
                              f"inject={call}:{what}:when={n}")
            code = run.wait()
            text = trace.read_text(errors="replace")
            hit = "+++ killed by SIGKILL" in text or "(INJECTED)" in text
            try:
                told = check(code, hit, run, store)
                world.check_whole(store, "-q", "-j", 2)
            except Fault as fault:
                raise Fault(f"{call} {n}: {fault}\n{trace}") from None
            trace.unlink()
            return {"hit": int(hit), **told}

        return self.rounds(kind, world, range(len(places)), one)

    def test_killed_at_every_call(self):
        def check(code, hit, run, _):
            require(code == (-signal.SIGKILL if hit else 0), f"exit code {code}", run.said())
            return {"not reached": int(not hit)}

        tally = self.inject("call_kills", 6, CALLS, "signal=KILL", check)
        if LONG:
            self.assertGreater(tally["not reached"], 0)

    def test_a_sync_that_fails(self):
        """Told with 5; or nothing depended on it: SQLite lets folders be, a store that cannot have
        a write-ahead log makes do with a journal, and what a log could not hand over at the end it
        still has. Then the run has done all that it says."""
        def check(code, hit, run, store):
            if not hit:
                require(code == 0, f"exit code {code}", run.said())
                return {"not reached": 1}
            require(code in (0, 5) and (code == 0 or "error: " in run.said()),
                    f"exit code {code}", run.said())
            if code == 5:
                return {"told": 1}
            with open_store(store) as db:
                unsaid = db.execute("SELECT count(*) FROM runs WHERE outcome IS NULL").fetchone()[0]
                left = db.execute("SELECT count(*) FROM trials WHERE done IS NULL").fetchone()[0]
            require(left == 0, "ended with 0, but not all trials are done")
            return {"of no consequence": 1, "end of the run not recorded": unsaid}

        self.inject("sync_errors", 3, ["fsync", "fdatasync"], "error=EIO", check)


if __name__ == "__main__":
    lab.main()
