"""Runs that are killed, interrupted or stopped at random instants: driver and isolated workers."""

import contextlib
import os
import pathlib
import shutil
import signal
import time

import lab
from lab import CHECKPOINTS, FORKS, check_left, count, require


def instant(rng, run, lines):
    """Waits for a random instant of a run that says so many lines; False when it ended before.
    By lines, not by the clock: on a busy machine all of them are as likely."""
    if rng.random() < 0.15:
        time.sleep(rng.uniform(0, 0.6))  # opening the store, loading LibTorch
    else:
        if not run.wait_for_lines(rng.randrange(1, lines + 1)):
            return False
        time.sleep(rng.uniform(0, 0.06))
    return run.process.poll() is None


def workers(store):
    """Isolated workers of whoever runs on that store."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"worker" in words and any(os.fsencode(store) + b"/work-" in word for word in words):
                found.append(int(process.name))
        except (OSError, ValueError):
            continue
    return found


def require_no_workers(store):
    until = time.monotonic() + 20
    while left := workers(store):
        require(time.monotonic() < until, f"workers survive: {left}")
        time.sleep(0.02)


class Kills(lab.FaultTest):
    def test_driver(self):
        world = self.lab(FORKS)

        def one(rng, store, _):
            checkpoints = rng.choice(CHECKPOINTS)
            hits = 0
            # Sometimes what goes on is killed again.
            while hits == 0 or (hits < 4 and rng.random() < 0.3):
                run = world.run(store, "-j", rng.choice([1, 2, 3]), checkpoints=checkpoints)
                hit = instant(rng, run, world.lines)
                run.process.kill()
                code = run.wait()
                require(code in (0, -signal.SIGKILL), f"exit code {code}", run.said())
                check_left(store)
                hits += hit and code != 0
                if code == 0 and not hits:  # it was done before: another try from the beginning
                    shutil.rmtree(store)
                elif code == 0:
                    break
            world.check_whole(store, "-j", 2, checkpoints=checkpoints)
            return hits

        self.until("kills", world, count("kills", 5, 1000), one)

    def test_driver_with_workers(self):
        world = self.lab(FORKS)

        def one(rng, store, _):
            run = world.run(store, "-j", 2, "--isolate")
            instant(rng, run, world.lines)
            run.process.kill()
            code = run.wait()
            require_no_workers(store)
            world.check_whole(store, "-j", 2, *rng.choice([[], ["--isolate"]]))
            return int(code == -signal.SIGKILL)

        self.until("kills with workers", world, count("driver_kills", 1, 100), one)

    def test_worker(self):
        """Its stage fails, and no other. The next run tries it again."""
        world = self.lab(FORKS)

        def one(rng, store, _):
            run = world.run(store, "-j", 2, "--isolate")
            instant(rng, run, world.lines)
            victims = workers(store)
            if victims:
                os.kill(rng.choice(victims), signal.SIGKILL)
            code = run.wait()
            # One that had nothing to do is replaced, and nobody need know.
            require(code in (0, 1), f"exit code {code}", run.said())
            require(code == 0 or "was killed (signal 9)" in "\n".join(run.lines), run.said())
            world.check_whole(store, "-j", 2, *rng.choice([[], ["--isolate"]]))
            return {"hit": int(bool(victims)), "failed stages": code}

        self.until("worker kills", world, count("worker_kills", 1, 100), one)

    def test_workers_that_are_stopped_and_continued(self):
        world = self.lab(FORKS)

        def one(rng, store, _):
            run = world.run(store, "-j", 2, "--isolate")
            instant(rng, run, world.lines)
            victims = workers(store)
            for victim in victims[:rng.randrange(1, 3)]:
                os.kill(victim, signal.SIGSTOP)
            time.sleep(rng.uniform(0, 0.5))
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGCONT)
            code = run.wait()
            require(code == 0, f"exit code {code}", run.said())
            world.check_whole(store)
            return int(bool(victims))

        self.until("stops and continues", world, count("stops", 0, 50), one)

    def test_signals(self):
        """A run that is asked to stop does so in seconds, with the code that says why."""
        world = self.lab(FORKS)

        def one(rng, store, _):
            number = rng.choice([signal.SIGINT, signal.SIGTERM])
            isolate = rng.choice([[], [], ["--isolate"]])
            run = world.run(store, "-j", rng.choice([1, 2]), *isolate,
                            checkpoints=rng.choice(CHECKPOINTS))
            if not instant(rng, run, world.lines):
                run.wait()
                return {"hit": 0, "too late": 1}
            twice = rng.random() < 0.2
            # Ctrl-C goes to all that the terminal shows; kill to the one.
            send = rng.choice([os.kill, os.killpg])
            for _ in range(1 + twice):
                with contextlib.suppress(ProcessLookupError):
                    send(run.process.pid, number)
                time.sleep(rng.uniform(0, 0.02) if twice else 0)
            code = run.wait(30)
            require_no_workers(store)
            # Before training begins and after it has ended there is nothing to finish: then the
            # signal does what it does to any program.
            require(code in (0, 128 + number, -number), f"{number.name}: exit code {code}",
                    run.said())
            require(code != 128 + number or twice or
                    "the same command goes on" in "\n".join(run.lines), run.said())
            world.check_whole(store, "-j", 2)
            words = {128 + number: "stopped cleanly", -number: "by default", 0: "too late"}
            return {"hit": int(code != 0), words[code]: 1}

        self.until("signals", world, count("signals", 3, 200), one)

    def test_a_signal_while_a_worker_does_not_listen(self):
        world = self.lab(FORKS)

        def one(rng, store, _):
            run = world.run(store, "-j", 2, "--isolate")
            require(run.wait_for_lines(rng.randrange(3, world.lines // 2)), run.said())
            victims = workers(store)
            require(victims, "no workers", run.said())
            os.kill(victims[0], signal.SIGSTOP)
            run.process.send_signal(signal.SIGTERM)
            code = run.wait(60)
            require(code == 143, f"exit code {code}", run.said())
            require_no_workers(store)
            world.check_whole(store, "-j", 2)
            return 1

        self.until("signals with a stopped worker", world, count("deaf", 0, 10), one)

    def until(self, kind, world, wanted, one):
        """Rounds, until so many have hit."""
        if wanted == 0:
            self.skipTest(f"no {kind} in this form")
        left = [wanted]

        def limited(rng, store, number):
            if left[0] <= 0:
                return 0
            told = one(rng, store, number)
            left[0] -= told["hit"] if isinstance(told, dict) else told
            return told

        self.rounds(kind, world, range(2 * wanted), limited)


if __name__ == "__main__":
    lab.main()
