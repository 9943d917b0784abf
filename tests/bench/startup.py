#!/usr/bin/env python3
"""How long a user waits for an answer: whole commands that train nothing.

usage: ./dev bench startup [ROUNDS]     (21 by default)
"""
import statistics
import sys

import measure


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    quickstart = str(measure.ROOT / "experiments" / "quickstart.toml")
    commands = {
        "--version": ["--version"],
        "list": ["list"],
        "plan quickstart": ["plan", quickstart],
        "check quickstart": ["check", quickstart],
    }
    seconds = measure.in_turn({name: [measure.PERTURB, *rest] for name, rest in commands.items()}, rounds)
    for name, all_of_it in seconds.items():
        print(f"perturb {name:<18} median {1000 * statistics.median(all_of_it):6.1f} ms   "
              f"least {1000 * min(all_of_it):6.1f} ms")


main()
