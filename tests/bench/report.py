#!/usr/bin/env python3
"""What a report costs: 1,000 trials with 20 epochs and 8 metrics written and opened, and a run with --report beside the
same run without.

usage: ./dev bench report [ROUNDS]     (3 by default; the machine should have nothing else to do)
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERTURB = os.path.abspath(os.environ.get("PERTURB", "build/perturb"))

EXPERIMENT = """
name = "thousand"
description = "What does a report of 1,000 trials cost?"
[model]
kind = "mlp"
hidden = [8]
[data]
kind = "iris"
batch_size = 16
[optimizer]
kind = "sgd"
lr = 0.1
[train]
epochs = 20
[checkpoints]
keep = "needed"
[[variations]]
seeds.init = { range = [0, 250] }
[[interventions]]
kind = "perturb-weights"
epsilon = [0.01, 0.1, 1.0]
when = "init"
[[metrics]]
kind = "weight-norm"
every = "epoch"
[[metrics]]
kind = "gradient-norm"
every = "epoch"
[[metrics]]
kind = "distance"
to = "init"
every = "epoch"
[[metrics]]
kind = "distance"
to = "control"
every = "epoch"
"""


def perturb(folder, *words):
    """Wall and processor seconds of the command."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([PERTURB, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(values):
    return sorted(values)[len(values) // 2]


def open_page(page):
    """Seconds until tables answer, and until the last figure is drawn; nothing without Chromium."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service
        from selenium.webdriver.support.ui import WebDriverWait
    except ImportError:
        return None
    if not shutil.which("chromedriver"):
        return None
    options = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(word)
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    try:
        driver.get("about:blank")
        driver.get(page.as_uri())
        WebDriverWait(driver, 60).until(
            lambda d: d.execute_script("return document.documentElement.dataset.ready"))
        # By the page's own clock: the end of its script, which makes tables answer, and the last figure.
        timing = driver.execute_script(
            "const n = performance.getEntriesByType('navigation')[0];"
            "return [n.domContentLoadedEventEnd, performance.getEntriesByName('drawn')[0]?.startTime]")
        return [value / 1000 for value in timing]
    finally:
        driver.quit()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="perturb-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "thousand.toml").write_text(EXPERIMENT, encoding="utf-8")
        perturb(folder, "run", "thousand.toml", "-q")
        walls = [perturb(folder, "report", "thousand.toml")[0] for _ in range(5)]
        page = folder / "thousand.html"
        print(f"report of 1,000 trials, 20 epochs, 8 metrics: {median(walls):.2f} s, "
              f"{page.stat().st_size / 1e6:.2f} MB")
        if times := open_page(page):
            print(f"in Chromium: answers after {times[0]:.2f} s, all drawn after {times[1]:.2f} s")
        else:
            print("in Chromium: not measured (Selenium and chromedriver are needed)")

        # Twenty LeNets on a fifth of Fashion-MNIST: what a sweep is like.
        sweep = [str(ROOT / "experiments/quickstart.toml"), "train.epochs=1", "data.train_examples=12800"]
        for what, words in (("20 LeNets, 200 steps each", sweep), ("1,000 networks of 8 units", ["thousand.toml"])):
            with_page, without = [], []
            for turn in range(1 + rounds):
                for times, more in ((with_page, ["--report"]), (without, [])):
                    store = folder / f"store-{turn}-{len(more)}"
                    used = perturb(folder, "run", *words, "-q", "--store", str(store), *more)
                    shutil.rmtree(store)
                    if turn:  # the first warms up
                        times.append(used)
            for unit, which in (("wall", 0), ("processor", 1)):
                ratios = sorted(a[which] / b[which] for a, b in zip(with_page, without))
                print(f"run --report over run, {what}, {unit} time: {median(ratios):.3f} "
                      f"({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
