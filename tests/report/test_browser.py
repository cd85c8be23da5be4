"""The page in a real browser: it draws, answers, stays alone, and all can read it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
NAMES = ["run", "runs", "study", "begun"]


@contextmanager
def watched(browser, path, viewport=DESKTOP, scheme="light"):
    """Open a page, and write down what it says and asks for."""
    context = browser.new_context(
        viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)  # of a busy machine
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("dialog", lambda dialog: page.said.append(dialog.message))

    def guard(route):
        own = route.request.url.startswith(("file:", "data:", "blob:"))
        if not own:
            page.asked.append(route.request.url)
        return route.continue_() if own else route.abort()

    context.route("**/*", guard)
    page.goto(path.as_uri())
    page.evaluate("colossDrawAll()")
    yield page
    context.close()


@pytest.fixture(scope="module")
def opened(browser, pages):
    """Return pages by name, each opened once: to load plotly.js takes a second."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(watched(browser, pages[name])) for name in NAMES
        }


@pytest.fixture
def page(request, opened):
    """Return one of them as it was at first, on a desktop in light colors."""
    found = opened[request.param]
    found.set_viewport_size(DESKTOP)
    found.emulate_media(color_scheme="light", media="screen")
    found.name = request.param
    return found


def of(*names):
    return pytest.mark.parametrize("page", names, indirect=True)


@of(*NAMES)
def test_all_is_drawn_in_silence_and_nothing_is_asked(page, tmp_path):
    plots = page.locator(".plot")
    assert plots.count() >= {"run": 6, "runs": 14, "study": 2, "begun": 0}[page.name]
    drawn = plots.evaluate_all(
        """all => all.map(plot => [
            plot.getAttribute("aria-label"),
            plot.querySelectorAll(".trace path, .bars path, .points path").length,
        ])"""
    )
    for label, marks in drawn:
        assert marks > 0 and label.endswith("."), label
    drawing = page.locator("svg.teaching path")
    assert drawing.count() == {"run": 4, "runs": 8}.get(page.name, 0)
    assert page.locator("math").count() == {"run": 7, "runs": 14}.get(page.name, 0)
    # What is hostile in the names is text, and no element.
    assert page.locator("main img, main b").count() == 0
    page.screenshot(path=tmp_path / f"{page.name}-desktop.png", full_page=True)
    assert (tmp_path / f"{page.name}-desktop.png").stat().st_size > 20_000
    assert page.said == [] and page.asked == []


@of(*NAMES)
def test_a_phone_shows_it_without_scrolling_sideways(page, tmp_path):
    page.set_viewport_size(PHONE)
    page.wait_for_function(
        """() => [...document.querySelectorAll(".plot svg.main-svg, svg.teaching")]
            .every(one => one.getBoundingClientRect().right <= innerWidth)"""
    )
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.screenshot(path=tmp_path / f"{page.name}-phone.png", full_page=True)
    assert page.said == []


# Colors are the same on all pages, and to measure them takes axe longest.
STRUCTURE_ALONE = {"rules": {"color-contrast": {"enabled": False}}}


@pytest.mark.parametrize(
    ("page", "viewport", "scheme", "options"),
    [
        ("run", DESKTOP, "light", {}),
        ("run", PHONE, "dark", {}),
        ("runs", DESKTOP, "light", STRUCTURE_ALONE),
        ("study", PHONE, "dark", {}),
        ("begun", DESKTOP, "light", {}),
    ],
    indirect=["page"],
)
def test_axe_finds_no_violation(page, viewport, scheme, options):
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page, options={"resultTypes": ["violations"], **options})
    told = [
        (one["id"], one["impact"], one["nodes"][0]["html"])
        for one in found.response["violations"]
    ]
    assert told == []


def test_the_page_forbids_requests_itself(browser, pages):
    with watched(browser, pages["begun"]) as page:
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
        page.evaluate("new Image().src = 'http://127.0.0.1:9/a.png'")
        page.wait_for_function("true")
        assert any("Content Security Policy" in text for text in page.said)
        assert page.asked == []


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark(browser, pages):
    with watched(browser, pages["study"]) as page:
        button = page.locator("#theme")
        light = background(page)
        assert button.get_attribute("aria-pressed") == "false"
        button.click()
        dark = background(page)
        assert (light, dark) == ("rgb(251, 249, 244)", "rgb(20, 24, 31)")
        assert button.get_attribute("aria-pressed") == "true"
        ink = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
        assert page.evaluate(ink) == "rgb(232, 230, 225)"
        page.reload()
        assert background(page) == dark  # The reader's choice is kept.
        button.click()
        assert background(page) == light


@of("study")
def test_without_a_choice_the_colors_are_the_systems(page):
    page.emulate_media(color_scheme="dark")
    assert background(page) == "rgb(20, 24, 31)"
    page.wait_for_function(
        "document.getElementById('theme').getAttribute('aria-pressed') === 'true'"
    )


@of("run")
def test_numbers_and_logarithms(page):
    behind = page.locator("details.behind")
    is_open = "all => all.map(one => one.open)"
    page.locator("#numbers").click()
    assert all(behind.evaluate_all(is_open))
    page.locator("#numbers").click()
    assert not any(behind.evaluate_all(is_open))
    button = page.locator("button[data-log]").first
    place = button.get_attribute("data-log")
    kind = f"document.getElementById('{place}').layout.yaxis.type ?? 'linear'"
    for expected in ("log", "linear"):
        button.click()
        page.wait_for_function(f"({kind}) === '{expected}'")
    assert page.said == []


def test_the_keyboard_is_enough(browser, pages):
    with watched(browser, pages["run"]) as page:
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        assert page.evaluate(f"{focused}.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate(f"{focused}.id") == "content"
        page.locator("#theme").focus()
        page.keyboard.press("Space")
        assert page.locator("#theme").get_attribute("aria-pressed") == "true"
        details = page.locator("figure details.behind").nth(1)
        details.locator("summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")  # A table that scrolls can be reached and is named.
        assert details.locator(".scroll").evaluate(f"e => e === {focused}")
        assert page.evaluate(f"{focused}.ariaLabel") == "loss"
        style = page.evaluate(f"getComputedStyle({focused}).outlineStyle")
        assert style == "solid"


@of("study")
def test_on_paper_it_is_light_and_within_the_sheet(page, tmp_path):
    page.emulate_media(color_scheme="dark")
    page.pdf(path=tmp_path / "study.pdf", format="A4")
    assert (tmp_path / "study.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden() and page.locator("#theme").is_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = page.locator(".plot svg.main-svg").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().width)"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert 0 < max(widths) <= 640
