"""The dashboard's page in a real browser, while a network is really trained."""

import contextlib
import json
import threading
import time

import numpy as np
import pytest
from browser import assert_quiet, chromium

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, random, viz
from tinygrad_cnn.training import Callback, fit

pytestmark = pytest.mark.slow

pytest.importorskip("sklearn")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

CLASSES = ["</script><img src=x onerror=alert(1)>", *"123456789"]


class Slowly(Callback):
    def on_batch_end(self, run):
        time.sleep(0.01)


@contextlib.contextmanager
def training(*, dashboard=None, model=None, pairs=None, epochs=1000):
    """LeNet-5 on the digits, in a thread; gives the dashboard, stops at the end."""
    split = data.load("digits")
    if dashboard is None:
        images, labels = zip(*[split.test[i] for i in range(10)])
        dashboard = viz.Dashboard(images=images, labels=labels, classes=CLASSES, validation="test")
    with random.use_generator(random.Generator(3)):
        model = models.LeNet5() if model is None else model
    loader = data.DataLoader(split.train, batch_size=32, shuffle=True) if pairs is None else pairs
    val = data.DataLoader(split.test, batch_size=250) if pairs is None else pairs
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    dashboard.start()

    def run():
        fit(model, loader, optimizer, epochs=epochs, val_loader=val, callbacks=[dashboard, Slowly()])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield dashboard
    finally:
        while thread.is_alive():
            if dashboard._run is not None:
                dashboard._run.stop("the test is over")
            thread.join(0.1)


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
    return found


def text(page, selector):
    return page.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def points(page, line):
    """How many points a curve has."""
    script = "return document.querySelector(arguments[0])?.getAttribute('d') ?? ''"
    return page.execute_script(script, f"#loss > svg path.{line}").count("L")


def is_painted(page, selector):
    """Whether the first canvas is neither empty nor of one colour."""
    script = """const c = document.querySelector(arguments[0]), copy = new OffscreenCanvas(c.width, c.height);
        const pen = copy.getContext("2d", { willReadFrequently: true });  // else Chromium complains
        pen.drawImage(c, 0, 0);
        const d = pen.getImageData(0, 0, c.width, c.height).data;
        return new Set(d.filter((_, i) => i % 4 === 0)).size > 3;"""
    return page.execute_script(script, f"{selector} canvas")


def test_watching_pausing_choosing_and_stopping():
    with chromium() as page, training() as dashboard:
        url = dashboard.url
        page.get(url)
        until(lambda: points(page, "smooth") > 3, "a curve")
        before = points(page, "smooth")
        until(lambda: points(page, "smooth") > before + 5, "the curve grows")
        assert text(page, "h1") == "LeNet5, 61,706 parameters"
        assert text(page, "#status") == "● training"
        until(lambda: page.find_elements(By.CSS_SELECTOR, "#metric circle.validation"), "the end of an epoch")
        assert "test accuracy" in text(page, "#facts")
        for place in ("#layers", "#filters", "#predictions"):
            assert is_painted(page, place), place
        layers = [e.text for e in page.find_elements(By.CSS_SELECTOR, "#layers b")]
        assert layers[0] == "features.conv1"
        assert layers[-1] == "classifier.fc3"
        names = [e.text for e in page.find_elements(By.CSS_SELECTOR, "#classes .name")]
        assert names == CLASSES  # as text
        assert page.execute_script("return document.querySelectorAll('img, main script').length") == 0
        assert len(page.find_elements(By.CSS_SELECTOR, "#sizes .size")) == 5

        verdicts = [e.text for e in page.find_elements(By.CSS_SELECTOR, ".verdict")]
        assert len(verdicts) == 10
        assert {verdict[0] for verdict in verdicts} <= {"✓", "✗"}
        state = json.loads(dashboard._answer("/state", ""))["news"]
        shares = np.array([[share for _, share, _ in said["bars"]] for said in state["predictions"]])
        assert shares.shape == (10, 10)

        pause = page.find_element(By.ID, "pause")
        pause.click()
        until(lambda: text(page, "#status") == "❚❚ paused", "a pause")
        assert pause.text == "Resume"
        time.sleep(1.2)
        step = dashboard._run.step
        buttons = page.find_elements(By.CSS_SELECTOR, "#predictions button")
        assert buttons[4].get_attribute("aria-label").endswith("): see what the layers make of it")
        assert text(page, "#filters-note") == "Grey is 0, black the most negative, white the most positive weight."
        assert page.find_element(By.CSS_SELECTOR, "#filters canvas").get_attribute("aria-label") == "6 filters, 5 by 5"
        buttons[4].click()  # also in a pause
        until(lambda: buttons[4].get_attribute("aria-pressed") == "true", "another image")
        assert buttons[0].get_attribute("aria-pressed") == "false"
        assert dashboard._run.step == step
        buttons[4].send_keys(Keys.TAB, Keys.ENTER)  # by keyboard: the next one; what has the focus keeps it
        until(lambda: buttons[5].get_attribute("aria-pressed") == "true", "the next image")
        assert page.switch_to.active_element == buttons[5]

        pause.send_keys(Keys.ENTER)
        until(lambda: text(page, "#status") == "● training" and dashboard._run.step > step, "training again")
        assert pause.text == "Pause"

        log = page.find_element(By.ID, "log")
        ticks = text(page, "#loss > svg")
        log.click()
        assert text(page, "#loss > svg") != ticks

        stop = page.find_element(By.ID, "stop")
        stop.click()
        assert stop.text == "Really stop?"
        assert not dashboard._run.stop_reason
        stop.click()
        ended = "■ training has ended: Stop was pressed on the dashboard"
        until(lambda: text(page, "#status") == ended, "the end")
        assert not stop.is_enabled()
        assert not pause.is_enabled()
        assert page.title.startswith("stopped: epoch ")
        until(lambda: dashboard.url is None, "the server is gone")
        time.sleep(1.5)  # and the page does not mind: it asks no more
        assert text(page, "#status") == ended
        assert is_painted(page, "#layers")
        assert_quiet(page, url)


