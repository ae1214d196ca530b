"""The service's log: for people or for collectors, without secrets, and without floods."""

from __future__ import annotations

import json
import logging

import pytest

from edge_lpr.masking import remember_secret
from edge_lpr.serve.logs import Flood, service_log

LOGGER = logging.getLogger("edge_lpr")


def test_lines_for_people_have_time_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secret("hunter22")
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)  # a server of another test may have set it
    with service_log("text", logging.INFO):
        LOGGER.warning("gate: it is %s", "hunter22")
        LOGGER.debug("not told")
        logging.getLogger("uvicorn.error").warning("of a library")
        logging.getLogger("uvicorn.error").info("not told either")
    LOGGER.warning("after it")
    lines = capsys.readouterr().err.splitlines()
    assert [line[25:] for line in lines] == ["warning gate: it is ***", "warning of a library"], "each once"
    assert lines[0][:20].count("-") == 2 and lines[0][23] == "Z"
    assert not any("not told" in line for line in lines)


def test_lines_for_collectors_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secret("hunter22")
    with service_log("json", logging.INFO):
        LOGGER.error("门: hunter22\n\x1b[2J", extra={"camera": "gate"})
        try:
            int("hunter22")
        except ValueError:
            LOGGER.exception("failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["camera"] == "gate" and first["level"] == "error" and first["message"].startswith("门: ***")
    assert "\x1b" not in first["message"] and "hunter22" not in json.dumps([first, second])
    assert "ValueError" in second["message"] and second["time"].endswith("Z")


def test_a_camera_that_fails_again_and_again_fills_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    flood = Flood(most=3, seconds=10, clock=lambda: now[0])

    def passes(text: str, camera: str = "") -> str | None:
        record = logging.LogRecord("edge_lpr", logging.ERROR, "", 0, text, (), None)
        if camera:
            record.camera = camera
        return record.getMessage() if flood.filter(record) else None

    assert [passes("gate: failed") for _ in range(5)] == ["gate: failed"] * 3 + [None] * 2
    assert passes("yard: failed") == "yard: failed" and passes("anything", "gate") is None
    now[0] = 11.0
    assert passes("gate: failed") == "gate: failed (3 lines before it left out)"
    assert passes("gate: failed") == "gate: failed"


def test_a_log_that_nobody_reads_any_more_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*parts: object, stream: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("edge_lpr.serve.logs.say", gone)
    with service_log("text", logging.INFO):
        LOGGER.warning("gate: failed")
