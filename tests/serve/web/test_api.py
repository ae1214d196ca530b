"""The interface: what it gives is what its description says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.page import Service
from helpers.stored_passages import NOON
from starlette.testclient import TestClient

from edge_lpr import PlateReader
from edge_lpr.serve.web.api import API, description

ROOT = Path(__file__).parents[3]
CHANGE = {"X-Edge-LPR": "1"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    for number in range(5):
        made.pass_by(f"京A1234{number}", id=f"t{number}", seconds=number * 600)
    yield made
    made.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    return service.client()


def checked(client: TestClient, path: str, operation: str = "") -> Any:
    """What a route gives, as its description has it."""
    jsonschema = pytest.importorskip("jsonschema", reason=reason("jsonschema", "test"))
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    document = description()
    schema = document["paths"][operation or path.partition("?")[0]]["get"]["responses"]["200"]["content"]
    whole = {**schema["application/json"]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(answer.json())
    return answer.json()


def test_the_description_is_openapi(client: TestClient) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason=reason("jsonschema", "test"))
    document = client.get("/api/openapi.json").json()
    assert document == json.loads(json.dumps(description()))
    rules = json.loads((ROOT / "tests/golden/openapi-3.1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(rules).validate(document)
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name


def test_all_that_it_refers_to_is_there() -> None:
    document = description()
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(document["components"]["schemas"])
    names = [operation.name for operation in API if operation.name]
    assert len(set(names)) == len(names)
    for operation in API:
        placed = {p.name for p in operation.parameters if p.place == "path"}
        assert placed == {part[1:-1] for part in operation.path.split("/") if part[:1] == "{"}, operation.path


def test_events_come_page_by_page(client: TestClient) -> None:
    seen, cursor = [], ""
    for _ in range(3):
        found = checked(client, f"/api/v1/events?limit=2&cursor={cursor}")
        seen += [event["text"] for event in found["events"]]
        cursor = found["cursor"]
    assert (seen, cursor) == ([f"京A1234{n}" for n in (4, 3, 2, 1, 0)], "")


def test_events_are_looked_for(client: TestClient) -> None:
    def texts(query: str) -> list[str]:
        return [event["text"] for event in checked(client, f"/api/v1/events?{query}")["events"]]

    assert texts("plate=京A*1") == ["京A12341"]
    assert texts("plate=京AIZ341") == ["京A12341"], "I and 1, Z and 2 look alike"
    assert texts("plate=京AIZ341&lookalikes=false") == []
    assert texts("camera=yard") == []
    later = (NOON + timedelta(minutes=25)).isoformat().replace("+00:00", "Z")
    assert texts(f"from={later}") == ["京A12344", "京A12343"]
    assert texts(f"to={later}&limit=1") == ["京A12342"]
    abroad = (NOON + timedelta(minutes=25)).astimezone(timezone(timedelta(hours=8))).isoformat()
    assert texts(f"from={abroad}") == ["京A12344", "京A12343"], "a plus that was not encoded is a blank"
    assert texts("action=allow") == texts("list=staff") == []
    assert texts("kind=blue&limit=1") == ["京A12344"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1e3", "limit"),
        ("limit=²", "limit"),
        ("from=yesterday", "from"),
        ("from=9999999-01-01", "from"),
        ("action=open", "action"),
        ("lookalikes=maybe", "lookalikes"),
        ("camera=" + "x" * 100, "camera"),
        ("plate=" + "x" * 100, "plate"),
        ("plat=1", "plat"),
        ("camera=gate&camera=yard", "camera"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, query: str, field: str) -> None:
    answer = client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["title"], problem["field"]) == (400, "Bad Request", field)
    assert "expected" in problem["detail"] or "twice" in problem["detail"]


def test_a_wrong_cursor_or_plate_is_one_line(client: TestClient) -> None:
    for query in ("cursor=x", "plate=****A*B*C*D*E*", "cursor=1'--_1"):
        answer = client.get(f"/api/v1/events?{query}")
        assert answer.status_code == 400
        assert "expected" in answer.json()["detail"]


def test_changes_are_followed(client: TestClient, service: Service) -> None:
    first = checked(client, "/api/v1/changes?limit=3")
    second = checked(client, f"/api/v1/changes?after={first['after']}")
    texts = [event["text"] for event in (*first["events"], *second["events"])]
    assert texts == [f"京A1234{n}" for n in range(5)]
    last = second["after"]
    assert checked(client, f"/api/v1/changes?after={last}") == {"events": [], "after": last}
    changed = client.patch("/api/v1/events/t0", json={"corrected_text": "京B1234"}, headers=CHANGE)
    assert changed.status_code == 200
    (event,) = checked(client, f"/api/v1/changes?after={last}")["events"]
    assert (event["id"], event["corrected_text"], event["text"]) == ("t0", "京B1234", "京A12340")


def test_an_event_is_corrected(client: TestClient, service: Service) -> None:
    assert checked(client, "/api/v1/events/t0", "/api/v1/events/{id}")["corrected_text"] == ""
    answer = client.patch("/api/v1/events/t0", json={"corrected_text": "京a·1234"}, headers=CHANGE)
    assert answer.status_code == 200
    found = checked(client, "/api/v1/events/t0", "/api/v1/events/{id}")
    assert (found["corrected_text"], found["corrected_by"], found["text"]) == ("京A1234", "local", "京A12340")
    assert datetime.fromisoformat(found["corrected_at"].replace("Z", "+00:00")) <= datetime.now(timezone.utc)
    client.patch("/api/v1/events/t0", json={"corrected_text": ""}, headers=CHANGE)
    assert checked(client, "/api/v1/events/t0", "/api/v1/events/{id}")["corrected_text"] == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"corrected_text": 1}',
        b'{"corrected_text": "x", "id": "y"}',
        b"\xff",
        b"[" * 100_000,
    ]
    + [json.dumps({"corrected_text": text}).encode() for text in ("<b>", "京" * 40, "京I1234")],
)
def test_a_wrong_correction_is_refused(client: TestClient, service: Service, body: bytes) -> None:
    answer = client.patch("/api/v1/events/t0", content=body, headers=CHANGE)
    assert answer.status_code == 400, answer.text
    event = service.context.store.get("t0")
    assert event is not None and event.corrected_text == ""


@pytest.mark.parametrize("name", ["none", "..", "%2e%2e%2fevents.db", "t0%00", "'or 1=1--", "t0/../../x"])
def test_what_is_not_there_is_not_found(client: TestClient, name: str) -> None:
    for path in (
        f"/api/v1/events/{name}",
        f"/api/v1/events/{name}/crop.jpg",
        f"/api/v1/events/{name}/frame.jpg",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["status"] == 404


def test_pictures_come_and_are_gone(client: TestClient, service: Service) -> None:
    for name, shape in (("crop", (30, 120, 3)), ("frame", (480, 640, 3))):
        answer = client.get(f"/api/v1/events/t0/{name}.jpg?r=1")
        assert answer.headers["content-type"] == "image/jpeg"
        shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and shown.shape == shape
    event = service.context.store.get("t0")
    assert event is not None
    service.pictures.remove(event.record.crop)
    gone = client.get("/api/v1/events/t0/crop.jpg")
    assert gone.status_code == 404
    assert "picture_days" in gone.json()["detail"]


def test_a_picture_of_elsewhere_is_not_given(client: TestClient, service: Service, tmp_path: Path) -> None:
    (tmp_path / "secret-crop.jpg").write_bytes(b"secret")
    for path in ("../secret-crop.jpg", "2026-11-27/../../secret-crop.jpg", str(tmp_path / "secret-crop.jpg")):
        with service.database.transaction() as tx:
            tx.execute("UPDATE events SET record = json_set(record, '$.crop', ?) WHERE id = 't0'", (path,))
        answer = client.get("/api/v1/events/t0/crop.jpg")
        assert answer.status_code == 404
        assert b"secret" not in answer.content


def test_the_tables_of_events(client: TestClient, service: Service) -> None:
    service.context.store.correct("t4", "京B1234", "page")
    answer = client.get("/api/v1/events.csv?plate=京A1234*")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="events.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["text"] for row in rows] == [f"京A1234{n}" for n in (4, 3, 2, 1, 0)]
    assert [row["corrected_text"] for row in rows] == ["京B1234", "", "", "", ""]
    assert client.get("/api/v1/events.csv?cursor=1").status_code == 400


def test_a_table_holds_no_formula(client: TestClient, service: Service) -> None:
    for field, text in (("text", "=1+1"), ("camera", "@SUM(1)"), ("kind", "a;=1+1")):
        with service.database.transaction() as tx:
            tx.execute(
                f"UPDATE events SET record = json_set(record, '$.{field}', ?) WHERE id = 't0'", (text,)
            )
    (row,) = [
        one
        for one in csv.DictReader(io.StringIO(client.get("/api/v1/events.csv").text))
        if one["kind"] != "blue"
    ]
    assert (row["text"], row["camera"], row["kind"]) == ("'=1+1", "'@SUM(1)", "a;'=1+1")


def test_a_table_is_longer_than_a_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_lpr.serve.web import downloads

    monkeypatch.setattr(downloads, "MAX_LIMIT", 2)
    assert len(client.get("/api/v1/events.csv").text.splitlines()) == 6


def test_cameras(client: TestClient, service: Service) -> None:
    gate, yard = checked(client, "/api/v1/cameras")["cameras"]
    assert (gate["name"], gate["state"], gate["width"], gate["height"]) == ("gate", "live", 640, 480)
    assert (gate["regions"], gate["is_drawn"], yard["frames"]) == ([], False, 1)


def test_lists_and_their_hits(client: TestClient, service: Service) -> None:
    recent = datetime.now(timezone.utc) - timedelta(days=1)
    service.pass_by("京A12345", id="t9", first_utc=recent, last_utc=recent)
    (staff,) = checked(client, "/api/v1/lists")["lists"]
    assert (staff["name"], staff["action"], staff["plates"], staff["hits"]) == ("staff", "allow", 1, 1)
    assert staff["last_utc"].startswith(recent.strftime("%Y-%m-%dT%H:%M"))


def test_stays(client: TestClient, service: Service) -> None:
    span = "from=2026-11-27T00:00Z&to=2026-11-28T00:00Z"
    found = checked(client, f"/api/v1/stays?site=yard&{span}")
    assert found["inside"] == 5
    assert {stay["plate"] for stay in found["stays"]} == {f"京A1234{n}" for n in range(5)}
    assert client.get(f"/api/v1/stays.csv?site=yard&{span}").text.count("\r\n") == 6
    wrong = client.get("/api/v1/stays?from=2026-11-27&to=2026-11-26")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "to")


def test_counts(client: TestClient) -> None:
    span = "from=2026-11-27T00:00Z&to=2026-11-28T00:00Z"
    found = checked(client, f"/api/v1/counts?{span}")["counts"]
    assert sum(one["count"] for one in found) == 5
    assert {one["camera"] for one in found} == {"gate"}
    by_day = checked(client, f"/api/v1/counts?{span}&by=day")["counts"]
    assert all(len(one["start"]) == 10 for one in by_day)
    assert client.get(f"/api/v1/counts.csv?{span}").text.startswith('\ufeff"start","camera"')
    long = client.get("/api/v1/counts?from=2020-01-01&to=2026-01-01")
    assert "14 days" in long.json()["detail"]


def test_health(client: TestClient, service: Service) -> None:
    found = checked(client, "/api/v1/health")
    assert (found["not_ready"], found["pictures"], found["queues"]) == ("", "", {})
    assert client.get("/readyz").text == "ready\n"
    service.context.is_ready = lambda: "cameras are not read yet"
    assert checked(client, "/api/v1/health")["not_ready"] == "cameras are not read yet"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "cameras are not read yet")
    assert client.get("/healthz").text == "ok\n"


def test_figures(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'edge_lpr_camera_frames_total{camera="gate"} 1.0' in answer.text


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with PlateReader() as reader:
        made = Service(tmp_path_factory.mktemp("reading"), reader=reader)
        yield made
        made.close()


STREET = ROOT / "samples/street.jpg"


def test_a_picture_is_read(reading: Service) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason=reason("jsonschema", "test"))
    client, data = reading.client(), STREET.read_bytes()
    plain = client.post("/api/v1/read", content=data, headers=CHANGE)
    assert plain.status_code == 200, plain.text
    expected = json.loads((ROOT / "samples/street.json").read_text(encoding="utf-8"))["street.jpg"]["plates"]
    assert {one["text"] for one in expected} <= {one["text"] for one in plain.json()["plates"]}
    curl = {"Content-Type": "application/x-www-form-urlencoded", **CHANGE}
    assert client.post("/api/v1/read", content=data, headers=curl).json() == plain.json()
    form = client.post("/api/v1/read", files={"picture": ("a.jpg", data, "image/jpeg")}, headers=CHANGE)
    assert form.json() == plain.json()
    document = description()
    schema = document["paths"]["/api/v1/read"]["post"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(plain.json())


def test_what_is_no_picture_is_refused(reading: Service) -> None:
    client = reading.client()
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + b"\0\0\0\x0dIHDR"
        + (60_000).to_bytes(4, "big") * 2
        + b"\x08\x02\0\0\0"
        + b"\0" * 4
    )
    for data in (b"", b"no picture", bomb, STREET.read_bytes()[:2000]):
        answer = client.post("/api/v1/read", content=data, headers=CHANGE)
        assert answer.status_code == 415, answer.text
        assert answer.json()["detail"].startswith("the picture")
    large = client.post("/api/v1/read", content=b"\xff" * (17 << 20), headers=CHANGE)
    assert (large.status_code, large.json()["detail"]) == (413, "expected 16384 KiB at most")
    for form in ({"other": ("a", b"x")}, {"picture": ("a", b"x"), "b": ("b", b"x")}):
        assert client.post("/api/v1/read", files=form, headers=CHANGE).status_code == 400
    torn = {"Content-Type": "multipart/form-data", **CHANGE}
    assert client.post("/api/v1/read", content=b"--x", headers=torn).status_code == 400


def test_a_picture_for_sharing_shows_no_plate(reading: Service) -> None:
    from edge_lpr.io.image_io import decode_image, read_image

    street = read_image(STREET)
    reading.pass_by("京A12345", id="shared")
    reading.passages.take("gate", _track_in(street), street)
    reading.passages.close_all()
    client = reading.client()
    answer = client.get("/api/v1/events/street/shared.jpg")
    assert answer.status_code == 200, answer.text
    shared = decode_image(answer.content, "shared")
    assert shared.shape == street.shape
    reader = reading.context.reader.reader
    assert reader.read(street)
    assert reader.read(shared) == []


def _track_in(image: Any) -> Any:
    from helpers.stored_passages import track

    return track("京B12345", id="street", seconds=3600, crop=image[:40, :120])


def test_an_error_that_nobody_thought_of_tells_nothing(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(id: str) -> None:  # noqa: A002
        raise RuntimeError("rtsp://admin:hidden1234@10.0.0.5/1 failed")

    monkeypatch.setattr(service.context.store, "get", fail)
    answer = client.get("/api/v1/events/t0")
    assert answer.status_code == 500
    assert answer.json()["detail"] == "the service could not answer; its log says why"
    assert "RuntimeError" in caplog.text
    assert "hidden1234" not in answer.text + caplog.text
    assert "its log says why" in client.get("/events/t0").text
