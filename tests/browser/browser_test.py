"""The report in a browser: what is drawn, sorted, filtered and reloaded, and that nothing complains.

Needs Chromium, its driver and Selenium, which a Python of the system may have while this one does not:
then that one carries on.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SYSTEM = "/usr/bin/python3"
try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    MISSING = "" if shutil.which("chromedriver") else "chromedriver is not installed"
except ImportError as error:
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and os.path.exists(SYSTEM):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    MISSING = str(error)

PERTURB = os.path.abspath(os.environ["PERTURB"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 60  # seconds; a bound on what hangs

# 31 trials: 1 control and 3 sizes in 10 directions; 3 trials more diverge.
SWEEP = """
name = "sweep"
description = "How far may the initial weights be moved?"
[task]
kind = "classification"
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
epochs = 6
[[interventions]]
kind = "perturb-weights"
epsilon = [0.01, 0.1, 1.0]
seed = { range = [0, 10] }
when = "init"
[[metrics]]
kind = "distance"
to = "control"
every = "epoch"
"""
DIVERGES = """
[[interventions]]
set.optimizer.lr = 1e30
when = 20
"""
# Every kind of plot there is.
PLOTS = """
[[plots]]
kind = "curves"
metric = "test.accuracy"
[[plots]]
kind = "contrasts"
metric = "test.loss"
[[plots]]
kind = "heatmap"
metric = "test.accuracy"
x = "perturb-weights.epsilon"
y = "perturb-weights.seed"
[[plots]]
kind = "dose-response"
metric = "test.accuracy"
[[plots]]
kind = "layers"
metric = "distance*"
[[plots]]
kind = "histogram"
metric = "test.loss"
[[plots]]
kind = "scatter"
x = "train.loss"
y = "test.loss"
[[plots]]
kind = "grid"
"""


def perturb(folder, *words, code=0):
    done = subprocess.run([PERTURB, *map(str, words)], cwd=folder, capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != code:
        raise AssertionError(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@unittest.skipIf(MISSING, MISSING)
class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="perturb-browser-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        options = Options()
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--window-size=1280,1600", f"--user-data-dir={cls.folder}/profile",
                     "--disable-background-networking"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        cls.addClassCleanup(cls.driver.quit)
        (cls.folder / "sweep.toml").write_text(SWEEP + DIVERGES + PLOTS, encoding="utf-8")
        perturb(cls.folder, "run", "sweep.toml", "-q", code=1)
        perturb(cls.folder, "report", "sweep.toml")

    def open(self, name):
        self.driver.get((self.folder / name).as_uri())
        self.ready()

    def ready(self):
        WebDriverWait(self.driver, LIMIT).until(
            lambda driver: driver.execute_script("return document.documentElement.dataset.ready"))

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def check_quiet(self):
        """Neither scripts nor the content policy had anything to say."""
        self.assertEqual(self.driver.get_log("browser"), [])

    def check_drawn(self, wanted):
        places = self.find(".drawing")
        self.assertEqual(len(places), wanted)
        for place in places:
            with self.subTest(place.get_attribute("aria-label")):
                self.assertEqual(place.get_attribute("data-drawn"), "yes", place.text)
                marks = self.driver.execute_script(
                    "return arguments[0].querySelectorAll('svg .role-mark > *').length", place)
                self.assertGreater(marks, 0)

    def test_every_plot_is_drawn(self):
        self.open("sweep.html")
        self.check_drawn(8)
        self.check_quiet()

    def test_tables_are_sorted_and_filtered(self):
        self.open("sweep.html")
        table = self.find("#trials table")[0]
        column = next(i for i, head in enumerate(table.find_elements(By.CSS_SELECTOR, "thead th"))
                      if head.text.startswith("test.accuracy"))
        head = table.find_elements(By.CSS_SELECTOR, "thead th")[column]

        def shown():
            return self.driver.execute_script(
                "return [...arguments[0].tBodies[0].rows].filter((r) => !r.hidden)"
                ".map((r) => r.cells[arguments[1]].textContent)", table, column)

        def numbers():
            return [float(text) for text in shown() if re.fullmatch(r"[\d.]+", text)]

        before = shown()
        self.assertEqual(len(before), 32)
        head.find_element(By.TAG_NAME, "button").click()
        self.assertEqual(head.get_attribute("aria-sort"), "ascending")
        self.assertEqual(numbers(), sorted(numbers()))
        self.assertEqual(shown()[-1], "diverged")  # what has no number comes last, both ways
        head.find_element(By.TAG_NAME, "button").click()
        self.assertEqual(numbers(), sorted(numbers(), reverse=True))
        self.assertEqual(shown()[-1], "diverged")
        head.find_element(By.TAG_NAME, "button").click()
        self.assertEqual(shown(), before)

        line = self.find("#trials .filter input")[0]
        line.send_keys("diverged")
        self.assertEqual(len(shown()), 1)
        self.assertEqual(self.find("#trials .filter [role=status]")[0].text, "1 of 32 rows")
        line.send_keys(" nowhere")
        self.assertEqual(len(shown()), 0)
        line.clear()
        line.send_keys("CONTROL")
        self.assertGreater(len(shown()), 0)
        self.check_quiet()

    def test_theme(self):
        self.open("sweep.html")

        def paper():
            return self.driver.execute_script("return getComputedStyle(document.body).backgroundColor")

        light = paper()
        self.find("#theme")[0].click()
        self.assertNotEqual(paper(), light)
        time.sleep(2)
        self.check_drawn(8)
        self.driver.refresh()
        self.ready()
        self.assertNotEqual(paper(), light)  # remembered
        self.find("#theme")[0].click()
        self.assertEqual(paper(), light)
        self.check_quiet()

    def test_everything_is_reached_by_the_keyboard(self):
        """And has a name: links, buttons, inputs, tables."""
        self.open("sweep.html")
        nameless = self.driver.execute_script("""
          return [...document.querySelectorAll('a, button, input, summary')].filter((e) =>
            !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)
            || (e.tabIndex < 0)).map((e) => e.outerHTML)""")
        self.assertEqual(nameless, [])
        self.assertEqual(self.driver.execute_script(
            "return [...document.querySelectorAll('th')].filter((e) => !e.scope).length"), 0)

    def test_a_page_that_follows_a_run_keeps_its_place(self):
        text = (self.folder / "sweep.html").read_text(encoding="utf-8")
        (self.folder / "live.html").write_text(
            text.replace("<html lang=en>", "<html lang=en data-refresh=2>"), encoding="utf-8")
        self.open("live.html")
        line = self.find("#trials .filter input")[0]
        line.send_keys("diverged")
        self.driver.execute_script("document.activeElement.blur(); scrollTo(0, 700); window.old = true")
        WebDriverWait(self.driver, LIMIT).until(
            lambda driver: not driver.execute_script("return window.old"))
        self.ready()
        self.assertEqual(self.find("#trials .filter input")[0].get_attribute("value"), "diverged")
        self.assertAlmostEqual(self.driver.execute_script("return scrollY"), 700, delta=50)
        self.check_quiet()

    def test_hostile_text_stays_text(self):
        corpus = json.loads((ROOT / "tests/hostile/corpus.json").read_text(encoding="utf-8"))
        # What a browser could take for markup; tests/cli/report_test.py has the others.
        markup = [entry for entry in corpus if "<" in entry.get("text", "")]
        self.assertGreater(len(markup), 10)
        for number, entry in enumerate(markup):
            toml = SWEEP.replace('"sweep"', json.dumps(f"hostile-{number}")).replace(
                '"How far may the initial weights be moved?"', json.dumps(entry["text"]))
            (self.folder / "hostile.toml").write_text(toml, encoding="utf-8", errors="surrogatepass")
            done = subprocess.run([PERTURB, "report", "hostile.toml"], cwd=self.folder,
                                  capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 2:
                continue  # no TOML that says this
            with self.subTest(entry["name"]):
                self.assertEqual(done.returncode, 0, done.stderr)
                self.open("hostile.html")
                self.assertEqual(self.driver.execute_script(
                    "return document.querySelectorAll('img, iframe, object, embed, base').length"), 0)
                self.check_quiet()


if __name__ == "__main__":
    unittest.main()
