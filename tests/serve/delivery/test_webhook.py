"""Events as HTTP POST, to a real server that fails, is away, and comes back."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import logging
import socket
import ssl
import threading
import time
from contextlib import nullcontext, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from helpers.certificates import make_certificate
from helpers.extras import reason
from helpers.passages import record
from helpers.receiver import Receiver, Request
from helpers.waiting import LONG, wait_until

pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.errors import InputError
from edge_lpr.serve.delivery import webhook
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext
from edge_lpr.serve.delivery.webhook import WebhookSender, signature
from edge_lpr.serve.output_settings import WebhookSettings

CONTEXT = DeliveryContext(queues=None, folder=Path())  # type: ignore[arg-type]
ITEM = Item(1, "hook", "a", 1, json.dumps(record(crop="d/a-crop.jpg", frame="d/a-frame.jpg").to_dict()), 0.0)


def settings(url: str, **changes: Any) -> WebhookSettings:
    return WebhookSettings(**{"type": "webhook", "url": url, "max_pause": 1, **changes})


def post(receiver: Receiver, context: DeliveryContext = CONTEXT, **changes: Any) -> Request:
    sender = WebhookSender("hook", settings(receiver.url, **changes), context)
    try:
        sender.send(ITEM)
    finally:
        sender.close(0)
    return receiver.requests[-1]


def failure(receiver: Receiver, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        post(receiver, **changes)
    return error.value


def test_an_event_is_posted_as_json_and_signed() -> None:
    with Receiver() as receiver:
        request = post(receiver, secret="a shared secret", headers={"Authorization": "Bearer abc"})
    assert request.body.decode() == ITEM.body
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == "a/1"
    assert request.headers["Authorization"] == "Bearer abc"
    assert request.headers["User-Agent"].startswith("edge-lpr/")
    # As a receiver checks it, without our code.
    fields = dict(part.split("=") for part in request.headers["X-Edge-LPR-Signature"].split(","))
    expected = hmac.new(b"a shared secret", fields["t"].encode() + b"." + request.body, hashlib.sha256)
    assert fields["v1"] == expected.hexdigest()
    assert abs(int(fields["t"]) - time.time()) < 600
    assert signature("other", request.body, int(fields["t"])) != request.headers["X-Edge-LPR-Signature"]


def test_pictures_go_with_it_and_are_signed_too(tmp_path: Path) -> None:
    (tmp_path / "a-crop.jpg").write_bytes(b"\xff\xd8crop")

    def picture(name: str) -> Path | None:
        path = tmp_path / Path(name).name
        return path if path.exists() else None  # the frame is gone by now

    with Receiver() as receiver:
        request = post(receiver, DeliveryContext(None, tmp_path, picture), form="multipart", secret="geheim")  # type: ignore[arg-type]
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + request.body).get_payload()
    assert isinstance(parts, list)
    found = {part.get_param("name", header="content-disposition"): part for part in parts}  # type: ignore[union-attr]
    assert set(found) == {"event", "crop"}
    assert found["event"].get_content_type() == "application/json"  # type: ignore[union-attr]
    assert json.loads(found["event"].get_payload(decode=True)) == ITEM.record  # type: ignore[union-attr, arg-type]
    assert found["crop"].get_payload(decode=True) == b"\xff\xd8crop"  # type: ignore[union-attr]
    moment = int(request.headers["X-Edge-LPR-Signature"].partition("t=")[2].partition(",")[0])
    assert request.headers["X-Edge-LPR-Signature"] == signature("geheim", request.body, moment)


@pytest.mark.parametrize(
    ("status", "whole", "final"),
    [
        *((status, True, False) for status in (408, 425, 429, 502, 503, 504)),
        *((status, True, False) for status in (301, 302, 307, 308, 401, 403, 404, 405, 407)),
        *((status, False, False) for status in (500, 507)),
        *((status, False, True) for status in (400, 409, 410, 413, 415, 422, 451)),
    ],
)
def test_what_becomes_of_each_answer(status: int, whole: bool, final: bool) -> None:
    with Receiver(lambda _: (status, {"Location": "http://127.0.0.1:1/else"})) as receiver:
        error = failure(receiver)
        assert len(receiver.requests) == 1
    assert (error.whole, error.final) == (whole, final)
    assert str(status) in error.reason
    assert error.reason.startswith(f"http://127.0.0.1:{receiver.port} ")


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_receiver_says_how_long_it_wants_to_be_left_alone(status: int) -> None:
    with Receiver(lambda _: (status, {"Retry-After": "42"})) as receiver:
        assert failure(receiver).after == 42
    at = formatdate(time.time() + 10 * LONG, usegmt=True)
    with Receiver(lambda _: (status, {"Retry-After": at})) as receiver:
        assert 9 * LONG < failure(receiver).after <= 10 * LONG
    for nonsense in ("soon", "-5", "1e400", "٣"):
        header = {"Retry-After": nonsense.encode().decode("latin-1")}
        with Receiver(lambda _, header=header: (status, header)) as receiver:  # type: ignore[misc]
            assert failure(receiver).after == 0


def test_who_answers_too_late_or_not_at_all() -> None:
    go_on = threading.Event()

    def slow(_: Request) -> tuple[int, dict[str, str]]:
        go_on.wait(LONG)
        return 200, {}

    with Receiver(slow) as receiver:
        late = failure(receiver, timeout=0.5)
        go_on.set()
    assert late.whole
    assert late.reason == f"http://127.0.0.1:{receiver.port} gives no answer within 0.5 s"
    away = failure(receiver)
    assert away.whole
    assert "cannot be reached" in away.reason


def test_who_sends_its_answer_by_single_bytes_has_no_more_time_than_others() -> None:
    gone = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Drip: ")
            for _ in range(100):  # in the end it would be a good answer
                connection.sendall(b"x")
                time.sleep(0.1)
            connection.sendall(b"\r\n\r\n")
        gone.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        sender = WebhookSender("hook", settings(url, timeout=0.5), CONTEXT)
        with pytest.raises(DeliveryError) as error:
            sender.send(ITEM)
        assert gone.wait(LONG)
        sender.close(0)
    assert error.value.reason == f"{url} gives no answer within 0.5 s" and error.value.whole


def test_only_who_has_the_right_certificate_is_told(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason=reason("cryptography", "sign"))
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Receiver(context=context) as receiver:
        error = failure(receiver)
        assert error.whole
        assert "certificate" in error.reason
        assert receiver.requests == []
        assert post(receiver, ca=str(certificate)).body.decode() == ITEM.body
        assert post(receiver, any_certificate=True).body.decode() == ITEM.body


def test_a_path_of_a_configuration_is_relative_to_it(tmp_path: Path) -> None:
    context = DeliveryContext(None, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"outputs\.hook: .*ca\.pem: .* expected PEM files"):
        WebhookSender("hook", settings("https://127.0.0.1/", ca="ca.pem"), context)


@pytest.mark.parametrize("url", ["ftp://host/", "host/path", "http://", "https://[::1"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InputError, match=r"outputs\.hook\.url: expected https://HOST/PATH"):
        WebhookSender("hook", settings(url), CONTEXT)


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X\n": "a"}, {"": "a"}, {"X": "名"}])
def test_a_header_stays_one(headers: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"outputs\.hook\.headers"):
        WebhookSender("hook", settings("http://127.0.0.1/", headers=headers), CONTEXT)


def test_no_secret_is_in_the_log_or_in_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = ("pathtoken77", "querytoken77", "hmacsecret77", "bearertoken77", "urlpassword77")

    def refuses(_: Request) -> tuple[int, dict[str, str]]:
        return 400, {}

    with caplog.at_level(logging.DEBUG), Receiver(refuses) as receiver:
        hook = settings(
            f"http://user:urlpassword77@127.0.0.1:{receiver.port}/pathtoken77?key=querytoken77",
            secret="hmacsecret77",
            headers={"Authorization": "Bearer bearertoken77"},
        )
        with Service(tmp_path, {"hook": hook}) as service:
            service.offer(record("a"))
            wait_until(lambda: service.queues.counts()["hook"].given_up == 1)
            receiver.stop()
            service.offer(record("b"))
            wait_until(lambda: service.queues.counts()["hook"].failing)
            shown = service.queues.counts()["hook"].failing
            receiver.start()
            wait_until(lambda: service.waiting == 0)
    assert "/pathtoken77?key=querytoken77" in receiver.requests[0].path
    log = caplog.text + shown
    assert "event a/1 is given up" in log
    assert [secret for secret in secrets if secret in log] == []


def test_a_receiver_that_fails_and_comes_back_has_each_event_in_its_order(tmp_path: Path) -> None:
    count = 0

    def sometimes(_: Request) -> tuple[int, dict[str, str]]:
        nonlocal count
        count += 1
        return (503 if count % 5 == 0 else 200), {}

    with Receiver(sometimes) as receiver, Service(tmp_path, {"hook": settings(receiver.url)}) as service:
        for number in range(10):
            service.offer(record(f"p{number}"), record(f"p{number}", 2))
        wait_until(lambda: len(receiver.requests) >= 5)
        receiver.stop()
        for number in range(10):
            service.offer(record(f"p{number}", 3))
        receiver.start()
        wait_until(lambda: service.waiting == 0)
    taken = [r.headers["Idempotency-Key"] for nth, r in enumerate(receiver.requests, 1) if nth % 5]
    assert sorted(set(taken)) == sorted(f"p{number}/{rev}" for number in range(10) for rev in (1, 2, 3))
    for number in range(10):
        of_one = list(dict.fromkeys(key for key in taken if key.startswith(f"p{number}/")))
        assert of_one == [f"p{number}/{rev}" for rev in (1, 2, 3)]


@pytest.mark.parametrize("status", [200, 403])
def test_the_status_says_what_becomes_of_an_event_and_not_what_follows_it(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(lambda _: (status, {"Content-Length": "100"})) as receiver:  # of which two come
        sender = WebhookSender("hook", settings(receiver.url, timeout=LONG), CONTEXT)
        drain = webhook._drain

        def late(response: Any, until: float) -> None:
            sender._connection._cut()  # the time is over in the middle of what follows
            drain(response, until)

        monkeypatch.setattr(webhook, "_drain", late)
        refused = pytest.raises(DeliveryError, match="answers 403")
        with refused if status == 403 else nullcontext():
            sender.send(ITEM)
        assert sender._connection.was_cut
        sender.close(0)
