#!/usr/bin/env python3
"""Reference values for tests/transport/reference_test.cpp, from SciPy.

usage: python3 tests/reference/transport.py > tests/transport/reference.json

Needs SciPy (Debian: python3-scipy). The committed file was made with SciPy 1.10.1 and NumPy 1.24.2.

Positions are multiples of 1/8 and weights small whole numbers, so that the file is small and ties, duplicates and
zero weights are frequent. The first cases of each kind are the corners: single points, identical points, one side a
single point.
"""

import json

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import wasserstein_distance

CASES = 240


def weights(rng, n):
    w = rng.integers(0, 6, n)
    w[rng.integers(n)] += 1
    return w


def sizes(rng, case, most):
    corners = [(1, 1), (1, 1), (1, most), (most, 1), (2, 2)]
    return corners[case] if case < len(corners) else tuple(rng.integers(1, most + 1, 2))


def line(rng, case):
    n, m = sizes(rng, case, 9)
    x, y = rng.integers(-40, 41, n), rng.integers(-40, 41, m)
    if case % 7 == 1:
        y = np.resize(x, m)  # the same points, perhaps with other weights
    if case % 11 == 2:
        x[:] = x[0]
    a, b = weights(rng, n), weights(rng, m)
    value = wasserstein_distance(x / 8, y / 8, a, b)
    return {"x": x.tolist(), "y": y.tolist(), "a": a.tolist(), "b": b.tolist(), "w1": value}


def discrete(rng, case):
    n, m = sizes(rng, case, 7)
    if case % 5 == 0:
        n = m
    x, y = rng.integers(-24, 25, (n, 2)), rng.integers(-24, 25, (m, 2))
    if case % 7 == 1:
        y = np.resize(x, (m, 2))
    a, b = weights(rng, n), weights(rng, m)
    if case % 5 == 0:
        a[:], b[:] = 1, 1  # an assignment: as degenerate as can be
    cost = (((x[:, None] - y[None]) / 8) ** 2).sum(-1)
    sums = np.zeros((n + m, n * m))
    for i in range(n):
        sums[i, i * m:(i + 1) * m] = 1
    for j in range(m):
        sums[n + j, j::m] = 1
    right = np.concatenate([a / a.sum(), b / b.sum()])
    found = linprog(cost.ravel(), A_eq=sums[:-1], b_eq=right[:-1], method="highs")
    assert found.status == 0
    return {"x": x.ravel().tolist(), "y": y.ravel().tolist(), "a": a.tolist(), "b": b.tolist(), "cost": found.fun}


def assignment(rng, case):
    n, m = sizes(rng, case, 8)
    if case % 3 == 0:
        m = n
    most = [3, 20, 1000][case % 3]  # few levels: many ties
    cost = rng.integers(-most, most + 1, (n, m)).astype(float)
    if case % 4 == 3:
        cost[rng.random((n, m)) < 0.3] = np.inf
    maximise = case % 2 == 1
    try:
        rows, columns = linear_sum_assignment(np.where(np.isinf(cost), np.inf, -cost) if maximise else cost)
        value = float(cost[rows, columns].sum())
    except ValueError:  # infeasible
        value = None
    entries = ["x" if np.isinf(c) else int(c) for c in cost.ravel()]
    return {"n": int(n), "c": entries, "max": maximise, "cost": value}


def main():
    rng = np.random.default_rng(20)
    kinds = {"line": line, "discrete": discrete, "assignment": assignment}
    print("{")
    for k, (name, make) in enumerate(kinds.items()):
        rows = [json.dumps(make(rng, case), separators=(",", ":")) for case in range(CASES)]
        print(f'"{name}": [\n' + ",\n".join(rows) + "\n]" + ("," if k < 2 else ""))
    print("}")


if __name__ == "__main__":
    main()
