"""The chat page in a real browser: it asks, streams, stops, and runs nothing that a model says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import ROOT
from pages import ask
from playwright.sync_api import Browser, Page, expect
from serving import LONG, Served, serve, served_bundle
from workshop import Workshop

from intaglio.runtime.text.codec import DetokenizerStream

pytestmark = pytest.mark.slow
KEY = "secret"
# what the model is made to say, token by token, over and over
WORDS = (
    "Look: <script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> and `<b>`.\n\n"
    "```html\n<script>window.hacked = 1</script>\n```\n\nThat was **it**. "
)


class Pace:
    """How long the model takes for a token, in seconds: as a test wants it."""

    seconds = 0.002


@pytest.fixture
def slowly() -> Iterator[type[Pace]]:
    """A model that is not done before a busy machine's browser has typed a line."""
    Pace.seconds = 0.02
    yield Pace
    Pace.seconds = 0.002


@pytest.fixture(scope="module")
def served(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bundle = served_bundle(workshop, tmp_path_factory.mktemp("served"), LONG)
    with serve(bundle, key=KEY) as running, pytest.MonkeyPatch.context() as patch:
        words = iter(())

        def push(stream: DetokenizerStream, token: int) -> str:
            nonlocal words
            time.sleep(Pace.seconds)
            word = next(words, None)
            if word is None:
                words = iter(WORDS)
                word = next(words)
            return word

        patch.setattr(DetokenizerStream, "push", push)
        yield running


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    outside: list[str] = []
    opened.on("request", lambda request: outside.append(request.url))
    opened.goto(served.url)
    opened.get_by_label("API key").fill(KEY)
    opened.get_by_role("button", name="Use").click()
    expect(opened.locator("#model")).to_have_text("tiny")
    yield opened
    assert problems == []
    assert all(url.startswith((served.url, "data:")) for url in outside)
    context.close()


def test_an_answer_streams_and_is_shown_as_text(page: Page, slowly: type[Pace]) -> None:
    ask(page, "hello <b>you</b>", len(WORDS))
    answer = page.locator("article.assistant")
    expect(answer).to_contain_text("Look:")
    early = len(answer.inner_text())
    page.get_by_role("button", name="Send").wait_for()
    assert early < len(answer.inner_text())
    expect(page.locator("article.user")).to_have_text("hello <b>you</b>")
    expect(answer.locator("pre code")).to_have_text("<script>window.hacked = 1</script>")
    expect(answer.locator("p code")).to_have_text("<b>")
    expect(answer.locator("strong")).to_have_text("it")
    expect(answer).to_contain_text("<img src=x onerror='window.hacked = 1'>")
    assert answer.locator("script, img, b").count() == 0
    assert page.evaluate("window.hacked") is None
    expect(page.locator("#rate")).to_contain_text("tokens/s")


def test_stopping_reloading_and_a_new_chat(page: Page, served: Served) -> None:
    ask(page, "go on and on", 8000)
    expect(page.locator("article.assistant")).to_contain_text("Look:")
    served_metric(served, 1)
    page.get_by_role("button", name="Stop").click()
    served_metric(served, 0)
    said = page.locator("article.assistant").inner_text()
    expect(page.get_by_label("Your message")).to_be_focused()
    page.reload()
    expect(page.locator("#model")).to_have_text("tiny")
    assert page.locator("article.assistant").inner_text() == said
    ask(page, "again", 8000)
    expect(page.locator("article.assistant").nth(1)).to_contain_text("Look:")
    page.keyboard.press("Escape")
    served_metric(served, 0)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("article")).to_have_count(0)
    page.reload()
    expect(page.locator("#model")).to_have_text("tiny")
    expect(page.locator("article")).to_have_count(0)


def test_typing_while_it_streams_stops_nothing(page: Page, slowly: type[Pace]) -> None:
    ask(page, "say it", len(WORDS) + 40)
    answer = page.locator("article.assistant")
    expect(answer).to_contain_text("Look:")  # of what is said over and over, 40 words are to come
    slowly.seconds = 0.2
    page.keyboard.type("and a word more")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Enter")  # is not sent before the answer is there
    slowly.seconds = 0
    page.get_by_role("button", name="Send").wait_for()
    expect(page.get_by_label("Your message")).to_have_value("and a word more")
    expect(page.get_by_label("Your message")).to_be_focused()
    expect(page.locator("#rate")).to_contain_text(f"{len(WORDS) + 40} tokens")
    expect(page.locator("article.user")).to_have_count(1)


def test_the_end_of_an_answer_takes_no_focus(page: Page) -> None:
    ask(page, "say it", len(WORDS))
    page.get_by_label("Temperature").focus()
    page.get_by_role("button", name="Send").wait_for()
    expect(page.get_by_label("Temperature")).to_be_focused()


def served_metric(served: Served, running: int) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    end = time.monotonic() + 20
    wanted = f"intaglio:num_requests_running {running}.0".encode()
    while wanted not in served.ask("/metrics", headers=headers).body:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_script_that_got_in_would_not_run(page: Page) -> None:
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            const image = "<img src=x onerror='window.hacked = 1'>";
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    page.get_by_label("Temperature").focus()
    reached = []
    for _ in range(7):
        reached.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert reached == ["temperature", "max-tokens", "tools", "new", "log", "text", "send"]


def test_a_wrong_setting_is_told(page: Page) -> None:
    page.get_by_label("Temperature").fill("9")
    ask(page, "hello", 5)
    expect(page.locator(".error")).to_contain_text("temperature: must be a number from 0 to 2")


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_its_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 640})
    ask(page, "x" * 500, len(WORDS))
    page.get_by_role("button", name="Send").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("button", name="Send").bounding_box()["x"] < width  # type: ignore[index]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_colours(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, colour[4:-1].split(","))) > 3 * 128
    assert bright == (scheme == "light")


def test_it_is_one_file_that_needs_no_other() -> None:
    source = (ROOT / "runtime/server/page.html").read_text()
    for outside in ("http:", "https:", "//cdn", "@import", "url(", "innerHTML"):
        assert outside not in source
