"""READER.md, followed on the page: every path is walked, and what is quoted must be there to read."""

import re

import pytest
from test_playground_browser import CHROMIUM, browser, open_page, path, settle  # noqa: F401  # fixtures

from examples.playground import bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="the browser tests need chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]

TEXT = (bundle.WEB.parent / "READER.md").read_text("utf-8")
QUESTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
STEP = re.compile(
    r"`#(?P<link>[^`]*)`|image `(?P<image>[^`]*)`|[Tt]ype `(?P<typed>[^`]*)`"
    r"|[Pp]ress `(?P<pressed>[^`]*)`|^> (?P<quote>.*)$",
    re.M,
)


def shown(page):
    """All that can be read on the page, with single spaces."""
    return " ".join(page.inner_text("main").split())


def missing(open_page, question):  # noqa: F811
    """Quotes of a question that the page does not show after the steps before them."""
    page, lost = None, []
    for step in STEP.finditer(question):
        if step["link"] is not None:
            page = open_page(fragment="#" + step["link"])
            assert page.inner_text(".notice") == ""
        elif step["image"] is not None:
            page.select_option("#preset", label=step["image"])
        elif step["typed"] is not None:
            page.click("[role=gridcell].chosen")
            page.keyboard.type(step["typed"])
            page.keyboard.press("Enter")
        elif step["pressed"] is not None:
            page.click(f"text={step['pressed']}")
        elif step["quote"] not in shown(page):
            page.wait_for_timeout(1500)  # training and all differences come later
            if step["quote"] not in shown(page):
                lost.append(step["quote"])
        settle(page)
    return lost


@pytest.mark.parametrize("number", range(1, 14))
def test_the_page_says_what_it_is_quoted_for(open_page, number):  # noqa: F811
    question = QUESTIONS[number - 1]
    assert question.startswith(f"{number}. ") and question.count("\n> ") >= 2
    assert missing(open_page, question) == []


def test_a_wrong_number_and_a_step_left_out_are_seen(open_page):  # noqa: F811
    assert len(missing(open_page, QUESTIONS[3].replace("0.4463", "0.4464"))) == 1
    assert len(missing(open_page, QUESTIONS[9].replace("type `-100`", ""))) == 3
    assert len(missing(open_page, QUESTIONS[5].replace("lr=100", "lr=0.1"))) == 1


def test_there_are_thirteen_questions():
    assert len(QUESTIONS) == 13
