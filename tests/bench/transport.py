#!/usr/bin/python3
"""What transport costs: the Sinkhorn divergence against the same loop in plain PyTorch on matrices, and assignment
against SciPy. One thread, processor time, in turn.

usage: ./dev bench transport [ROUNDS]     (3 by default)

Needs PyTorch and SciPy for what is compared with (Debian: python3-torch python3-scipy). Builds transport_bench.cpp.
"""
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

BUILT = "tests/bench/transport_bench"
PROGRAM = os.environ.get("PERTURB_TRANSPORT_BENCH") or str(measure.ROOT / "build" / BUILT)
SIZE = 2000
BLUR = 0.05


def softmin(eps, cost, h):
    return -eps * (h[None, :] - cost / eps).logsumexp(1)


def half_squares(x, y):
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1) / 2


def plain_divergence(torch, x, y):
    """The reference's symmetric annealed loop and last update; the gradient through that update alone."""
    a = torch.full((len(x),), -math.log(len(x)))
    b = torch.full((len(y),), -math.log(len(y)))
    with torch.no_grad():
        everything = torch.cat([x, y])
        diameter = (everything.max(0).values - everything.min(0).values).norm().item()
        epsilons = [diameter ** 2]
        step = 2 * math.log(diameter)
        while step > 2 * math.log(BLUR):
            epsilons.append(math.exp(step))
            step += 2 * math.log(0.5)
        epsilons.append(BLUR ** 2)
        xy, xx, yy = half_squares(x, y), half_squares(x, x), half_squares(y, y)
        yx = xy.t().contiguous()
        eps = epsilons[0]
        f, g = softmin(eps, xy, b), softmin(eps, yx, a)
        fa, gb = softmin(eps, xx, a), softmin(eps, yy, b)
        for eps in epsilons:
            ft, gt = softmin(eps, xy, b + g / eps), softmin(eps, yx, a + f / eps)
            fa, gb = (fa + softmin(eps, xx, a + fa / eps)) / 2, (gb + softmin(eps, yy, b + gb / eps)) / 2
            f, g = (f + ft) / 2, (g + gt) / 2
    fixed = x.detach()
    f, g = (softmin(eps, half_squares(x, y), b + g / eps), softmin(eps, half_squares(y, x), a + f / eps))
    fa, gb = softmin(eps, half_squares(x, fixed), a + fa / eps), softmin(eps, yy, b + gb / eps)
    return (f - fa).mean() + (g - gb).mean()


def plain_loop(torch, x, y):
    x = x.clone().requires_grad_(True)
    start = time.process_time()
    value = plain_divergence(torch, x, y)
    value.backward()
    return time.process_time() - start, value.item()


def assignment(cost):
    from scipy.optimize import linear_sum_assignment
    start = time.process_time()
    rows, columns = linear_sum_assignment(cost)
    return time.process_time() - start, cost[rows, columns].sum()


def ours(folder, what):
    out = subprocess.run([PROGRAM, folder, what, "1"], check=True, capture_output=True, text=True).stdout
    return tuple(float(word) for word in out.split())


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    try:
        import numpy as np
        import torch
    except ImportError:
        sys.exit("this benchmark also needs: apt install python3-torch python3-scipy")
    if "PERTURB_TRANSPORT_BENCH" not in os.environ:
        subprocess.run(["ninja", "-C", str(measure.ROOT / "build"), BUILT], check=True)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x, y = (rng.random((SIZE, 2), dtype=np.float32) for _ in range(2))
    cost = rng.random((2048, 2048))
    with tempfile.TemporaryDirectory() as folder:
        for name, values in (("x", x), ("y", y), ("cost", cost)):
            values.tofile(Path(folder) / name)
        runs = {
            "plain PyTorch, the loop": lambda: plain_loop(torch, torch.from_numpy(x), torch.from_numpy(y)),
            "the loop": lambda: ours(folder, "loop"),
            "to convergence": lambda: ours(folder, "converged"),
            "SciPy, assignment": lambda: assignment(cost),
            "assignment": lambda: ours(folder, "assignment"),
        }
        seconds = {name: [] for name in runs}
        values = {}
        for _ in range(rounds):
            for name, go in runs.items():
                spent, values[name] = go()
                seconds[name].append(spent)
    measure.report(seconds)
    for name, value in values.items():
        print(f"{name:<28} value {value:.6g}")
    print(f"loop / plain PyTorch  {measure.ratio(seconds, 'the loop', 'plain PyTorch, the loop'):.3f}   (aim 0.5)")
    print(f"assignment / SciPy    {measure.ratio(seconds, 'assignment', 'SciPy, assignment'):.3f}   (aim 1)")


if __name__ == "__main__":
    main()
