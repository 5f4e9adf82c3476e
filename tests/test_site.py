"""The documentation site: it builds without a warning, and its pages fit a screen and a phone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from browser import assert_quiet, chromium

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs")]

import docstrings  # noqa: E402


def test_what_is_no_markup_is_escaped():
    assert docstrings.restructured("a_ and |x|, 2*y*") == r"a\_ and \|x\|, 2\*y\*"
    assert docstrings.restructured("many `Tensor`s, `a*b`.") == r"many ``Tensor``\ s, ``a*b``."


def test_code_that_runs_over_two_lines_becomes_one():
    assert docstrings.restructured("the `first\n    axis`, and") == "the ``first axis``, and"


def test_blocks_are_marked_and_doctests_are_not():
    text = "So:\n\n    y = x * w\n\nand\n\n>>> f_1(2) * 3\n6"
    assert docstrings.restructured(text) == "So:\n\n::\n\n    y = x * w\n\nand\n\n>>> f_1(2) * 3\n6"


def test_what_goes_on_saying_something_about_an_argument_is_no_block():
    text = "Args:\n    x: an image\n\n    of any size"
    assert docstrings.restructured(text) == text


def test_results_are_one_paragraph():
    text = "Returns:\n    y, an image; index, the place\n        of the largest.\n\nSource: somebody"
    assert docstrings.restructured(text) == text.replace("        of", "    of")


def test_tables():
    table = docstrings.restructured("| file | what |\n|---|---|\n| `a_b.py` | one*two |\n")
    assert table.splitlines() == [
        ".. list-table::", "   :header-rows: 1", "",
        "   * - file", "     - what", "   * - ``a_b.py``", r"     - one\*two", "",
    ]  # fmt: skip


PAGES = [
    "index", "tutorials/01_one_neuron", "tutorials/02_gradients_by_hand", "tutorials/06_convolution_by_hand",
    "tutorials/10_lenet5_1998", "api/tensor", "api/nn", "api/models", "glossary", "coming_from", "performance",
    "project/results",
]  # fmt: skip


@pytest.mark.slow
def test_the_site_in_a_browser(tmp_path):
    """Built as CI does, warnings being errors; links inside are checked by that."""
    if importlib.util.find_spec("myst_nb") is None:
        pytest.skip('the site is not built: it needs pip install "tinygrad-cnn[docs]"')
    site = tmp_path / "html"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        tmp_path / "trees",
        ROOT / "docs",
        site,
    ]
    built = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (built.returncode, built.stderr) == (0, "")
    for width, height in ((1280, 900), (390, 800)):
        with chromium(width, height) as browser:
            for page in PAGES:
                browser.get((site / f"{page}.html").as_uri())
                beyond = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
                assert (page, width, beyond <= 0) == (page, width, True)
                silent = "return [...document.querySelectorAll('img')].filter(i => !i.alt || !i.naturalWidth).length"
                assert (page, browser.execute_script(silent)) == (page, 0)
                assert_quiet(browser, site.as_uri())
