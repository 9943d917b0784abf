#!/usr/bin/env python3
"""Counts what a test run came to, and prints 'N passed, N failed' as its last line.

usage: summary.py build/meson-logs/testlog.json

Counts test cases: doctest's and unittest's own where a run reports them, else one for the run. A
run that failed counts at least one failure whatever it printed (it may have crashed half way), and
so does one that executed no test case at all: a filter that matches nothing proves nothing.
"""

import json
import pathlib
import re
import sys

DOCTEST = re.compile(r"\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed")
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_BAD = re.compile(r"^FAILED \(.*\)$", re.MULTILINE)


def count(run):
    """(passed, failed) of one line of Meson's log."""
    output = run.get("stdout", "") + run.get("stderr", "")
    good = run["result"] in ("OK", "EXPECTEDFAIL")
    if found := DOCTEST.search(output):
        passed, failed = int(found[1]), int(found[2])
    elif found := UNITTEST.search(output):
        bad = UNITTEST_BAD.search(output)
        failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", bad[0]))) if bad else 0
        passed = int(found[1]) - failed
    else:
        passed, failed = (1, 0) if good else (0, 1)
    if failed == 0 and (not good or passed == 0):
        failed = 1
    return passed, failed


def summary(lines):
    """(passed, failed) of a whole log; a log without a run is a failure."""
    counts = [count(json.loads(line)) for line in lines] or [(0, 1)]
    return sum(p for p, _ in counts), sum(f for _, f in counts)


if __name__ == "__main__":
    log = pathlib.Path(sys.argv[1])
    passed, failed = summary(log.read_text(encoding="utf-8").splitlines() if log.is_file() else [])
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
