"""Events to a real broker, which is restarted in the middle."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.certificates import make_certificate
from helpers.children import with_helpers
from helpers.extras import reason
from helpers.mosquitto import Listener, broker
from helpers.passages import record
from helpers.waiting import wait_until

pytest.importorskip("paho.mqtt", reason=reason("paho.mqtt", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.errors import InputError
from edge_lpr.serve.delivery.workers import make_sender
from edge_lpr.serve.output_settings import MqttSettings


def settings(port: int, **changes: Any) -> MqttSettings:
    return MqttSettings(**{"type": "mqtt", "host": "127.0.0.1", "port": port, **changes})


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_events_arrive_as_the_record_has_them(tmp_path: Path, version: str, qos: int) -> None:
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8crop")
    live = {"gate": True, "yard": False}
    with broker(tmp_path) as started, Listener(started.port) as listener:
        output = settings(started.port, version=version, qos=qos, pictures=True)
        with Service(tmp_path, {"mqtt": output}, lambda name: tmp_path / name, lambda: live) as service:
            service.offer(record("a", crop="c.jpg"), record("b", camera="yard"), record("a", 2))
            wait_until(lambda: len(listener.heard["edge-lpr/events/gate"]) == 2)
            wait_until(lambda: listener.heard["edge-lpr/events/yard"])
            wait_until(lambda: service.waiting == 0)
            wait_until(lambda: listener.heard["edge-lpr/status"])
            live["gate"] = False
            wait_until(lambda: len(listener.heard["edge-lpr/cameras/gate/status"]) == 2)
        wait_until(lambda: listener.heard["edge-lpr/status"] == [b"online", b"offline"])
        heard = listener.heard
    assert [json.loads(body)["revision"] for body in heard["edge-lpr/events/gate"]] == [1, 2]
    assert json.loads(heard["edge-lpr/events/yard"][0]) == json.loads(
        json.dumps(record("b", camera="yard").to_dict())
    )
    assert heard["edge-lpr/crops/gate"] == [b"\xff\xd8crop"]
    assert heard["edge-lpr/cameras/gate/status"][:2] == [b"online", b"offline"]
    assert heard["edge-lpr/cameras/yard/status"][0] == b"offline"
    assert not any(topic.startswith("homeassistant") for topic in heard)
    assert "edge-lpr/cameras/gate/last" not in heard


def test_a_broker_that_restarts_misses_nothing(tmp_path: Path) -> None:
    with broker(tmp_path) as started, Service(tmp_path, {"mqtt": settings(started.port)}) as service:
        with Listener(started.port) as listener:
            service.offer(*(record(f"a{number}") for number in range(20)))
            wait_until(lambda: len(listener.heard["edge-lpr/events/gate"]) == 20)
        started.stop()
        service.offer(*(record(f"b{number}") for number in range(20)))
        wait_until(lambda: "the connection was lost" in service.queues.counts()["mqtt"].failing)
        assert service.waiting == 20
        started.start()
        with Listener(started.port) as listener:
            wait_until(lambda: service.waiting == 0)
            wait_until(lambda: listener.heard["edge-lpr/status"][-1:] == [b"online"])
        assert service.queues.counts()["mqtt"].delivered == 40


def test_what_it_cannot_reach_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with broker(tmp_path) as started:
        started.stop()
        with (
            caplog.at_level(logging.WARNING, "edge_lpr"),
            Service(tmp_path, {"mqtt": settings(started.port)}) as service,
        ):
            service.offer(record())
            wait_until(lambda: "Connection refused" in service.queues.counts()["mqtt"].failing)
    assert f"output mqtt: 127.0.0.1:{started.port} cannot be reached: " in caplog.text


def test_the_broker_says_offline_for_who_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from helpers.deliveries import Service; "
        "from edge_lpr.serve.output_settings import MqttSettings; "
        "output = MqttSettings(type='mqtt', host='127.0.0.1', port=int(sys.argv[1])); "
        "service = Service(Path(sys.argv[2]), {'mqtt': output}).__enter__(); time.sleep(1000)"
    )
    with broker(tmp_path) as started, Listener(started.port) as listener:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(started.port), str(tmp_path)],
            env=with_helpers(),
        )
        try:
            wait_until(lambda: listener.heard["edge-lpr/status"] == [b"online"])
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        wait_until(lambda: listener.heard["edge-lpr/status"] == [b"online", b"offline"])


def test_home_assistant_finds_each_camera(tmp_path: Path) -> None:
    jinja2 = pytest.importorskip("jinja2", reason=reason("jinja2", "calib"))
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8crop")
    cameras = {"gate": True, "yard": True}
    with broker(tmp_path) as started:
        output = settings(started.port, discovery="homeassistant", pictures=True)
        with Service(tmp_path, {"mqtt": output}, lambda name: tmp_path / name, lambda: cameras) as service:
            identity = service.queues.identity()
            service.offer(record("a", crop="c.jpg"), record("a", 2))
            wait_until(lambda: service.waiting == 0)
            topic = f"homeassistant/device/edge_lpr_{identity}_gate/config"
            with Listener(started.port) as listener:
                wait_until(lambda: listener.heard["edge-lpr/status"] == [b"online"])  # the last that is told
            with Listener(started.port) as listener:
                wait_until(lambda: {topic, topic.replace("gate", "yard")} <= set(listener.heard))
                wait_until(lambda: "edge-lpr/cameras/gate/last" in listener.heard)
                assert {topic, "edge-lpr/cameras/gate/last", "edge-lpr/crops/gate"} <= listener.retained
                payload = json.loads(listener.heard[topic][0])
                last = json.loads(listener.heard["edge-lpr/cameras/gate/last"][0])
                assert last["revision"] == 2
                # A camera that is taken out leaves nothing behind.
                del cameras["yard"]
                wait_until(lambda: listener.heard[topic.replace("gate", "yard")][-1] == b"")
                wait_until(lambda: listener.heard["edge-lpr/cameras/yard/status"][-1] == b"")
    # What Home Assistant's documentation of device discovery requires.
    assert payload["device"]["identifiers"] == [f"edge_lpr_{identity}_gate"]
    assert payload["origin"]["name"] == "edge-lpr"
    components = payload["components"]
    assert sorted(one["platform"] for one in components.values()) == [
        *("binary_sensor", "event", "image", "sensor")
    ]
    assert len({one["unique_id"] for one in components.values()}) == 4
    for one in components.values():
        assert one["availability"][0] == {"topic": "edge-lpr/status"}
        for key in ("state_topic", "json_attributes_topic", "image_topic"):
            assert one.get(key, "edge-lpr/cameras/gate/last") in {
                *("edge-lpr/cameras/gate/last", "edge-lpr/cameras/gate/status"),
                *("edge-lpr/events/gate", "edge-lpr/crops/gate"),
            }
    by_platform = {one["platform"]: one for one in components.values()}

    def rendered(platform: str) -> str:
        template = jinja2.Environment().from_string(by_platform[platform]["value_template"])
        return str(template.render(value_json=last))

    assert rendered("sensor") == "粤B12345"
    event = json.loads(rendered("event"))
    assert event["event_type"] == "update"
    assert event["event_type"] in by_platform["event"]["event_types"]
    assert event["text"] == "粤B12345"


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("limit", ["max_packet_size", "message_size_limit"])
def test_a_crop_that_the_broker_does_not_take_holds_up_no_event(
    tmp_path: Path, version: str, limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8" + bytes(20_000))
    with broker(tmp_path, "allow_anonymous true", f"{limit} 4000") as started:
        output = settings(started.port, version=version, pictures=True)
        with (
            Listener(started.port) as listener,
            Service(tmp_path, {"mqtt": output}, lambda name: tmp_path / name) as service,
        ):
            for number in range(3):
                service.offer(record(f"passage-{number}", crop="c.jpg"))
            wait_until(lambda: service.waiting == 0)
            bodies = listener.heard["edge-lpr/events/gate"]
            wait_until(
                lambda: {json.loads(body)["id"] for body in bodies} >= {f"passage-{n}" for n in range(3)}
            )
            assert "edge-lpr/crops/gate" not in listener.heard
    if limit == "max_packet_size":
        said = "takes packets of 4000 bytes at most" if version == "5" else "ends the connection at crops of"
        assert said in caplog.text


def test_an_older_passage_is_not_the_last_one(tmp_path: Path) -> None:
    with broker(tmp_path) as started:
        output = settings(started.port, discovery="homeassistant")
        ahead = record("ahead", first_utc="2096-11-27T03:00:00.000Z")  # the clock was set right after it
        with Service(tmp_path, {"mqtt": output}) as service:
            service.offer(ahead, record("new"), record("old", first_utc="2026-11-27T02:00:00.000Z"))
            wait_until(lambda: service.waiting == 0)
        with Listener(started.port) as listener:
            wait_until(lambda: "edge-lpr/cameras/gate/last" in listener.heard)
            assert json.loads(listener.heard["edge-lpr/cameras/gate/last"][0])["id"] == "new"


def users(folder: Path, *lines: str) -> list[str]:
    """A broker's lines that let one user in, who may only do what is said."""
    passwords = folder / "passwords"
    passwords.write_text("gate:geheim77\n", encoding="utf-8")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    (folder / "acl").write_text("user gate\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return ["allow_anonymous false", f"password_file {passwords}", f"acl_file {folder}/acl"]


def needs_passwords() -> None:
    try:
        subprocess.run(["mosquitto_passwd"], check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs mosquitto_passwd (Debian: apt-get install mosquitto)")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_wrong_password_is_said_and_not_shown(
    tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    needs_passwords()
    with broker(tmp_path, *users(tmp_path, "topic readwrite #")) as started:
        wrong = settings(started.port, version=version, user="gate", password="falsch7788")
        with (
            caplog.at_level(logging.DEBUG),
            Service(tmp_path, {"mqtt": wrong}) as service,
        ):
            service.offer(record())
            wait_until(lambda: "refuses: " in service.queues.counts()["mqtt"].failing)
        right = settings(started.port, version=version, user="gate", password="geheim77")
        with Service(tmp_path, {"mqtt": right}) as service:
            wait_until(lambda: service.waiting == 0)
    assert "Not authorized" in caplog.text
    assert "falsch7788" not in caplog.text


def test_a_topic_that_one_may_not_write_loses_nothing(tmp_path: Path) -> None:
    needs_passwords()
    with broker(tmp_path, *users(tmp_path, "topic readwrite edge-lpr/status")) as started:
        output = settings(started.port, user="gate", password="geheim77")
        with Service(tmp_path, {"mqtt": output}) as service:
            service.offer(record())
            wait_until(lambda: "does not take messages" in service.queues.counts()["mqtt"].failing)
            assert service.waiting == 1
            assert "edge-lpr/events/gate: Not authorized" in service.queues.counts()["mqtt"].failing


def test_a_broker_that_takes_events_alone_gets_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    needs_passwords()
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8crop")
    with broker(tmp_path, *users(tmp_path, "topic readwrite edge-lpr/events/#")) as started:
        output = settings(
            started.port, user="gate", password="geheim77", pictures=True, discovery="homeassistant"
        )
        there = {"gate": True, "yard": False}
        with (
            caplog.at_level(logging.WARNING, "edge_lpr"),
            Service(tmp_path, {"mqtt": output}, lambda name: tmp_path / name, lambda: there) as service,
        ):
            service.offer(*(record(f"a{number}", crop="c.jpg") for number in range(5)))
            wait_until(lambda: service.waiting == 0)
            wait_until(lambda: "does not take messages in edge-lpr/status: Not authorized" in caplog.text)
            there["gate"] = False
            service.offer(record("b"))
            wait_until(lambda: service.waiting == 0)
            assert service.queues.counts()["mqtt"].delivered == 6
    assert "does not take messages in edge-lpr/cameras/gate/status: Not authorized" in caplog.text


# The library leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_only_the_right_broker_is_told(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason=reason("cryptography", "sign"))
    certificate, key = make_certificate(tmp_path)
    lines = [f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true"]
    with broker(tmp_path, *lines) as started:
        with Service(tmp_path, {"mqtt": settings(started.port, tls=True)}) as service:
            service.offer(record())
            wait_until(lambda: "certificate" in service.queues.counts()["mqtt"].failing)
            assert service.waiting == 1
        for trust in ({"ca": certificate.name}, {"any_certificate": True}):
            with Service(tmp_path, {"mqtt": settings(started.port, tls=True, **trust)}) as service:
                service.offer(record(str(trust)))
                wait_until(lambda service=service: service.waiting == 0)  # type: ignore[misc]


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    with Service(tmp_path, {}) as service:
        broken = settings(1883, tls=True, ca="none.pem")
        with pytest.raises(InputError, match=r"outputs\.mqtt: .*none\.pem: .*; expected PEM files"):
            make_sender("mqtt", broken, service.context)


def test_who_is_told_under_which_name(tmp_path: Path) -> None:
    with Service(tmp_path, {}) as service:
        first = service.queues.identity()
    with Service(tmp_path, {}) as service:
        assert service.queues.identity() == first
    assert len(first) == 12
