"""The pages: what they show, what they let one do, and that nothing shown becomes markup."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers.page import Service, csrf_of
from helpers.stored_passages import event, fill
from starlette.testclient import TestClient

from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import InputError
from edge_lpr.serve.record import Match
from edge_lpr.serve.web.pages import PAGES
from edge_lpr.serve.web.pages_camera import polygons_of

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
SQUARE = "[[[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]]"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    now = datetime.now(timezone.utc)
    for number in range(3):
        at = now - timedelta(minutes=10 - number)
        made.pass_by(f"京A1234{number + 3}", id=f"t{number}", first_utc=at, last_utc=at)
    yield made
    made.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    return service.client()


class Reading(HTMLParser):
    """What a reader aloud finds wrong with a page."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: list[dict[str, str]] = []
        self.counts: dict[str, int] = {}
        self.language = ""
        self.feed(html)
        self.wrong += [f"twice: {one}" for one in {i for i in self.ids if self.ids.count(i) > 1}]
        self.wrong += [f"not closed: {self.open}"] if self.open else []
        for field in self.fields:
            named = field.get("id") in self.labels or "aria-label" in field
            if not named and field.get("type") != "hidden":
                self.wrong.append(f"without a label: {field}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "html":
            self.language = found.get("lang", "")
        if tag == "label":
            self.labels.add(found.get("for", ""))
        if tag in ("input", "select", "textarea"):
            self.fields.append(found)
        if tag == "img" and "alt" not in found:
            self.wrong.append(f"without a text: {found}")
        if tag == "th" and "scope" not in found:
            self.wrong.append(f"a head of nothing: {found}")
        # What the policy forbids, and what works for a pointer alone.
        self.wrong += [f"inline: {name}" for name in found if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.wrong.append(f"inline: {tag}")
        if found.get("href", "").startswith(("http:", "https:", "//", "javascript:")):
            self.wrong.append(f"from elsewhere: {found['href']}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("line", "svg"):  # of SVG
            self.wrong.append(f"closes itself: {tag}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"closed and not open: {tag}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/events",
        "/events?plate=京A*&limit=2",
        "/events/t0",
        "/cameras/gate",
        "/lists",
        "/stays",
        "/counts",
        "/counts?by=day&apart=camera",
        "/nothing",
        "/events?limit=x",
    ],
)
def test_a_page_is_whole_and_can_be_read_aloud(client: TestClient, path: str) -> None:
    page = Reading(client.get(path).text)
    assert page.wrong == []
    assert page.language == "en"
    assert page.counts["h1"] == page.counts["main"] == 1 <= page.counts["title"]
    assert page.counts.get("table", 0) == page.counts.get("caption", 0)


def test_all_pages_are_looked_at_above() -> None:
    pages = {operation.path for operation in PAGES if operation.method == "GET"}
    others = {"/signin", "/healthz", "/readyz", "/metrics", "/static/{name}", "/training.zip"}
    pictures = {"/cameras/{name}/still.jpg", "/cameras/{name}/live.mjpeg"}
    assert pages - others - pictures == {
        *("/", "/events", "/events/{id}", "/cameras/{name}", "/lists", "/stays", "/counts")
    }


def test_nothing_shown_becomes_markup(client: TestClient, service: Service) -> None:
    record = replace(
        event(900, text=HOSTILE),
        id="hostile",
        kind=HOSTILE,
        site="yard",
        role="entry",
        candidates=((HOSTILE, 0.5),),
        matches=(Match("staff", "allow", HOSTILE, HOSTILE, "exact"),),
        crop="2026-11-27/none-crop.jpg",
    )
    fill(service.database, record)
    service.board["gate"].become("error", HOSTILE)
    service.pictures.state = HOSTILE
    for path in (
        "/",
        "/events",
        "/events/hostile",
        "/cameras/gate",
        "/lists",
        "/counts?apart=kind&from=2026-11-27&to=2026-11-29",
    ):
        html = client.get(path).text
        assert "<script>alert" not in html, path
        assert "49" not in html.replace(HOSTILE, "") or "{{7*7}}" in html, path
        assert Reading(html).wrong == [], path
    for path in (f"/events?plate={HOSTILE}", f"/events/{HOSTILE}", f"/{HOSTILE}", f"/stays?site={HOSTILE}"):
        html = client.get(path).text
        assert "<script>alert" not in html, path
        assert Reading(html).wrong == [], path


def test_the_first_page_shows_cameras_and_the_newest_events(client: TestClient, service: Service) -> None:
    html = client.get("/").text
    assert html.index("京A12345") < html.index("京A12344") < html.index("京A12343")
    assert "allow: Li &lt;b&gt;Wei&lt;/b&gt;" in html
    assert 'data-still="/cameras/gate/still.jpg"' in html
    assert '<meta http-equiv="refresh"' in html.partition("<noscript>")[2].partition("</noscript>")[0]
    service.context.is_ready = lambda: "cameras are not read (yet)"
    assert "cameras are not read (yet)" in client.get("/").text


def test_events_are_looked_for_page_by_page(client: TestClient) -> None:
    html = client.get("/events?plate=京a1234?&limit=2&camera=gate").text
    assert html.count("<tr data-key") == 2
    assert 'value="京a1234?"' in html
    older = html.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = client.get(older).text
    assert second.count("<tr data-key") == 1
    assert "京A12343" in second
    assert "Newest" in second and "Older" not in second
    assert "No event is like that" in client.get("/events?plate=京B*").text
    wrong = client.get("/events?plate=*a*b*c*d*e")
    assert wrong.status_code == 400
    assert 'role="alert"' in wrong.text


def test_an_empty_field_of_a_form_is_none(client: TestClient) -> None:
    fields = ("plate", "camera", "from", "to", "list", "action", "kind", "direction")
    html = client.get("/events?lookalikes=true&" + "&".join(f"{name}=" for name in fields)).text
    assert html.count("<tr data-key") == 3


def test_a_text_is_corrected(client: TestClient, service: Service) -> None:
    csrf = csrf_of(client.get("/events/t0").text)
    answer = client.post("/events/t0", data={"csrf": csrf, "text": " 京b·1234 "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/events/t0?done=corrected")
    html = client.get("/events/t0?done=corrected").text
    assert "The correction is kept" in html
    assert "京B1234" in html and "read as" in html and "京A12343" in html
    for text in ("京I1234", "<b>", "x" * 40):
        wrong = client.post("/events/t0", data={"csrf": csrf, "text": text})
        assert wrong.status_code == 400
        assert "expected" in wrong.text
        assert 'aria-invalid="true"' in wrong.text
    found = service.context.store.get("t0")
    assert found is not None and found.corrected_text == "京B1234"
    client.post("/events/t0", data={"csrf": csrf, "text": ""})
    found = service.context.store.get("t0")
    assert found is not None and found.corrected_text == ""
    assert client.post("/events/none", data={"csrf": csrf, "text": "京B1234"}).status_code == 404


def test_what_was_corrected_can_be_learnt_from(client: TestClient, service: Service, tmp_path: Path) -> None:
    for name, text in (("t0", "京B1234"), ("t2", "京A12345")):
        service.context.store.correct(name, text, "page")
    answer = client.get("/training.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="training.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "set")
    labels = load_labels([tmp_path / "set"])
    assert labels.problems == []
    assert [(sample.plates or ())[0].text for sample in labels.samples] == ["京A12345", "京B1234"]


def test_regions_are_drawn(client: TestClient, service: Service) -> None:
    html = client.get("/cameras/gate").text
    assert "of the configuration" in html
    form = {"csrf": csrf_of(html), "regions": SQUARE, "masks": ""}
    answer = client.post("/cameras/gate", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/cameras/gate?done=saved")
    assert service.drawn["gate"].regions == [[(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]]
    html = client.get("/cameras/gate?done=saved").text
    assert "were drawn here" in html and "It holds from the next frames on" in html
    assert "[cameras.gate]\nregions = [[[0.1" in html
    wrong = client.post("/cameras/gate", data={**form, "masks": "[[[2, 0], [0, 0], [1, 1]]]"})
    assert wrong.status_code == 400
    assert "expected polygons of 3 to 64 corners" in wrong.text and "[[[2, 0]" in wrong.text
    assert service.drawn["gate"].masks == []
    assert client.get("/cameras/none").status_code == 404
    assert client.post("/cameras/none", data=form).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "1",
        "{}",
        "[1]",
        "[[1, 2]]",
        "[[[0, 0], [1, 1]]]",
        "[[[0, 0], [1, 1], [0, 1.1]]]",
        "[[[0, 0], [1, NaN], [0, 1]]]",
        "[[[0, 0, 0], [1, 1], [0, 1]]]",
        "[[[true, 0], [1, 1], [0, 1]]]",
        "[" * 2000,
        f"[{', '.join([SQUARE[1:-1]] * 33)}]",
        f"[[{', '.join(['[0, 0]'] * 65)}]]",
        '[[["0", 0], [1, 1], [0, 1]]]',
    ],
)
def test_what_is_no_polygon_is_named(text: str) -> None:
    with pytest.raises(InputError, match="masks") as raised:
        polygons_of(text, "masks")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_polygons() -> None:
    assert polygons_of("", "masks") == polygons_of(" [] ", "masks") == []
    assert polygons_of(SQUARE, "masks") == [[(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]]


def test_lists_stays_and_counts(client: TestClient) -> None:
    html = client.get("/lists").text
    assert "staff" in html and "Li &lt;b&gt;Wei" in html
    assert 'aria-label="1 hit of staff"' in html
    html = client.get("/stays").text
    assert "<b>3</b> inside now" in html
    assert "京A12345" in html
    html = client.get("/counts").text
    assert '<svg class="chart"' in html and "Passages by hour and direction: 3" in html


def test_stays_say_what_is_missing(tmp_path: Path) -> None:
    from edge_lpr.serve.settings import ServeSettings

    service = Service(tmp_path, ServeSettings.model_validate({"cameras": {"gate": {"source": "0"}}}))
    assert "No camera tells entries from exits" in service.client().get("/stays").text
    assert "There are none" in service.client().get("/lists").text
    service.close()


def test_the_theme_is_kept(client: TestClient) -> None:
    assert "data-theme" not in client.get("/").text.partition("<body>")[0]
    for theme in ("dark", "light"):
        html = client.get("/", headers={"Cookie": f"edge_lpr_theme={theme}"}).text
        assert f'<html lang="en" data-theme="{theme}">' in html
    assert (
        "data-theme"
        not in client.get("/", headers={"Cookie": 'edge_lpr_theme="x'}).text.partition("<body>")[0]
    )


def test_files_are_kept_by_browsers_until_they_change(client: TestClient) -> None:
    html = client.get("/").text
    address = html.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert "immutable" in client.get(address).headers["cache-control"]
    assert client.get("/static/page.css?v=old").headers["cache-control"] == "no-cache"
    for name in ("none", "base.html", "%2e%2e/app.py"):
        assert client.get(f"/static/{name}").status_code in (400, 404)
    assert client.get("/").headers["cache-control"] == "no-store"
