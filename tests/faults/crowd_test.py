"""Many at one store: writers, of which one may be, and readers, who are never in the way."""

import sqlite3
import threading
import time

import lab
from lab import FORKS, LIMIT, Fault, Run, count, dump, environment, open_store, require


class Crowd(lab.FaultTest):
    def test_many_writers(self):
        world = self.lab(FORKS)

        def one(_, store, number):
            gate = world.folder / f"gate-{number}"
            script = 'while [ ! -e "$0" ]; do sleep 0.05; done; exec "$@"'
            runs = [Run("sh", "-c", script, gate, *world.command(store, "-j", 2),
                        env=environment()) for _ in range(64)]
            gate.touch()
            codes = [run.wait(300) for run in runs]
            worked = []
            for run, code in zip(runs, codes):
                said = "\n".join(run.lines)
                if code == 0:
                    worked += [run] if "to train" in said and "nothing to train" not in said else []
                    continue
                require(code == 4, f"exit code {code}", said)
                # Between its lock and its name there is an instant.
                require(" is in use by " in said, "does not say why", said)
            require(len(worked) == 1, f"{len(worked)} worked", codes)
            holder = f"in use by process {worked[0].process.pid} "
            named = sum(holder in "\n".join(run.lines) for run in runs)
            require(named > 0, "nobody names whoever worked", runs[0].said(), runs[-1].said())
            with open_store(store) as db:
                require(db.execute("SELECT count(*) FROM runs").fetchone() == (1,), "several runs")
            require(dump(store) == world.untouched, "other results than untouched")
            lines = world.check_whole(store)
            require("nothing to train" in "\n".join(lines), *lines)
            return {"hit": codes.count(4), "named whoever worked": named,
                    "came when all was done": codes.count(0) - 1}

        self.rounds("writers refused", world, range(count("crowds", 1, 10)), one)

    def test_readers(self):
        """A transaction sees whole records, and no less than the one before."""
        world = self.lab(FORKS)

        def read(store, done, reads, errors):
            before = 0
            while not done.is_set():
                try:
                    with open_store(store, isolation_level=None) as db:
                        for _ in range(3):
                            db.execute("BEGIN")
                            n = db.execute("SELECT count(*) FROM results").fetchone()
                            part = db.execute("SELECT state, count(*) FROM measurements "
                                              "WHERE NOT reference "
                                              "GROUP BY state HAVING count(*) <> 4").fetchall()
                            again = db.execute("SELECT count(*) FROM results").fetchone()
                            db.execute("COMMIT")
                            require(n == again and not part and n[0] >= before,
                                    f"{before} rows, {n}, {again}; in part: {part}")
                            before = n[0]
                            reads.append(1)
                except (sqlite3.Error, Fault) as error:
                    errors.append(repr(error))
                    return

        def one(_, store, __):
            run = world.run(store, "-j", 2)
            while not (store / "results.db").exists() and run.process.poll() is None:
                time.sleep(0.001)
            done = threading.Event()
            reads, errors = [], []
            readers = [threading.Thread(target=read, args=(store, done, reads, errors))
                       for _ in range(4)]
            for reader in readers:
                reader.start()
            code = run.wait()
            done.set()
            for reader in readers:
                reader.join(LIMIT)
            require(code == 0, f"exit code {code}", run.said())
            require(not errors, *errors)
            world.check_whole(store)
            return len(reads)

        self.rounds("reads while a run writes", world, range(count("readers", 1, 20)), one)


if __name__ == "__main__":
    lab.main()
