"""No secret of a configuration is in any page, answer, header or log line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from helpers.page import Service, cheap_hash, csrf_of

from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.web.api import API
from edge_lpr.serve.web.pages import PAGES

SECRETS = (
    "camera-secret-1",
    "mqtt-secret-2",
    "hook-secret-3",
    "header-secret-4",
    "path-secret-5",
    "user-secret-6",
)
PASSWORD, TOKEN = "page-secret-7", "token-secret-8"
SETTINGS = {
    "cameras": {
        "gate": {
            "source": f"rtsp://user-secret-6:{SECRETS[0]}@10.0.0.5/1?token={SECRETS[4]}",
            "role": "entry",
        }
    },
    "outputs": {
        "broker": {"type": "mqtt", "host": "10.0.0.6", "user": SECRETS[5], "password": SECRETS[1]},
        "hook": {
            "type": "webhook",
            "url": f"https://10.0.0.7/{SECRETS[4]}?key={SECRETS[4]}",
            "secret": SECRETS[2],
            "headers": {"Authorization": f"Bearer {SECRETS[3]}"},
        },
    },
    "web": {"password": cheap_hash(PASSWORD), "tokens": [{"name": "reader", "hash": cheap_hash(TOKEN)}]},
}


def test_no_answer_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = ServeSettings.model_validate(SETTINGS)
    service = Service(tmp_path, settings)
    service.board["gate"].become("lost", f"rtsp://user-secret-6:{SECRETS[0]}@10.0.0.5/1 does not answer")
    service.pass_by("京A12345", id="t0")
    client = service.client()
    form = {"csrf": csrf_of(client.get("/signin").text), "password": PASSWORD}
    seen = client.post("/signin", data={**form, "password": "wrong " + PASSWORD}).text
    assert client.post("/signin", data=form).status_code == 303
    paths = [
        o.path.replace("{id}", "t0").replace("{name}", "gate") for o in (*PAGES, *API) if o.method == "GET"
    ]
    asked = 0
    for path in (
        path for path in paths if not path.endswith((".jpg", ".mjpeg", ".zip")) and "static" not in path
    ):
        for query in ("", "?limit=x", "?camera=gate", "?none=1"):
            answer = client.get(path + query)
            seen += answer.text + str(answer.headers)
            asked += answer.status_code == 200
    assert asked > 20
    csrf = csrf_of(client.get("/events/t0").text)
    for path in ("/events/t0", "/cameras/gate", "/signout"):
        seen += client.post(path, data={"csrf": csrf, "text": "x" * 99, "regions": "x"}).text
    headers = {"Authorization": f"Bearer {TOKEN}"}
    seen += client.get("/api/v1/events", headers=headers).text
    seen += client.patch("/api/v1/events/t0", content=b"{}", headers=headers).text
    seen += client.get("/api/v1/events", headers={"Authorization": f"Bearer wrong {TOKEN}"}).text
    secrets = (*SECRETS, PASSWORD, TOKEN, settings.web.password, settings.web.tokens[0].hash)
    assert len(seen) > 20_000
    for secret in secrets:
        assert secret not in seen, secret
        assert secret not in caplog.text, secret
    service.close()
