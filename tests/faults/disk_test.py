"""A disk that is full, and checkpoints that are not what they were."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import lab
from lab import CHECKPOINTS, FORKS, Fault, check_left, count, open_store, require


def mount(*words):
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


def refusal():
    """Why nothing can be mounted; empty when it can."""
    with tempfile.TemporaryDirectory(prefix="perturb-faults-") as folder:
        try:
            done = mount("-t", "tmpfs", "-o", "size=64k", "perturb-faults", folder)
        except OSError as error:
            return str(error)
        if done.returncode:
            return f"cannot mount: {done.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return ""


REFUSAL = refusal()


class Disk(lab.FaultTest):
    @unittest.skipIf(REFUSAL, REFUSAL)
    def test_no_space_left(self):
        world = self.lab(FORKS)
        wanted = count("sizes", 5, 50)
        largest = 4096  # KiB; all of it fits

        def one(rng, store, number):
            # Evenly by their logarithm, from less than one page for each file.
            size = int(16 * (largest / 16) ** (number / max(1, wanted - 1)) / 4) * 4
            store.mkdir()
            require(mount("-t", "tmpfs", "-o", f"size={size}k", "perturb-faults",
                          str(store)).returncode == 0, "mount")
            try:
                inside = store / "store"
                checkpoints = rng.choice(CHECKPOINTS)
                isolate = rng.choice([[], [], ["--isolate"]])
                run = world.run(inside, "-j", rng.choice([1, 2]), *isolate, checkpoints=checkpoints)
                code = run.wait()
                require(code in (0, 5), f"{size} KiB {isolate}: exit code {code}", run.said())
                require(code == 0 or "error: " in run.said(), run.said())
                require(mount("-o", "remount,size=64m", str(store)).returncode == 0, "remount")
                try:
                    world.check_whole(inside, "-j", 2, checkpoints=checkpoints)
                except Fault as fault:
                    raise Fault(f"{size} KiB {isolate}: {fault}", run.said()) from None
                return {"hit": int(code == 5), "enough": int(code == 0)}
            except Fault:
                shutil.copytree(store, f"{store}-kept")
                raise
            finally:
                subprocess.run(["umount", "--lazy", store], check=True)

        tally = self.rounds("full disks", world, range(wanted), one)
        self.assertGreater(tally["hit"], 0)
        self.assertGreater(tally["enough"], 0)

    def test_damaged_checkpoints(self):
        """Found by their names, told, and made again."""
        checkpoints = "[checkpoints]\nevery = 5\n"
        half = self.lab(FORKS, "train.epochs=24")
        whole = self.lab(FORKS)

        def one(rng, store, _):
            run = half.run(store, "-j", 2, checkpoints=checkpoints)
            require(run.wait() == 0, run.said())
            with open_store(store) as db:
                blobs = [row[0].hex() for row in db.execute("SELECT blob FROM checkpoints")]
            damaged = rng.sample(blobs, rng.randrange(1, min(4, len(blobs)) + 1))
            for blob in damaged:
                self.damage(rng, pathlib.Path(store) / "blobs" / blob[:2] / blob)
            run = whole.run(store, "-j", rng.choice([1, 2]), *rng.choice([[], ["--isolate"]]),
                            checkpoints=checkpoints)
            code = run.wait()
            require(code == 0, f"exit code {code}", run.said())
            said = "\n".join(run.lines)
            require("could not be read" in said, f"{len(damaged)} damaged, and not told", said)
            check_left(store)
            whole.check_whole(store, checkpoints=checkpoints)
            return len(damaged)

        self.rounds("damaged checkpoints", whole, range(count("damages", 2, 60)), one)

    def damage(self, rng, path):
        data = bytearray(path.read_bytes())
        how = rng.choice(["flip", "truncate", "grow", "remove", "empty"])
        if how == "remove":
            return path.unlink()
        if how == "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif how == "truncate":
            del data[rng.randrange(len(data)):]
        elif how == "grow":
            data += rng.randbytes(rng.randrange(1, 4096))
        else:
            data.clear()
        return path.write_bytes(data)


if __name__ == "__main__":
    lab.main()
