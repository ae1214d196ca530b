"""The page in a real browser: no error, nothing that the policy refuses, and by keyboard alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from helpers.browser import CHROMIUM, Browser
from helpers.page import Service, cheap_hash, configuration
from helpers.stored_passages import frame
from helpers.waiting import wait_until

from edge_lpr.serve.web.server import WebServer

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)"),
    pytest.mark.skipif(sys.platform != "linux", reason="drives Chromium over a pipe, as on Linux"),
]
PASSWORD = "a password 1234"


def passes(service: Service, text: str, name: str) -> None:
    now = datetime.now(timezone.utc) - timedelta(seconds=5)
    service.pass_by(text, id=name, first_utc=now, last_utc=now)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, WebServer]]:
    service = Service(tmp_path_factory.mktemp("page"), configuration(listen="127.0.0.1:0"))
    for number in range(3):
        passes(service, f"京A1234{number + 3}", f"t{number}")
    server = WebServer(service.context)
    server.start()
    yield service, server
    server.stop(5)
    service.close()


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    one_browser.look(1280)
    one_browser.said.clear()
    yield one_browser
    one_browser.open("about:blank")  # so that what a page asks for later is not told of the next test
    assert one_browser.said == [], "the console is silent"


def test_every_page_fits_and_is_silent(browser: Browser, served: tuple[Service, WebServer]) -> None:
    _, server = served
    for path in ("/", "/events", "/events/t0", "/cameras/gate", "/lists", "/stays", "/counts", "/signin"):
        for width in (1280, 390, 320):
            browser.look(width)
            browser.open(server.address + path)
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert browser.run(too_wide) == 0, (path, width)
            # What is further down is loaded once one comes there.
            shown = "[...document.images].filter((i) => i.loading !== 'lazy')"
            browser.wait(f"{shown}.every((i) => i.complete && i.naturalWidth > 0)")
            assert browser.said == [], (path, width)


def test_a_chart_wider_than_a_phone_begins_at_its_newest_bars(
    browser: Browser, served: tuple[Service, WebServer]
) -> None:
    _, server = served
    browser.look(360)
    browser.open(server.address + "/counts")
    region, bar = "document.querySelector('.newest')", "[...document.querySelectorAll('.chart rect')].at(-1)"
    assert browser.run(f"{region}.scrollWidth > {region}.clientWidth"), "else this shows nothing"
    assert browser.run(f"{bar}.getBoundingClientRect().right <= {region}.getBoundingClientRect().right")
    assert browser.run(f"{bar}.getBoundingClientRect().left >= {region}.getBoundingClientRect().left")


def test_the_policy_holds(browser: Browser, served: tuple[Service, WebServer]) -> None:
    _, server = served
    browser.open(server.address)
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<p id=x style=\"color:red\">x<img src=//a.example>')"
    )
    browser.run(
        "{const s = document.createElement('script'); s.text = 'window.bad = 1'; document.body.append(s)}"
    )
    assert browser.run("window.bad") is None
    assert browser.run("getComputedStyle(document.getElementById('x')).color") != "rgb(255, 0, 0)"
    wait_until(lambda: browser.run("1") and len(browser.said) >= 3)
    assert all("Content Security Policy" in line for line in browser.said), browser.said
    browser.said.clear()


def test_a_new_event_comes_by_itself_and_is_told(browser: Browser, served: tuple[Service, WebServer]) -> None:
    service, server = served
    browser.open(server.address)
    browser.run("document.querySelector('#events tbody tr a').focus()")
    before = browser.run("document.activeElement.getAttribute('href')")
    kept = browser.run("window.kept = document.querySelector('#events tbody tr'), kept.dataset.key")
    service.board["gate"].become("lost", "no frame for 10 s")
    passes(service, "京B12345", "fresh")
    browser.wait("document.querySelector('#events tbody tr').textContent.includes('京B12345')")
    assert browser.run("document.getElementById('announce').textContent") == "京B12345 at gate"
    assert browser.run("document.querySelectorAll('#events tbody tr')[1] === window.kept"), (
        "rows that stay are kept"
    )
    assert browser.run("window.kept.dataset.key") == kept
    assert browser.run("document.activeElement.getAttribute('href')") == before, "and so is the focus"
    browser.wait("document.querySelector('.state').textContent === 'lost'")
    service.board["gate"].become("live", "")
    browser.wait("document.querySelector('#events .new') === null")  # else it would appear again and again


def test_the_focus_stays_in_its_row(browser: Browser, served: tuple[Service, WebServer]) -> None:
    service, server = served
    browser.open(server.address)
    focused = "document.activeElement.closest('[data-key]').dataset.key"
    # Each row has a link to the same camera.
    browser.run("document.querySelector('#events [data-key^=\"t1 \"] td a').focus()")
    before = browser.run(focused)
    passes(service, "京B12346", "above")
    browser.wait("document.querySelector('#events [data-key^=\"above \"]')")
    assert browser.run(focused) == before
    service.context.store.correct("t1", "京A99999", "page")
    browser.wait("document.querySelector('#events').textContent.includes('京A99999')")
    assert browser.run(focused) != before
    assert browser.run(focused).startswith("t1 ")


@pytest.mark.parametrize("typed", ["[[[0.1, 0.1]", "7", '[[["a", 0], [1, 0], [1, 1]]]'])
def test_a_text_that_is_no_polygons_is_told(
    browser: Browser, served: tuple[Service, WebServer], typed: str
) -> None:
    browser.open(served[1].address + "/cameras/gate")
    browser.run(
        f"{{const area = document.getElementById('masks'); area.value = {typed!r};"
        "area.dispatchEvent(new Event('change'))}"
    )
    told = browser.run("document.getElementById('editor-status').textContent")
    assert told.startswith("The text of the masks is no list of polygons")
    assert browser.run("document.getElementById('masks').getAttribute('aria-invalid')") == "true"


def test_a_picture_that_loads_often_is_waited_for_once(
    browser: Browser, served: tuple[Service, WebServer]
) -> None:
    browser.open(served[1].address + "/cameras/gate")
    # Of moving pictures each frame may be told as loaded.
    browser.run(
        "window.waits = new Map(); "
        "window.setTimeout = (f) => (waits.set(waits.size + 1e6, f), waits.size + 1e6 - 1); "
        "window.clearTimeout = (n) => waits.has(n) && waits.set(n, null); "
        "for (let n = 0; n < 50; n++) document.getElementById('live').dispatchEvent(new Event('load'))"
    )
    assert browser.run("[...waits.values()].filter(Boolean).length") == 1


def test_a_camera_that_comes_while_one_looks_is_shown(
    browser: Browser, served: tuple[Service, WebServer]
) -> None:
    service, server = served
    browser.open(server.address)
    shown = "[...document.querySelectorAll('.camera h3')].map((h) => h.textContent).join()"
    assert browser.run(shown) == "gate,yard"
    service.board.arrange({"new": "1", "gate": "0", "yard": "1"})
    try:
        browser.wait(f"{shown} === 'new,gate,yard'")
        service.see("new", frame())
        browser.wait("document.querySelectorAll('img.still').length === 3")
    finally:
        browser.open("about:blank")  # else it asks for the still of a camera that is gone
        service.board.arrange({"gate": "0", "yard": "1"})


def test_stills_are_refreshed(browser: Browser, served: tuple[Service, WebServer]) -> None:
    service, server = served
    browser.open(server.address)
    service.see("gate", frame(250))
    browser.wait("document.querySelector('img[data-still]').src.includes('?n=2')")


def test_the_theme_is_switched_and_kept(browser: Browser, served: tuple[Service, WebServer]) -> None:
    _, server = served
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    browser.open(server.address)
    light = browser.run(ground)
    browser.run("document.querySelector('[data-theme-switch]').click()")
    dark = browser.run(ground)
    assert light != dark
    browser.open(f"{server.address}/lists")
    assert browser.run(ground) == dark
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    browser.run("document.querySelector('[data-theme-switch]').click()")
    browser.look(1280, scheme="dark")
    assert browser.run(ground) == light
    browser.run("document.cookie = 'edge_lpr_theme=; Path=/; Max-Age=0'")
    browser.open(server.address)
    assert browser.run(ground) == dark, "else it is the system's"


def test_a_text_is_corrected_by_keyboard_alone(browser: Browser, served: tuple[Service, WebServer]) -> None:
    service, server = served
    browser.open(f"{server.address}/events/t1")
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().top") >= 0, "the skip link is seen"
    for _ in range(40):
        if browser.run("document.activeElement.id") == "text":
            break
        browser.press("Tab")
    browser.run("document.activeElement.select()")
    browser.call("Input.insertText", text="京B54321")
    browser.enter()
    browser.wait("document.querySelector('[role=status]')?.textContent.includes('kept')")
    event = service.context.store.get("t1")
    assert event is not None and event.corrected_text == "京B54321"


def test_regions_are_drawn_by_pointer_and_keyboard(
    browser: Browser, served: tuple[Service, WebServer]
) -> None:
    service, server = served
    browser.open(f"{server.address}/cameras/gate")
    left, top, width, height = browser.run(
        "(({left, top, width, height}) => [left, top, width, height])"
        "(document.querySelector('.canvas svg').getBoundingClientRect())"
    )
    browser.run("document.querySelector('[data-do=region]').click()")
    for x, y in ((0.2, 0.3), (0.8, 0.3), (0.5, 0.9)):
        browser.click(left + x * width, top + y * height)
    browser.run("document.querySelector('[data-do=close]').click()")
    browser.run("document.querySelector('[data-do=mask]').click()")
    for _ in range(3):
        browser.run("document.querySelector('[data-do=corner]').click()")
    browser.press("ArrowRight")
    browser.press("ArrowDown", modifiers=8)
    assert "corner 3: 56 % from the left, 60 % from the top" in browser.run(
        "document.activeElement.ariaLabel"
    )
    browser.run("document.querySelector('form.two button:not([type])').click()")
    # Its script runs once all of it is there.
    browser.wait("document.querySelector('[role=status].done') && document.readyState === 'complete'")
    areas = service.drawn["gate"]
    (region,), (mask,) = areas.regions, areas.masks
    for found, wanted in zip(region, ((0.2, 0.3), (0.8, 0.3), (0.5, 0.9)), strict=True):
        assert found == pytest.approx(wanted, abs=0.005)
    assert mask == [(0.45, 0.45), (0.55, 0.45), (0.56, 0.6)]
    assert browser.run("document.querySelectorAll('.canvas circle').length") == 6
    browser.run("document.querySelector('.canvas circle').focus()")
    browser.press("Delete")
    assert browser.run("document.getElementById('regions').value") == "[]", "two corners are no polygon"


def test_the_page_of_a_camera_that_was_taken_away_asks_for_no_more_stills(
    browser: Browser, served: tuple[Service, WebServer]
) -> None:
    service, server = served
    service.see("yard", frame())
    browser.open(f"{server.address}/cameras/yard")
    service.board.arrange({"gate": "0"})
    try:
        browser.wait("document.body?.textContent.includes('HTTP 404') && document.readyState === 'complete'")
        assert browser.run("document.querySelector('[data-still]')") is None
    finally:
        service.board.arrange({"gate": "0", "yard": "1"})
        service.board["yard"].become("live")
        service.see("yard", frame())
    browser.open("about:blank")
    assert browser.said and all("404" in line for line in browser.said), browser.said
    browser.said.clear()


def test_the_moving_picture_moves(browser: Browser, served: tuple[Service, WebServer]) -> None:
    service, server = served
    browser.open(f"{server.address}/cameras/gate")
    browser.run("document.querySelector('[data-live]').click()")
    level = (
        "(() => {const c = document.createElement('canvas'); c.width = c.height = 1; "
        "const x = c.getContext('2d'); x.drawImage(document.getElementById('live'), 0, 0, 1, 1); "
        "return x.getImageData(0, 0, 1, 1).data[0]})()"
    )
    for value in (40, 220):
        service.see("gate", frame(value))
        wait_until(lambda value=value: abs(browser.run(level) - value) < 8)
    browser.run("document.querySelector('[data-live]').click()")
    assert "still.jpg" in browser.run("document.getElementById('live').src")


def test_without_a_script_one_signs_in_and_reads(browser: Browser, tmp_path: Path) -> None:
    service = Service(tmp_path, configuration(listen="127.0.0.1:0", password=cheap_hash(PASSWORD)))
    passes(service, "京A12345", "t0")
    server = WebServer(service.context)
    server.start()
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{server.address}/events")
        browser.wait("location.pathname === '/signin' && document.readyState === 'complete'")
        browser.run("document.getElementById('password').focus()")
        browser.call("Input.insertText", text=PASSWORD)
        browser.enter()
        browser.wait("location.pathname === '/events' && document.readyState === 'complete'")
        assert "京A12345" in browser.run("document.getElementById('found').textContent")
        assert browser.run("document.querySelector('[data-theme-switch]').hidden")
    finally:
        browser.open("about:blank")  # else it may ask for the page again, which is gone
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        server.stop(5)
        service.close()
