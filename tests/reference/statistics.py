#!/usr/bin/env python3
"""Reference values for tests/report/statistics_test.cpp, from SciPy.

usage: python3 tests/reference/statistics.py > tests/report/statistics_values.h

Needs SciPy (Debian: python3-scipy). The committed file was made with SciPy 1.10.1.
"""

from scipy import special, stats

PROBABILITIES = [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999, 0.025, 1e-6]
DEGREES = [1, 2, 3, 4, 9, 29, 99, 1000, 1e6, 2.5]
SAMPLES = [
    [0.701, 0.699, 0.712],
    [3.0, 3.0],
    [1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4],
    [-0.5, 0.25, 1.75, -2.0, 0.0, 3.125, 1.0, -1.0, 0.5, 0.125],
]


def rows(name, fields, lines):
    print(f"\nstruct {name} {{\n  double {', '.join(fields)};\n}};")
    print(f"inline const std::vector<{name}> k{name}s = {{")
    for line in lines:
        print("    {" + ", ".join(repr(float(value)) for value in line) + "},")
    print("};")


def quantile(p, degrees):
    """SciPy 1.10's ppf is good to 2e-9 only; two steps of Newton's method on its cdf, which is good to 1e-15, mend it."""
    t = stats.t.ppf(p, degrees)
    for _ in range(2):
        # The smaller tail, where differences of probabilities keep their digits.
        error = stats.t.cdf(t, degrees) - p if p < 0.5 else (1 - p) - stats.t.sf(t, degrees)
        t -= error / stats.t.pdf(t, degrees)
    return t


print("// Made by tests/reference/statistics.py with SciPy; not by hand.")
print("#pragma once\n\n#include <vector>")

rows("Quantile", ["p", "degrees", "t"],
     [(p, d, quantile(p, d)) for d in DEGREES for p in PROBABILITIES])
rows("Beta", ["a", "b", "x", "value"],
     [(a, b, x, special.betainc(a, b, x))
      for a in (0.5, 1, 4.5, 50, 5000) for b in (0.5, 2, 30) for x in (1e-4, 0.1, 0.5, 0.9, 0.9999)])

print("\nstruct Described {\n  std::vector<double> values;\n  double mean, sd, low, high;\n};")
print("inline const std::vector<Described> kDescribed = {")
for sample in SAMPLES:
    mean, sd = stats.tmean(sample), stats.tstd(sample)
    half = quantile(0.975, len(sample) - 1) * sd / len(sample) ** 0.5
    values = ", ".join(repr(float(v)) for v in sample)
    print(f"    {{{{{values}}}, {mean!r}, {sd!r}, {mean - half!r}, {mean + half!r}}},")
print("};")
