"""The page's server: real connections, TLS, limits, and its end."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers.certificates import make_certificate
from helpers.page import Service, cheap_hash, configuration, csrf_of
from helpers.stored_passages import frame
from helpers.waiting import LONG, wait_until

from edge_lpr.errors import InputError
from edge_lpr.serve.web import live as live_module
from edge_lpr.serve.web import server as module
from edge_lpr.serve.web.server import WebServer


@contextmanager
def running(tmp_path: Path, *files: Path, listen: str = "127.0.0.1:0") -> Iterator[tuple[WebServer, Service]]:
    service = Service(tmp_path, configuration(listen=listen))
    server = WebServer(service.context, *files)
    server.start()
    try:
        yield server, service
    finally:
        assert server.stop(LONG)
        service.close()


def get(address: str, verify: ssl.SSLContext | bool = True) -> httpx.Response:
    """Asks for something, however busy the machine."""
    return httpx.get(address, verify=verify, timeout=LONG)


def test_it_answers_and_ends_while_a_browser_looks(tmp_path: Path) -> None:
    with running(tmp_path) as (server, _):
        assert get(f"{server.address}/healthz").text == "ok\n"
        assert "server" not in get(f"{server.address}/").headers
        with httpx.stream("GET", f"{server.address}/cameras/gate/live.mjpeg", timeout=LONG) as live:
            parts = live.iter_bytes()
            assert b"image/jpeg" in next(parts)
            assert server.stop(LONG)  # though who looks on never leaves
        with pytest.raises(httpx.ConnectError):
            get(f"{server.address}/healthz")


@pytest.mark.parametrize("by", ["signing out", "another password", "a token that is taken away"])
def test_who_may_not_look_any_more_sees_no_more(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_REPEAT", LONG)  # nor the same picture again, before
    web = configuration(
        listen="127.0.0.1:0",
        password=cheap_hash("long enough"),
        tokens=[{"name": "viewer", "hash": cheap_hash("a long token")}],
    )
    service = Service(tmp_path, web)
    server = WebServer(service.context)
    server.start()
    with httpx.Client(base_url=server.address, timeout=LONG) as client:
        headers = {}
        if by.startswith("a token"):
            headers["Authorization"] = "Bearer a long token"
        else:
            csrf = csrf_of(client.get("/signin").text)
            client.post("/signin", data={"password": "long enough", "csrf": csrf})
        csrf = "" if headers else csrf_of(client.get("/").text)
        with client.stream("GET", "/cameras/gate/live.mjpeg", headers=headers) as live:
            parts = live.iter_bytes()
            assert b"image/jpeg" in next(parts)
            if by == "signing out":
                assert client.post("/signout", data={"csrf": csrf}).status_code == 303
            else:
                password = cheap_hash("another one") if by == "another password" else web.web.password
                service.context.settings = configuration(listen="127.0.0.1:0", password=password)
            assert b"image/jpeg" not in b"".join(parts)[100:], "it ends"
    assert server.stop(LONG)
    service.close()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as (server, service):
        port = server.address.rpartition(":")[2]
        other = configuration(listen=f"127.0.0.1:{port}")
        service.context.settings = other
        with pytest.raises(InputError, match=rf'\[web\] listen = "127.0.0.1:{port}": .*free port'):
            WebServer(service.context)


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    service = Service(tmp_path, configuration(listen="192.0.2.1:8470"))
    with pytest.raises(InputError, match="expected an address of this machine"):
        WebServer(service.context)
    service.close()


def name_at(address: str) -> str:
    """The common name of the certificate that a server shows."""
    from cryptography import x509

    host, port = address.removeprefix("https://").split(":")
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())
    return shown.subject.rfc4514_string()


def test_tls_and_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    files = make_certificate(tmp_path, subject="first")
    with running(tmp_path, *files) as (server, _):
        trust = ssl.create_default_context(cafile=str(files[0]))
        answer = get(f"{server.address}/", verify=trust)
        assert answer.status_code == 200
        assert "Secure" in answer.headers["set-cookie"]
        assert name_at(server.address) == "CN=first"
        files[1].write_text("no key")
        with pytest.raises(InputError, match="expected two files in PEM"):
            server.reload_certificate()
        assert name_at(server.address) == "CN=first"
        make_certificate(tmp_path, subject="second")
        server.reload_certificate()
        assert name_at(server.address) == "CN=second"


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    service = Service(tmp_path)
    missing = tmp_path / "none.pem"
    with pytest.raises(InputError, match=r"none\.pem.*expected two files in PEM"):
        WebServer(service.context, missing, missing)
    service.close()


def test_a_key_with_a_passphrase_is_named_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = make_certificate(tmp_path)
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"geheim"),
    )
    key.write_bytes(locked)
    service = Service(tmp_path, configuration(listen="127.0.0.1:0"))
    with pytest.raises(InputError, match=r"server\.key: the key has a passphrase, .*openssl pkey"):
        WebServer(service.context, certificate, key)
    service.close()


def test_a_connection_that_asks_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUEST", 0.3)
    with running(tmp_path) as (server, _):
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=LONG) as silent:
            silent.sendall(b"GET / HTTP/1.1\r\nHost: ")
            assert silent.recv(100) == b""
        monkeypatch.setattr(module, "_REQUEST", LONG)
        with httpx.Client(timeout=LONG) as client:  # one who asks is kept
            assert client.get(f"{server.address}/healthz").status_code == 200
            (kept,) = server._server.server_state.connections
            assert isinstance(kept, module._Protocol)
            assert kept._deadline is None, "though it asks nothing more"
            assert client.get(f"{server.address}/healthz").status_code == 200
            assert server._server.server_state.connections == {kept}


def test_many_connections_take_no_more_files_than_are_given_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TAKEN", 20)
    monkeypatch.setattr(module, "_REQUEST", LONG)  # those that are taken stay, though they ask nothing
    with running(tmp_path) as (server, _), contextlib.ExitStack() as all_of_them:
        host, port = server.address.removeprefix("http://").split(":")
        many = [socket.create_connection((host, int(port)), timeout=LONG) for _ in range(60)]
        for one in many:
            all_of_them.enter_context(one)

        def are_closed() -> int:
            return sum(is_closed(one) for one in many)

        wait_until(lambda: are_closed() == 40)
        assert connections(server) <= 20
        for one in many:
            one.close()
        wait_until(lambda: connections(server) == 0)
        assert get(f"{server.address}/healthz").status_code == 200


@pytest.mark.parametrize("tls", [False, True])
def test_those_that_ask_nothing_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr(module, "_REQUEST", 10 * LONG)
    files = make_certificate(tmp_path) if tls else ()
    verify = ssl.create_default_context(cafile=files[0] if files else None)
    with running(tmp_path, *files) as (server, _), contextlib.ExitStack() as all_of_them:
        with httpx.Client(verify=verify, timeout=LONG) as client:
            assert client.get(f"{server.address}/healthz").status_code == 200
            host, port = server.address.partition("://")[2].split(":")
            many = [socket.create_connection((host, int(port)), timeout=LONG) for _ in range(200)]
            for one in many:
                all_of_them.enter_context(one)
            # The one that asked is among those that stay; the server hears a moment later that they went.
            wait_until(lambda: sum(is_closed(one) for one in many) == 200 - 62 and connections(server) < 64)
            assert client.get(f"{server.address}/healthz").status_code == 200  # by its connection
        for _ in range(5):
            new = httpx.get(f"{server.address}/healthz", verify=verify, timeout=LONG)
            assert new.status_code == 200  # by one of its own
        assert all(is_closed(one) for one in many[:10]), "the oldest go"


def is_closed(one: socket.socket) -> bool:
    """Whether the other side has closed a connection."""
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_connection_that_begins_no_tls_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUEST", 0.5)
    certificate, key = make_certificate(tmp_path)
    with running(tmp_path, certificate, key) as (server, _):
        host, port = server.address.removeprefix("https://").split(":")
        for _ in range(2):  # and the next is taken all the same
            with socket.create_connection((host, int(port)), timeout=LONG) as silent:
                assert silent.recv(100) == b""


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"G"),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n", b"1"),
    ],
)
def test_a_connection_that_begins_another_request_has_to_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, rest: bytes
) -> None:
    with running(tmp_path) as (server, _):
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=LONG) as slow:
            slow.sendall(first)
            came = b""
            while not came.endswith(b"ok\n"):
                came += (part := slow.recv(1000))
                assert part, came
            monkeypatch.setattr(module, "_REQUEST", 0.5)
            slow.sendall(rest)
            with contextlib.suppress(ConnectionError):
                assert slow.recv(100) == b"", "closed"


def test_a_request_that_is_none_is_not_worth_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = b"OPTIONS /signin HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(tmp_path) as (server, _):
        host, port = server.address.removeprefix("http://").split(":")
        for first, rest in ((head + b"no chunk\r\n", b""), (head, b"no chunk\r\n")):
            with socket.create_connection((host, int(port)), timeout=LONG) as one:
                one.sendall(first)
                if rest:
                    assert one.recv(1000).startswith(b"HTTP/1.1 405")
                    one.sendall(rest)
                with contextlib.suppress(ConnectionError):
                    while one.recv(1000):
                        pass
        assert get(f"{server.address}/healthz").status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_head_that_never_ends_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as (server, _):
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=LONG) as sender:
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 8 << 20:
                    sent += sender.send(b"GET / HTTP/1.1\r\nX: " if not sent else b"x" * 4096)
                pytest.fail("it takes heads of any length")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a setting of Linux")
def test_one_who_takes_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNTAKEN", 500)
    with running(tmp_path) as (server, service):
        noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
        service.see("gate", noise)
        host, port = server.address.removeprefix("http://").split(":")
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.settimeout(LONG)
            stuck.connect((host, int(port)))
            stuck.sendall(b"GET /cameras/gate/still.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert stuck.recv(1) == b"H", "the answer has begun"
            wait_until(lambda: connections(server) == 0)


def connections(server: WebServer) -> int:
    """How many there are."""
    return len(server._server.server_state.connections)


def test_one_who_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with running(tmp_path) as (server, service):
        host, port = server.address.removeprefix("http://").split(":")
        stuck = [socket.create_connection((host, int(port)), timeout=LONG) for _ in range(3)]
        for one in stuck:
            one.sendall(b"GET /cameras/gate/live.mjpeg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        done = threading.Event()

        def change() -> None:
            for value in itertools.count():
                if done.wait(0.05):
                    return
                service.see("gate", frame(value % 256))

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(5):
                assert get(f"{server.address}/").status_code == 200
        finally:
            done.set()
            changing.join()
            for one in stuck:
                one.close()


@pytest.mark.parametrize(("listen", "host"), [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "[::1]")])
def test_its_address_can_be_opened_where_it_listens_at_all(tmp_path: Path, listen: str, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    service = Service(tmp_path, configuration(listen=listen, password=cheap_hash("long enough")))
    server = WebServer(service.context)
    server.start()
    try:
        assert server.is_everywhere and server.address.startswith(f"http://{host}:")
        assert httpx.get(f"{server.address}/healthz").status_code == 200
    finally:
        assert server.stop(LONG)
        service.close()
