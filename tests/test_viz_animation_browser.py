"""The animation's page in a real browser: buttons, keys, slider, both directions, small screens, no network."""

from __future__ import annotations

import numpy as np
import pytest
from browser import assert_quiet, chromium, open_file

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, viz
from tinygrad_cnn.viz.animation.words import number

pytestmark = pytest.mark.slow

TABLES = """
const tables = {};
for (const block of document.querySelectorAll(".block")) {
  const name = block.querySelector("h2").textContent;
  for (const table of block.querySelectorAll("table")) {
    const rows = [...table.rows].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent));
    tables[`${name}: ${table.caption.textContent}`] = rows.filter((row) => row.length);
  }
}
return tables;
"""


def by_id(driver, name):
    return driver.find_element("css selector", f"#{name}")


def text(driver, name):
    return by_id(driver, name).text


def press(driver, *keys):
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def test_the_lectures_example_by_mouse_and_keyboard(tmp_path):
    from selenium.webdriver.common.keys import Keys

    viz.animate().save(tmp_path / "conv.html")
    with chromium() as driver:
        open_file(driver, tmp_path / "conv.html")
        assert text(driver, "say") == "output (0, 0) of filter 0: window rows 0–2, columns 0–2, sum −4"
        assert by_id(driver, "play").text == "play"  # nothing moves by itself
        press(driver, Keys.ARROW_RIGHT)
        assert text(driver, "say") == "output (0, 1) of filter 0: window rows 0–2, columns 2–4, sum −3"
        assert text(driver, "count") == "2 / 18"
        assert text(driver, "lines").splitlines()[-1] == "−3 + (−1) + 0 + bias 1 = −3"
        assert len(driver.find_elements("css selector", "td.window")) == 3 * 9
        press(driver, Keys.END)
        tables = driver.execute_script(TABLES)
        assert tables["output: y, filter 0"] == [["−4", "−3", "−3"], ["−2", "−7", "−9"], ["1", "−4", "−10"]]
        assert tables["output: y, filter 1"] == [["0", "−3", "5"], ["0", "5", "1"], ["1", "2", "1"]]
        assert tables["channel 0: filter 1"] == [["0", "0", "0"], ["0", "1", "0"], ["1", "1", "1"]]
        press(driver, Keys.ARROW_RIGHT)  # there is nothing behind the end
        assert text(driver, "count") == "18 / 18"
        press(driver, Keys.HOME)
        assert text(driver, "count") == "1 / 18"
        assert driver.execute_script(TABLES)["output: y, filter 1"] == [["", "", ""]] * 3
        slider = by_id(driver, "slider")
        driver.execute_script("arguments[0].value = 9; arguments[0].dispatchEvent(new Event('input'))", slider)
        assert text(driver, "count") == "10 / 18"
        slider.click()
        press(driver, Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
        assert text(driver, "count") == "2 / 18"
        by_id(driver, "last").click()
        assert text(driver, "count") == "18 / 18"
        assert_quiet(driver)


def test_play_stops_at_the_end(tmp_path):
    from selenium.webdriver.support.ui import WebDriverWait

    viz.animate(rows=0).save(tmp_path / "conv.html")
    with chromium(reduced_motion=True) as driver:
        open_file(driver, tmp_path / "conv.html")
        driver.execute_script("const s = document.getElementById('speed'); s.value = '250';")
        press(driver, " ")
        assert text(driver, "play") == "pause"
        assert by_id(driver, "say").get_attribute("aria-live") == "off"
        WebDriverWait(driver, 20).until(lambda d: text(d, "play") == "play")
        assert text(driver, "count") == "6 / 6"
        assert by_id(driver, "say").get_attribute("aria-live") == "polite"
        assert_quiet(driver)


def test_the_last_frame_backward_has_the_real_gradients(tmp_path, rng):
    from selenium.webdriver.common.keys import Keys

    layer = nn.Conv2d(2, 2, 3, stride=2, padding=1, padding_mode="reflect")
    x = tcnn.Tensor(rng.normal(size=(1, 2, 4, 5)).astype("float32"), requires_grad=True)
    y = layer(x)
    dy = rng.normal(size=y.shape).astype("float32")
    y.backward(dy)
    viz.animate(layer, x, dy=dy).save(tmp_path / "conv.html")
    with chromium() as driver:
        open_file(driver, tmp_path / "conv.html")
        driver.find_element("css selector", "[data-direction=backward]").click()
        press(driver, Keys.END)
        tables = driver.execute_script(TABLES)
        for c in range(2):
            shown = np.array(tables[f"channel {c}: dx"])[1:-1, 1:-1].tolist()
            assert shown == [[number(v) for v in row] for row in x.grad[0, c].astype(float)]
            wanted = [[number(v) for v in row] for row in layer.weight.grad[1, c].astype(float)]
            assert tables[f"channel {c}: dweight 1"] == wanted
        assert f"= {number(float(layer.bias.grad[1]))}" in text(driver, "lines").splitlines()[-1]
        assert_quiet(driver)


def test_predict_first_hides_the_answer_until_it_is_asked_for(tmp_path):
    from selenium.webdriver.common.keys import Keys

    viz.animate(nn.MaxPool2d(2), np.arange(16.0).reshape(1, 4, 4)).save(tmp_path / "max.html")
    with chromium() as driver:
        open_file(driver, tmp_path / "max.html")
        press(driver, "p")
        assert text(driver, "say").endswith("what comes out?")
        assert driver.execute_script(TABLES)["output: y, channel 0"][0] == ["?", ""]
        assert not driver.find_elements("css selector", "#board .winner")
        assert "max(" not in text(driver, "lines")
        assert text(driver, "now").endswith("written in this step")
        driver.find_element("css selector", "[data-direction=backward]").click()
        assert text(driver, "now").endswith("dy of this step")
        driver.find_element("css selector", "[data-direction=forward]").click()
        press(driver, Keys.ARROW_RIGHT)
        assert text(driver, "say").endswith("largest 5 at row 1, column 1")
        assert text(driver, "count") == "1 / 4"
        press(driver, Keys.ARROW_RIGHT)
        assert driver.execute_script(TABLES)["output: y, channel 0"][0] == ["5", "?"]
        by_id(driver, "answer").click()
        assert driver.execute_script(TABLES)["output: y, channel 0"][0] == ["5", "7"]
        assert_quiet(driver)


@pytest.mark.parametrize("width", [390, 360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_its_screen(width, dark, tmp_path, rng):
    pages = {
        "lecture": viz.animate(),
        "backward": viz.animate(direction="backward"),
        "line": viz.animate(nn.Conv1d(1, 2, 3, padding=1), rng.normal(size=(1, 30))),
        "alexnet": viz.animate(nn.Conv2d(3, 96, 11, 4), rng.normal(size=(3, 63, 63))),
    }
    with chromium(width, 844, dark=dark) as driver:
        for name, animation in pages.items():
            animation.save(tmp_path / f"{name}.html")
            open_file(driver, tmp_path / f"{name}.html")
            by_id(driver, "next").click()
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
            ink, paper = driver.execute_script(
                "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
            )
            ink, paper = (sum(map(int, colour.strip("rgb()").split(", "))) for colour in (ink, paper))
            assert (ink > paper) is dark
            marked = driver.find_elements("css selector", "#board td.window")[0]
            frame = driver.execute_script(
                "const box = arguments[0].closest('.scroll').getBoundingClientRect(), "
                "cell = arguments[0].getBoundingClientRect(); "
                "return cell.left >= box.left - 1 && cell.right <= box.right + 1",
                marked,
            )
            assert frame, "the window is out of sight"
            assert_quiet(driver)


def test_two_in_one_notebook_do_not_disturb_one_another(tmp_path):
    parts = [viz.animate(), viz.animate(nn.MaxPool2d(2), np.ones((1, 4, 4)))]
    html = "<!DOCTYPE html><title>notebook</title>" + "".join(part._repr_html_() for part in parts)
    (tmp_path / "notebook.html").write_text('<meta charset="utf-8"><link rel="icon" href="data:,">' + html, "utf-8")
    with chromium() as driver:
        open_file(driver, tmp_path / "notebook.html")
        counts = []
        widths = "return [document.body, ...document.querySelectorAll('iframe')].map((one) => one.offsetWidth)"
        assert len(set(driver.execute_script(widths))) == 1  # with its border: no scroll bar below it
        for number_of_clicks, frame in enumerate(driver.find_elements("css selector", "iframe")):
            driver.switch_to.frame(frame)
            for _ in range(number_of_clicks):
                by_id(driver, "next").click()
            counts.append(text(driver, "count"))
            driver.switch_to.default_content()
        assert counts == ["1 / 18", "2 / 4"]
        assert_quiet(driver)