def test_a_training_that_vanishes_leaves_its_last_state():
    with chromium() as page, training() as dashboard:
        page.get(dashboard.url)
        until(lambda: points(page, "smooth") > 3, "a curve")
        dashboard.close()
        until(lambda: "no connection" in text(page, "#status"), "a lost connection")
        assert "this is its last state" in text(page, "#status")
        assert points(page, "smooth") > 3
        assert not page.find_element(By.ID, "stop").is_enabled()


def test_a_training_that_ends_by_itself_says_so():
    with chromium() as page, training(epochs=3) as dashboard:
        page.get(dashboard.url)
        until(lambda: text(page, "#status") == "✓ training has ended", "the end")
        assert text(page, "#facts").startswith("epoch3 / 3")
        assert page.execute_script("return document.querySelector('progress').value") == 1


def test_without_images_there_are_curves():
    x = tcnn.tensor(np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32))
    pairs = [(x, tcnn.tensor(np.arange(64) % 2))] * 20
    with (
        chromium() as page,
        training(dashboard=viz.Dashboard(), model=nn.Sequential(nn.Linear(5, 2)), pairs=pairs) as dashboard,
    ):
        page.get(dashboard.url)
        until(lambda: points(page, "smooth") > 10, "a curve")
        shown = [e.get_attribute("id") for e in page.find_elements(By.CSS_SELECTOR, "section") if e.is_displayed()]
        assert shown == ["", "metric-card", "classes-card", "sizes-card"]
        assert_quiet(page, dashboard.url)


@pytest.mark.parametrize(("width", "dark"), [(390, False), (768, True), (1280, True)])
def test_nothing_sticks_out(width, dark):
    with chromium(width, 844, dark=dark, reduced_motion=True) as page, training() as dashboard:
        page.get(dashboard.url)
        until(lambda: page.find_elements(By.CSS_SELECTOR, "#layers canvas"), "layers")
        script = """return [...document.querySelectorAll("main *, header *, dl *")].filter((e) =>
            e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80));"""
        assert page.execute_script(script) == []
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        colours = page.execute_script("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
        ink, back = (sum(map(int, c.strip("rgba()").split(",")[:3])) for c in colours)
        assert (ink > back) == dark
        motion = "return getComputedStyle(document.querySelector('.track span')).transitionDuration"
        assert page.execute_script(motion) == "0s"
        assert_quiet(page, dashboard.url)
