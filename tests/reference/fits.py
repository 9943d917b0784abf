#!/usr/bin/python3
"""Where fits of a binomial distribution to the histogram of tests/builtin/fits_test.cpp end, and the
minima of the distances over p: by SciPy, which shares no code with perturb.
Needs python3-scipy.
"""

import numpy
from scipy.stats import binom

DATA = numpy.array([.1, .2, .11, .11, .05, .02, .03, .05, .11, .15, .07])
BINS = numpy.arange(len(DATA))


def mean_distance(p, total):
    """Mass beyond the last bin is lost, so SciPy's distance, which is of equal masses, will not do."""
    model = binom.pmf(BINS, total, numpy.expand_dims(p, -1))
    return numpy.abs(numpy.cumsum(DATA) - numpy.cumsum(model, -1)).mean(-1)


def divergences(p, total=11):
    model = binom.pmf(BINS, total, p)
    forward = (DATA * numpy.log(DATA / model)).sum()
    reverse = (model * numpy.log(model / DATA)).sum()
    return forward, reverse


def adam(distance, p=0.5, rate=1e-3, steps=1000, margin=1e-3):
    m = v = 0.0
    for t in range(1, steps + 1):
        p = min(max(p, margin), 1 - margin)
        h = 1e-7
        g = (distance(p + h) - distance(p - h)) / (2 * h)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        p -= rate * m / (1 - 0.9**t) / (numpy.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return p


if __name__ == "__main__":
    for total in (11, 10):
        fine = numpy.linspace(0.001, 0.999, 100001)
        values = mean_distance(fine, total)
        inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
        for i in numpy.flatnonzero(inner) + 1:
            print(f"total_count {total}: minimum {values[i]:.5f} at p = {fine[i]:.5f}")
        # With 10 trials 0.5 is a maximum, from which rounding alone would move it.
        for start in (0.49, 0.5, 0.51):
            end = adam(lambda p: mean_distance(p, total), start)
            print(f"total_count {total}: Adam ends at {end:.4f} from {start}")
    for name, of in (("kl", lambda p: divergences(p)[0]), ("reverse-kl", lambda p: divergences(p)[1]),
                     ("mean-kl", lambda p: sum(divergences(p)) / 2)):
        print(f"{name}: Adam ends at {adam(of):.4f}")
    print("at p = 0.41:", divergences(0.41))
