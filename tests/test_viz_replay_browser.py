"""The replay page in a real browser: it plays, by keyboard, slider and button, and shows the numbers of backward."""

from __future__ import annotations

import base64
import time

import numpy as np
import pytest
from browser import assert_quiet, chromium, open_file

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn, random, viz

NASTY = '</script><img src=x onerror="document.title=1">'
BYTES = """const a = replay[arguments[0]](arguments[1]);
return a === null ? null : btoa(Array.from(new Uint8Array(a.buffer), (c) => String.fromCharCode(c)).join(""))"""


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    model = models.create("lenet5", generator=random.Generator(0))
    images = tcnn.tensor(random.Generator(1).normal((2, 1, 28, 28)), dtype="float32")
    with viz.record() as tape:
        loss = F.cross_entropy(model(images), tcnn.tensor([3, 1]))
        loss.backward()
    path = tmp_path_factory.mktemp("replay") / "lenet.html"
    tape.to_html(path)
    return model, tape, path


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser, lenet):
    open_file(browser, lenet[2])
    yield browser
    assert_quiet(browser)


def find(page, selector):
    return page.find_element("css selector", selector)


def texts(page, selector):
    return [element.text for element in page.find_elements("css selector", selector)]


def press(page, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(page).send_keys(key).perform()


def at(page):
    return page.execute_script("return replay.at()")


def go(page, i):
    page.execute_script("replay.go(arguments[0])", i)


def array(page, what, name, dtype="float32"):
    text = page.execute_script(BYTES, what, name)
    return None if text is None else np.frombuffer(base64.b64decode(text), dtype=dtype)


def last(page):
    return page.execute_script("return replay.frames.length - 1")


def box(page, title):
    """The drawn box whose label begins with kind and title."""
    return find(page, f'.scene:not([hidden]) .node[aria-label*="{title}"]')


def test_it_is_small_and_the_last_frame_has_the_gradients_of_backward_bit_for_bit(page, lenet):
    model, _, path = lenet
    assert path.stat().st_size < 2_000_000
    go(page, last(page))
    for name, parameter in model.named_parameters():
        assert array(page, "gradient", name).tobytes() == parameter.grad.tobytes(), name
        assert array(page, "value", name).tobytes() == parameter.data.tobytes(), name


def test_every_frame_can_be_shown(page):
    for i in range(last(page) + 1):
        go(page, i)
        assert at(page) == i
        beginning = "at the beginning" if i == 0 else f"step {i} of {last(page)}: "
        assert find(page, "#say").text.startswith(beginning)
        assert len(page.find_elements("css selector", ".node.active")) == (i > 0)
    assert find(page, "#say").get_attribute("aria-live") == "polite"


def test_pending_gradients_are_not_0(page, lenet):
    find(page, "#backward").click()
    assert find(page, "#say").text.endswith("backward begins: the gradient of mean with respect to itself is 1")
    for name, _ in lenet[0].named_parameters():
        assert array(page, "gradient", name) is None
        assert box(page, name).text.splitlines()[-1] == "grad not computed yet"
    box(page, "features.conv1.weight").click()
    assert texts(page, "#panel .empty") == ["not computed yet"]
    assert "not computed yet" in find(page, "#panel .chain").text


def test_values_appear_when_they_are_computed(page):
    go(page, 0)
    assert "value not computed yet" in box(page, "cross_entropy").text
    find(page, "#forward").click()
    assert at(page) == 1
    assert "value norm" in box(page, "conv2d, value norm").text
    assert len(page.find_elements("css selector", ".node.pending")) == 13


def test_keys_and_buttons(page):
    from selenium.webdriver.common.keys import Keys

    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert at(page) == 2
    press(page, Keys.END)
    assert at(page) == last(page)
    assert not find(page, "#next").is_enabled()
    find(page, "#back").click()
    assert at(page) == last(page) - 1
    press(page, Keys.HOME)
    assert at(page) == 0
    find(page, "#next").click()
    assert at(page) == 1
    find(page, "#end").click()
    find(page, "#home").click()
    assert at(page) == 0


def test_slider(page):
    from selenium.webdriver.common.keys import Keys

    slider = find(page, "#slider")
    slider.click()  # its middle
    assert at(page) == last(page) // 2
    slider.send_keys(Keys.ARROW_RIGHT)
    assert at(page) == last(page) // 2 + 1  # one step, not two
    assert slider.get_attribute("aria-valuetext") == find(page, "#say").text


def test_playing_runs_to_the_end_and_stops(page):
    page.execute_script(
        "find('speed').value = '250'; find('speed').options[3].value = '20'; find('speed').value = '20'"
    )
    press(page, " ")
    assert "pause" in find(page, "#play").text
    for _ in range(100):
        if at(page) == last(page):
            break
        time.sleep(0.1)
    assert at(page) == last(page)
    assert "play" in find(page, "#play").text


def test_space_pauses(page):
    press(page, " ")
    press(page, " ")
    now = at(page)
    assert now >= 1
    time.sleep(1.8)  # longer than a step
    assert at(page) == now


def test_a_step_back_shows_formula_code_and_numbers(page):
    weight = page.execute_script(
        "return replay.frames.findIndex((f) => f.phase === 'backward' && f.input === 'weight' && f.from !== undefined)"
    )
    go(page, weight)
    assert "linear (classifier.fc3) gives classifier.fc3.weight: + norm" in find(page, "#say").text
    assert find(page, ".law.active").text.split("\n")[-1] == "∂L/∂weight = (∂L/∂y)ᵀ · x"
    assert find(page, "#panel details summary").text.endswith("backward of linear")
    code = "\n".join(texts(page, "#panel pre"))
    assert "loss = F.cross_entropy(model(images)" in code
    assert "def backward(self, dy" in code
    assert any(text.startswith("test_viz_replay_browser.py, line ") for text in texts(page, "#panel .stats"))
    assert len(page.find_elements("css selector", "#panel canvas")) == 1  # (10, 84); what arrived has 20 numbers
    assert len(page.find_elements("css selector", "#panel td")) == 20
    assert len(page.find_elements("css selector", ".edge.lit.backward")) == 1
    assert len(page.find_elements("css selector", ".node.sender")) == 1


def test_a_box_can_be_inspected_by_mouse_and_keyboard_while_the_replay_goes_on(page):
    from selenium.webdriver.common.keys import Keys

    go(page, last(page))
    pool = box(page, "max_pool2d")
    pool.click()
    assert "y = max(im2col(x))" in find(page, ".laws").text
    press(page, Keys.ARROW_LEFT)
    assert find(page, "#panel h2").text.replace("\u200b", "") == "max_pool2d (features.pool1)"
    press(page, Keys.ESCAPE)
    assert "gradient complete" in find(page, "#panel .head").text
    relu = box(page, "relu")
    page.execute_script("arguments[0].focus()", relu)
    relu.send_keys(Keys.ENTER)
    assert "y = max(0, x)" in find(page, ".laws").text
    assert relu.get_attribute("role") == "button"
    assert "value norm" in relu.get_attribute("aria-label")


def test_a_heat_map_tells_each_number(page, lenet):
    from selenium.webdriver.common.keys import Keys

    go(page, last(page))
    box(page, "features.conv2.weight").click()
    gradient = page.find_elements("css selector", "#panel figure")[1]
    canvas = gradient.find_element("css selector", "canvas")
    page.execute_script("arguments[0].focus()", canvas)
    for _ in range(6):  # over the gap into the next filter
        canvas.send_keys(Keys.ARROW_RIGHT)
    at_ = lenet[0].features.conv2.weight.grad[1, 0, 0, 1]
    place, _, number = gradient.find_element("css selector", "output").text.partition(" = ")
    assert place == "[1, 0, 0, 1]"
    assert np.float32(number.replace("−", "-")) == at_
    assert at(page) == last(page)  # the keys were the picture's


def test_samples_can_be_chosen(page):
    go(page, 1)
    choices = page.find_elements("css selector", "#panel select[data-kind=operation] option")
    assert [choice.text for choice in choices] == ["0", "1", "all"]
    before = page.execute_script("return document.querySelector('#panel canvas').toDataURL()")
    choices[1].click()
    assert page.execute_script("return document.querySelector('#panel canvas').toDataURL()") != before


def test_modules_open_and_close(page):
    go(page, last(page))
    page.execute_script("[...document.querySelectorAll('#levels button')].at(-1).click()")
    assert len(page.find_elements("css selector", ".scene:not([hidden]) .node.module")) == 2
    box(page, "module, classifier").click()
    assert "classifier.fc3.weight" in [text.replace("\u200b", "") for text in texts(page, ".inside button")]
    find(page, "#panel .row button:nth-of-type(2)").click()  # open
    assert find(page, '#levels [aria-pressed="true"]').text == "layers"
    assert len(page.find_elements("css selector", ".scene:not([hidden]) .node.active")) == 1
    box(page, "module, classifier.fc1").click()
    find(page, "#panel .row button:nth-of-type(3)").click()  # close
    assert find(page, '#levels [aria-pressed="true"]').text == "blocks"


def test_zoom_and_the_active_box_stays_in_view(page):
    page.execute_script("find('full').click()")
    for i in (0, last(page) // 2, last(page)):
        go(page, i)
        time.sleep(0.8)  # smooth scrolling
        inside = """const box = document.querySelector(".node.active"), view = find("paper").getBoundingClientRect();
        if (!box) return true;
        const { top, bottom } = box.getBoundingClientRect();
        return top >= view.top && bottom <= view.bottom"""
        assert page.execute_script(inside)
    page.execute_script("find('fit').click()")
    fits = "return find('paper').scrollHeight <= find('paper').clientHeight + 1"
    assert page.execute_script(fits)


def test_scalars_accumulate_in_front_of_the_readers_eyes(browser, tmp_path):
    x = tcnn.tensor(3.0, requires_grad=True)
    with viz.record() as tape:
        y = x * 0.5 + x * x
        y.backward()
    assert viz.graph(y).tape is tape
    viz.graph(y, params={"x": x}).to_html(tmp_path / "x.html")
    open_file(browser, tmp_path / "x.html")
    chains = []
    for i in range(last(browser) + 1):
        go(browser, i)
        if "gives x:" in find(browser, "#say").text:
            chains.append(find(browser, ".chain").text)
            assert find(browser, ".law.active .filled").text.strip().startswith("= 1 · ")
    assert chains[-1] == "nothing yet → +0.5 → +3 → +3 = 6.5"
    assert x.grad.item() == 6.5
    assert chains[0].startswith("nothing yet → +")
    assert chains[0].endswith("(2 more to come)")
    assert_quiet(browser)


def test_a_hook_is_shown(browser, tmp_path):
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    w.register_hook(lambda dy: dy * 10)
    with viz.record() as tape:
        loss = (w * 3).sum()
        loss.backward()
    assert viz.graph(loss).tape is tape
    viz.graph(loss, params={"w": w}).to_html(tmp_path / "x.html")
    open_file(browser, tmp_path / "x.html")
    go(browser, last(browser) - 1)
    assert find(browser, "#say").text.endswith("a hook makes the gradient of w [30, 30]")
    assert "hung a hook on it" in find(browser, "#panel").text
    go(browser, last(browser))
    assert "from before" not in find(browser, "#panel").text
    assert browser.execute_script("return [...replay.gradient('w')]") == [30, 30] == w.grad.tolist()
    assert_quiet(browser)


def frames_without_pieces(page):
    """Those of many events at once that write a sum, of which they do not know all pieces."""
    return page.execute_script("""
        const isWrong = (frame) => frame.count > 1 && find("panel").querySelector(".chain");
        return replay.frames.filter((frame, i) => { replay.go(i); return isWrong(frame); });
    """)


def test_frames_for_many_events_end_with_the_gradients_of_backward(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.viz.replay.FRAMES", 10)
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Linear(3, 2))
    with viz.record() as tape:
        model(tcnn.ones(2, 3)).sum().backward()
    tape.to_html(tmp_path / "x.html", level="module", depth=1)
    open_file(browser, tmp_path / "x.html")
    for i in range(last(browser) + 1):
        go(browser, i)
    assert frames_without_pieces(browser) == []
    for name, parameter in model.named_parameters():
        assert (
            browser.execute_script("return [...replay.gradient(arguments[0])]", name) == parameter.grad.ravel().tolist()
        )
    assert_quiet(browser)


def test_names_are_text(browser, tmp_path):
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        loss = (w * w).sum()
        loss.backward()
    assert viz.graph(loss, params={NASTY: w}).tape is tape
    viz.graph(loss, params={NASTY: w}).to_html(tmp_path / "x.html")
    open_file(browser, tmp_path / "x.html")
    go(browser, last(browser))
    assert NASTY in find(browser, "#panel h2").text.replace("\u200b", "")
    assert browser.find_elements("css selector", "img") == []
    assert browser.title == "Backpropagation through sum – replay"
    assert_quiet(browser)


def test_an_unrecorded_graph_says_how_to_record(browser, tmp_path):
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    viz.graph((w * w).sum(), params={"w": w}).to_html(tmp_path / "x.html")
    open_file(browser, tmp_path / "x.html")
    assert "with viz.record() as tape:" in find(browser, "#panel pre").text
    assert not find(browser, "#controls").is_displayed()
    box(browser, "parameter, w").click()
    assert texts(browser, "#panel .empty") == ["not computed yet"]
    assert_quiet(browser)


def test_modules_that_were_closed_because_of_the_limit_open(browser, tmp_path):
    model = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.ReLU()) for _ in range(6)])
    with viz.record() as tape:
        model(tcnn.ones(2, 3)).sum().backward()
    tape.to_html(tmp_path / "x.html", limit=20)
    open_file(browser, tmp_path / "x.html")
    go(browser, last(browser) // 2)
    box(browser, "module, 3").click()
    find(browser, "#panel .row button:nth-of-type(2)").click()
    assert box(browser, "parameter, 3.2.bias").is_displayed()
    find(browser, "#up").click()
    assert box(browser, "module, 3").is_displayed()
    assert len(browser.find_elements("css selector", ".scene:not([hidden]) .node.active")) == 1
    assert_quiet(browser)


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen(lenet, dark):
    with chromium(390, 844, dark=dark, reduced_motion=True) as driver:
        open_file(driver, lenet[2])
        for i in (0, 1, last(driver) // 2, last(driver)):
            go(driver, i)
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            marks = driver.execute_script("return document.querySelectorAll('.edge .mark').length")
            assert marks == len(driver.find_elements("css selector", ".edge.lit"))
        assert_quiet(driver)
