"""A camera's picture, live: made when somebody looks, for as many as may; nobody waits for who is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.page import Service
from helpers.stored_passages import frame
from helpers.waiting import LONG
from starlette.types import Message, Scope

from edge_lpr.serve.web import live as module
from edge_lpr.serve.web.live import LiveResponse, Viewers
from edge_lpr.serve.web.problems import Problem

HEAD = b"--edge-lpr-frame\r\nContent-Type: image/jpeg\r\n\r\n"
SCOPE: Scope = {"type": "http", "method": "GET"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.close()


class Client:
    """One who looks: takes what is sent, and goes when he is told to."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.goes = asyncio.Event()
        self.stuck = False

    async def receive(self) -> Message:
        await self.goes.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.sent.append(message)

    def pictures(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:] if b"image/jpeg" in message.get("body", b"")]

    async def has(self, count: int) -> None:
        async def enough() -> None:
            while len(self.pictures()) < count:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(enough(), LONG)


def response(service: Service, viewers: Viewers) -> LiveResponse:
    first = service.board.latest("gate")
    assert first is not None
    return LiveResponse(service.context, "gate", viewers, first)


def test_new_pictures_are_sent_until_one_goes(service: Service) -> None:
    async def look() -> Client:
        client, viewers = Client(), Viewers()
        task = asyncio.create_task(response(service, viewers)(SCOPE, client.receive, client.send))
        await client.has(1)
        assert viewers.count == 1
        for value in (10, 200):
            service.see("gate", frame(value))
            await client.has(2 if value == 10 else 3)
        client.goes.set()
        await asyncio.wait_for(task, LONG)
        assert viewers.count == 0
        return client

    client = asyncio.run(look())
    assert client.sent[0]["headers"] == [
        (b"content-type", b"multipart/x-mixed-replace; boundary=edge-lpr-frame")
    ]
    for part in client.pictures():
        assert part.endswith(b"\r\n" + HEAD), "so that it is shown before the next one comes"
        jpeg = part.removeprefix(HEAD).removesuffix(b"\r\n" + HEAD)
        assert jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9")
    assert client.pictures()[0].startswith(HEAD)
    assert len({part.removeprefix(HEAD) for part in client.pictures()}) == 3, (
        "one that is the same is not sent again"
    )


def test_one_who_takes_nothing_is_let_go(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STALLED", 0.1)

    async def look() -> Viewers:
        client, viewers = Client(), Viewers()
        task = asyncio.create_task(response(service, viewers)(SCOPE, client.receive, client.send))
        await client.has(1)
        client.stuck = True
        service.see("gate", frame(10))
        await asyncio.wait_for(task, LONG)
        return viewers

    assert asyncio.run(look()).count == 0


def test_who_has_gone_is_noticed_on_a_still_picture(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REPEAT", 0.1)

    async def look() -> int:
        client = Client()
        task = asyncio.create_task(response(service, Viewers())(SCOPE, client.receive, client.send))
        await client.has(3)
        client.goes.set()
        await asyncio.wait_for(task, LONG)
        return len({part.removeprefix(HEAD) for part in client.pictures()})

    assert asyncio.run(look()) == 1


def test_who_only_asks_for_the_head_does_not_look(service: Service) -> None:
    answer = service.client().head("/cameras/gate/live.mjpeg")
    assert (answer.status_code, answer.content) == (200, b"")


def test_so_many_may_look() -> None:
    viewers = Viewers(2)
    with viewers, viewers:
        with pytest.raises(Problem, match="2 are looking already") as raised, viewers:
            pass
        assert (raised.value.status, raised.value.headers["Retry-After"]) == (503, "10")
    assert viewers.count == 0


def test_without_a_picture_there_is_nothing_to_see(service: Service) -> None:
    service.board.arrange({"gate": "0"})
    service.board.arrange({"new": "1"})
    client = service.client()
    for name in ("still.jpg", "live.mjpeg"):
        answer = client.get(f"/cameras/new/{name}")
        assert answer.status_code == 503
        assert client.get(f"/cameras/none/{name}").status_code == 404


def test_nothing_is_encoded_while_nobody_looks(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    latest = service.board.latest
    monkeypatch.setattr(service.board, "latest", lambda camera: encoded.append(camera) or latest(camera))
    client = service.client()
    for path in ("/", "/cameras/gate", "/api/v1/cameras", "/metrics"):
        assert client.get(path).status_code == 200
    assert encoded == []
    assert client.get("/cameras/gate/still.jpg?n=1").headers["content-type"] == "image/jpeg"
    assert encoded == ["gate"]
