"""What every request passes: names, sign-in, forged forms, sizes, headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.page import ADDRESS, Service, cheap_hash, configuration, csrf_of
from starlette.testclient import TestClient

from edge_lpr.serve.settings import TokenSettings
from edge_lpr.serve.web import access as access_module
from edge_lpr.serve.web import sessions as sessions_module
from edge_lpr.serve.web.api import API
from edge_lpr.serve.web.pages import PAGES

PASSWORD, READS, WRITES = "a password 1234", "reads 1234", "writes 1234"
HASHES = {secret: cheap_hash(secret) for secret in (PASSWORD, READS, WRITES)}
PATHS = {"{id}": "t0", "{name}": "gate"}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    service.pass_by("京A12345", id="t0")
    yield service
    service.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    tokens = [
        {"name": "reader", "hash": HASHES[READS]},
        {"name": "writer", "hash": HASHES[WRITES], "write": True},
    ]
    service = Service(tmp_path, configuration(password=HASHES[PASSWORD], tokens=tokens))
    service.pass_by("京A12345", id="t0")
    yield service
    service.close()


def sign_in(client: TestClient, password: str = PASSWORD) -> int:
    form = {"csrf": csrf_of(client.get("/signin").text), "password": password, "next": "/events"}
    return client.post("/signin", data=form).status_code


def filled(path: str) -> str:
    for name, value in PATHS.items():
        path = path.replace(name, "page.css" if path.startswith("/static") else value)
    return path


def test_the_routes_are_those_that_are_known() -> None:
    changing = {(o.method, o.path) for o in (*PAGES, *API) if o.method != "GET"}
    assert changing == {
        ("POST", "/events/{id}"),
        ("POST", "/cameras/{name}"),
        ("POST", "/signin"),
        ("POST", "/signout"),
        ("PATCH", "/api/v1/events/{id}"),
        ("POST", "/api/v1/read"),
    }


def test_without_signing_in_there_is_the_sign_in_page_alone(guarded: Service) -> None:
    client = guarded.client()
    for operation in (*PAGES, *API):
        path = filled(operation.path)
        answer = client.request(operation.method, path)
        if path in ("/healthz", "/static/page.css"):
            assert answer.status_code == 200
        elif path == "/signin":
            assert answer.status_code == (200 if operation.method == "GET" else 403)
        elif operation.method == "GET" and not path.startswith(("/api", "/readyz", "/metrics")):
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/signin?next=/")
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
        assert "12345" not in answer.text


def test_what_changes_anything_needs_a_form_of_ours(guarded: Service) -> None:
    client = guarded.client()
    assert sign_in(client) == 303
    of_another_browser = csrf_of(guarded.client().get("/signin").text)
    for operation in (o for o in (*PAGES, *API) if o.method != "GET"):
        for token in ("", "0" * 64, of_another_browser):
            for headers in ({}, {"X-CSRF-Token": token}, {"X-Edge-LPR": "1"}):
                answer = client.request(
                    operation.method,
                    filled(operation.path),
                    data={"csrf": token, "text": "京B1234", "corrected_text": "京B1234"},
                    headers=headers,
                )
                assert answer.status_code == 403, (operation.path, token, headers)
    event = guarded.context.store.get("t0")
    assert event is not None and event.corrected_text == ""
    assert client.get("/events").status_code == 200, "and one stays signed in"


def test_a_page_of_elsewhere_changes_nothing(local: Service) -> None:
    client = local.client()
    token = csrf_of(client.get("/events/t0").text)
    form = {"csrf": token, "text": "京B1234"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = client.post("/events/t0", data=form, headers=headers)
        assert answer.status_code == 403, headers
        assert "page of" in answer.text
    for headers in ({"Origin": ADDRESS}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}):
        assert client.post("/events/t0", data=form, headers=headers).status_code == 303, headers


def test_a_program_of_this_machine_needs_a_header_that_no_page_can_send(local: Service) -> None:
    client = local.client()
    body = {"corrected_text": "京B1234"}
    answer = client.patch("/api/v1/events/t0", json=body)
    assert answer.status_code == 403
    assert "X-Edge-LPR: 1" in answer.json()["detail"]
    assert client.patch("/api/v1/events/t0", json=body, headers={"X-Edge-LPR": "1"}).status_code == 200
    assert client.options("/api/v1/events/t0").status_code == 405, "so a browser's question is answered by no"


def test_sign_in_and_out(guarded: Service) -> None:
    client = guarded.client()
    before = client.cookies.get("edge_lpr_session")
    assert sign_in(client, "another password") == 403
    assert client.get("/events").status_code == 303
    assert sign_in(client) == 303
    session = client.cookies.get("edge_lpr_session")
    assert session != before
    page = client.get("/events")
    assert page.status_code == 200
    assert client.post("/signout", data={"csrf": csrf_of(page.text)}).status_code == 303
    assert client.cookies.get("edge_lpr_session") != session
    client.cookies.set("edge_lpr_session", session or "", domain="127.0.0.1")
    assert client.get("/events").status_code == 303


def test_the_cookie_is_for_us_alone(guarded: Service) -> None:
    cookie = guarded.client().get("/signin").headers["set-cookie"]
    assert re.fullmatch(r"edge_lpr_session=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict", cookie)
    behind = TestClient(guarded.app, base_url="https://127.0.0.1:8470")
    assert behind.get("/signin").headers["set-cookie"].endswith("; Secure")
    assert "set-cookie" not in guarded.client().get("/api/v1/events").headers
    assert "set-cookie" not in guarded.client().get("/healthz").headers


@pytest.mark.parametrize(
    ("host", "fetched", "is_safe"),
    [
        ("gate.example", {"sec-fetch-site": "none"}, True),  # a proxy with TLS
        ("gate.example", {}, False),  # one without
        ("127.0.0.1:8470", {"sec-fetch-site": "none"}, False),
        ("localhost:8470", {"sec-fetch-site": "none"}, False),
    ],
)
def test_behind_a_proxy_with_tls_the_cookie_goes_over_tls_alone(
    tmp_path: Path, host: str, fetched: dict[str, str], is_safe: bool
) -> None:
    service = Service(tmp_path, configuration(password=cheap_hash(PASSWORD), hosts=["gate.example"]))
    answer = TestClient(service.app, base_url=f"http://{host}").get("/signin", headers=fetched)
    assert answer.status_code == 200 and ("Secure" in answer.headers["set-cookie"]) == is_safe
    service.close()


def test_a_cookie_that_somebody_chose_is_not_signed_in(guarded: Service) -> None:
    chosen = "a" * 43
    client = guarded.client(cookies={"edge_lpr_session": chosen})
    assert client.get("/signin").status_code == 200
    assert sign_in(client) == 303
    thief = guarded.client(cookies={"edge_lpr_session": chosen})
    assert thief.get("/events").status_code == 303, "signing in begins a session of another id"


@pytest.mark.parametrize("cookie", ["edge_lpr_session=", "edge_lpr_session=é", "=;;;", "a" * 5000, 'x="'])
def test_any_cookie_is_answered(guarded: Service, cookie: str) -> None:
    answer = guarded.client().get("/signin", headers={"Cookie": cookie.encode("latin-1")})
    assert answer.status_code == 200


@pytest.mark.parametrize("other", ["path=x", 'a={"b":1}', "Expires", 'x="'])
def test_a_cookie_of_another_program_of_this_machine_takes_no_session_away(
    guarded: Service, other: str
) -> None:
    client = guarded.client()
    assert sign_in(client) == 303
    cookies = f"{other}; edge_lpr_session={client.cookies['edge_lpr_session']}"
    assert guarded.client().get("/events", headers={"Cookie": cookies}).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_a_proxy_opens_to_nobody_what_needs_no_password_on_this_machine(
    local: Service, guarded: Service, header: str
) -> None:
    through = {header: "for=192.0.2.7"}
    answer = local.client().get("/api/v1/events", headers=through)
    assert answer.status_code == 403 and "edge-lpr serve --hash" in answer.json()["detail"]
    assert local.client().get("/healthz", headers=through).status_code == 200
    client = guarded.client(headers=through)
    assert sign_in(client) == 303 and client.get("/events").status_code == 200


def test_where_to_after_signing_in_is_a_page_of_ours(guarded: Service) -> None:
    for where in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:1",
        "/a\r\nX: 1",
        "\t//evil",
    ):
        client = guarded.client()
        form = {"csrf": csrf_of(client.get("/signin").text), "password": PASSWORD, "next": where}
        answer = client.post("/signin", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), where
        assert "x" not in answer.headers
    assert client.get("/signin?next=/lists").headers["location"] == "/lists"


def test_wrong_passwords_are_bounded(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module.ScryptHash, "matches", lambda hashed, secret: secret == PASSWORD)
    client = guarded.client()
    codes = [sign_in(client, f"wrong {i}") for i in range(9)]
    assert codes == [403] * 8 + [429]
    form = {"csrf": csrf_of(client.get("/signin").text), "password": PASSWORD}
    answer = client.post("/signin", data=form)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert f"{answer.headers['retry-after']} s" in answer.text
    token = client.get("/api/v1/events", headers={"Authorization": "Bearer wrong"})
    assert token.status_code == 429


def test_tokens(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = guarded.client()
    for header in ("Bearer wrong 1234", "Bearer ", "bearer"):
        assert client.get("/api/v1/events", headers={"Authorization": header}).status_code == 401
    reads, writes = ({"Authorization": f"Bearer {token}"} for token in (READS, WRITES))
    assert client.get("/api/v1/events", headers=reads).status_code == 200
    # What was right once is known again without scrypt.
    monkeypatch.setattr(sessions_module.ScryptHash, "matches", lambda *_: pytest.fail("hashed again"))
    assert client.get("/metrics", headers=reads).status_code == 200
    monkeypatch.undo()
    body = {"corrected_text": "京B1234"}
    refused = client.patch("/api/v1/events/t0", json=body, headers=reads)
    assert refused.status_code == 403
    assert "write = true" in refused.json()["detail"]
    assert client.patch("/api/v1/events/t0", json=body, headers=writes).status_code == 200
    event = guarded.context.store.get("t0")
    assert event is not None and event.corrected_by == "writer"
    guarded.reload_web(tokens=[TokenSettings(name="writer", hash=HASHES[WRITES])])
    assert client.get("/api/v1/events", headers=reads).status_code == 401
    assert client.patch("/api/v1/events/t0", json=body, headers=writes).status_code == 403


def test_a_new_password_ends_the_sessions_of_the_old_one(guarded: Service) -> None:
    client = guarded.client()
    assert sign_in(client) == 303
    guarded.reload_web(password=HASHES[WRITES])
    assert client.get("/events").status_code == 303


def test_a_name_that_is_not_ours_is_refused(local: Service) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:8470", ""):
        answer = local.client().get("/events", headers={"Host": host})
        assert answer.status_code == 421, host
        assert "京" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/events", "/nothing", "/api/v1/events", "/healthz", "/static/page.css", "/signin"]
)
def test_every_answer_has_the_headers(guarded: Service, path: str) -> None:
    headers = guarded.client().get(path).headers
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["img-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


def test_bodies_are_bounded(local: Service) -> None:
    client = local.client()
    large = client.patch("/api/v1/events/t0", content=b"x" * (600 << 10), headers={"X-Edge-LPR": "1"})
    assert large.status_code == 413
    assert "512 KiB" in large.json()["detail"]

    def parts() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * (100 << 10)

    unsaid = client.patch("/api/v1/events/t0", content=parts(), headers={"X-Edge-LPR": "1"})
    assert unsaid.status_code == 413
    many = "&".join(f"a{i}=1" for i in range(100))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/events/t0", content=many, headers=kind).status_code == 400


def test_other_methods_are_refused(local: Service) -> None:
    client = local.client()
    for method in ("PUT", "DELETE", "TRACE", "CONNECT"):
        assert client.request(method, "/events").status_code == 405
    assert client.post("/static/page.css").status_code == 405
    assert client.head("/events").status_code == 200


def test_websockets_are_refused(local: Service) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), local.client().websocket_connect("/events"):
        pass
