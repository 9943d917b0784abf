"""Stands between a job's script and its worker, and delivers the worker's records as a bad file
system would:

    late   a second after the worker has ended
    torn   first half of each under its name, then all of it
    twice  each again and again, also under the name of another attempt

usage: mangle.py HOW PROGRAM ... BATCH NUMBER ATTEMPT
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def put(source, target):
    beside = target.with_suffix(".tmp")
    shutil.copy(source, beside)
    os.rename(beside, target)


def deliver(how, source, records):
    target = records / source.name
    if how == "torn":
        whole = source.read_bytes()
        target.write_bytes(whole[:len(whole) // 2])
        time.sleep(0.4)
    put(source, target)
    if how == "twice":
        stage, attempt, rest = source.name.split(".", 2)
        put(source, records / f"{stage}.{attempt}x.{rest}")
        time.sleep(0.4)
        put(source, target)


def main():
    how, command, batch = sys.argv[1], sys.argv[2:], pathlib.Path(sys.argv[-3])
    with tempfile.TemporaryDirectory() as private:
        copy = pathlib.Path(private) / batch.name
        shutil.copytree(batch / "records", copy / "records")
        shutil.copytree(batch / "tasks", copy / "tasks")
        known = {file.name for file in (copy / "records").iterdir()}
        command[-3] = str(copy)
        worker = subprocess.Popen(command)
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, lambda got, _: worker.send_signal(got))
        status = worker.wait()
        if how == "late":
            time.sleep(1)
        for file in sorted((copy / "records").iterdir()):
            if file.name not in known:
                deliver(how, file, batch / "records")
        return status


if __name__ == "__main__":
    sys.exit(main())
