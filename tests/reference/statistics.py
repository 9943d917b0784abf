#!/usr/bin/env python3
"""Reference values for tests/report/statistics_test.cpp, from SciPy and statsmodels.

usage: python3 tests/reference/statistics.py > tests/report/statistics_values.h

Needs SciPy and statsmodels (Debian: python3-scipy, python3-statsmodels). The committed file was made with SciPy 1.10.1
and statsmodels 0.13.5.
"""

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

PROBABILITIES = [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999, 0.025, 1e-6]
DEGREES = [1, 2, 3, 4, 9, 29, 99, 1000, 1e6, 2.5]
SAMPLES = [
    [0.701, 0.699, 0.712],
    [3.0, 3.0],
    [1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4],
    [-0.5, 0.25, 1.75, -2.0, 0.0, 3.125, 1.0, -1.0, 0.5, 0.125],
]
# Intervention and control, pair by pair.
PAIRS = [
    ([0.8072, 0.8240, 0.8011, 0.8133], [0.8039, 0.8104, 0.7974, 0.8120]),
    ([1.0, 2.0, 4.0], [0.5, 2.5, 1.0]),
    ([-0.3, 0.1, 0.7, 1.9, -2.2, 0.4, 0.8, 0.05, -0.6, 1.3], [0.2, 0.3, -0.5, 1.0, -2.0, 0.0, 0.9, 0.1, -1.5, 0.6]),
    ([12.0, 15.0, 11.0, 25.0, 14.0, 13.0], [14.0, 14.0, 14.0, 14.0, 14.0, 14.0]),
]
# Whole numbers, so that sums which are equal on paper are equal in SciPy, too.
DIFFERENCES = [
    [3, -1],
    [1, 1, 1, 1, 1],
    [5, -2, 7, 1, 3, 3],
    [0, 0, 2, -2, 4, 1, 0, 6],
    [-4, -1, -9, 2, -3, 1, -7, -5, -2, 0, 3, -6],
    [10, -10],
    [7, 1, -3, 4, 2, 6, -5, 8, 3, 1, -2, 9, 2, 4],
]
# Longer than what is counted out: p by counting all 2^24 here.
MANY = [3, -1, 4, 1, -5, 9, 2, -6, 5, 3, -5, 8, 9, -7, 9, 3, 2, -3, 8, 4, 6, -2, 6, -4]
FAMILIES = [
    [0.01, 0.02, 0.03, 0.04, 0.05],
    [0.04, 0.01, 0.03],
    [0.5],
    [0.25, 0.25, 0.0625, 1.0, 0.0625],
    [0.001, 0.8, 0.0005, 0.02, 0.02, 0.3],
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


def braced(values):
    return "{" + ", ".join(repr(float(v)) for v in values) + "}"


def hedges_g(values, controls):
    """From the definition; the correction by SciPy's gamma function, not by lgamma."""
    values, controls = np.array(values), np.array(controls)
    degrees = len(values) - 1
    spread = np.sqrt((values.var(ddof=1) + controls.var(ddof=1)) / 2)
    correction = special.gamma(degrees / 2) / (np.sqrt(degrees / 2) * special.gamma((degrees - 1) / 2))
    return correction * (values - controls).mean() / spread


print("\nstruct Paired {\n  std::vector<double> values, controls;\n  double g, low, high;\n};")
print("inline const std::vector<Paired> kPaired = {")
for values, controls in PAIRS:
    differences = np.subtract(values, controls)
    half = quantile(0.975, len(values) - 1) * stats.sem(differences)
    low, high = differences.mean() - half, differences.mean() + half
    t = stats.ttest_rel(values, controls)
    # The interval is that of the paired t-test: it holds 0 just where p > 0.05.
    assert (low < 0 < high) == (t.pvalue > 0.05)
    print(f"    {{{braced(values)}, {braced(controls)}, {hedges_g(values, controls)!r}, {low!r}, {high!r}}},")
print("};")

print("\nstruct Flipped {\n  std::vector<double> differences;\n  double p;\n};")
print("inline const std::vector<Flipped> kFlipped = {")
for differences in DIFFERENCES:
    p = stats.permutation_test((np.array(differences, float),), np.sum, permutation_type="samples",
                               vectorized=False, n_resamples=np.inf, alternative="two-sided").pvalue
    print(f"    {{{braced(differences)}, {float(p)!r}}},")
print("};")

sums = np.zeros(1, dtype=np.int16)
for difference in MANY:
    sums = np.concatenate([sums + difference, sums - difference]).astype(np.int16)
p = np.mean(np.abs(sums) >= abs(sum(MANY)))
print(f"inline const Flipped kFlippedMany = {{{braced(MANY)}, {float(p)!r}}};")

print("\nstruct Corrected {\n  std::vector<double> p, holm;\n};")
print("inline const std::vector<Corrected> kCorrected = {")
for family in FAMILIES:
    print(f"    {{{braced(family)}, {braced(multipletests(family, method='holm')[1])}}},")
print("};")
