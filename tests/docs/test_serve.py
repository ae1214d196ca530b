"""docs/serve.md: its configurations are taken, its payloads are what is sent, its tables what there is."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.passages import RECORD, match

pytest.importorskip("httpx", reason=reason("httpx", "serve"))
pytest.importorskip("prometheus_client", reason=reason("prometheus_client", "serve"))
pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))
pytest.importorskip("starlette", reason=reason("starlette", "serve"))

from helpers.page import Service

from edge_lpr.serve.config import load_config
from edge_lpr.serve.data_folder import DataFolder
from edge_lpr.serve.delivery.command import VARIABLES
from edge_lpr.serve.delivery.topics import Topics
from edge_lpr.serve.delivery.webhook import signature
from edge_lpr.serve.matching import LOOKALIKES

TEXT = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def blocks(mark: str) -> list[str]:
    found = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return [str(block) for block in found]


def test_what_all_outputs_send_is_what_the_page_shows() -> None:
    (shown,) = map(json.loads, blocks("event"))
    record = replace(
        RECORD,
        id=shown["id"],
        matches=(match(),),
        site="yard",
        role="entry",
        crop=f"2026-11-27/{shown['id']}-crop.jpg",
        frame=f"2026-11-27/{shown['id']}-frame.jpg",
    )
    assert shown == json.loads(json.dumps(record.to_dict()))
    assert list(shown) == list(record.to_dict())
    rows = TEXT.partition("| field | what it is |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in rows.splitlines()[2:]))) == {
        *shown
    } - {"camera", "state", "site", "role"}


@pytest.mark.parametrize("text", blocks("config"))
def test_configurations_are_taken(tmp_path: Path, text: str) -> None:
    if "[cameras." not in text:
        text += '[cameras.gate]\nsource = "rtsp://10.0.0.5/1"\n'
    text = text.replace("/usr/local/bin/light", sys.executable).replace("/var/lib/edge-lpr", str(tmp_path))
    (tmp_path / "staff.csv").write_text("plate,name,until\n粤B12345,An,\n", encoding="utf-8")
    (tmp_path / "cameras.toml").write_text(text, encoding="utf-8")
    names = ("GATE_PASSWORD", "BARRIER_SECRET", "MQTT_PASSWORD")
    config = load_config(tmp_path / "cameras.toml", dict.fromkeys(names, "correct horse"))
    assert config.settings.outputs


def test_a_receiver_that_checks_as_the_page_says_takes_what_is_signed() -> None:
    (code,) = blocks("signature")
    known: dict[str, Any] = {}
    exec(code, known)
    is_ours, now = known["is_ours"], int(known["time"].time())
    header = signature("a secret", b"body", now)
    assert is_ours(header, b"body", "a secret")
    assert not is_ours(header, b"other", "a secret")
    assert not is_ours(header, b"body", "another")
    assert not is_ours(signature("a secret", b"body", now - 1000), b"body", "a secret")


def test_figures_are_those_of_metrics(tmp_path: Path) -> None:
    text = Service(tmp_path).context.metrics()[0].decode()
    told = re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE)
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", TEXT.partition("<!-- metrics -->")[2], re.MULTILINE
    )
    assert rows[: len(told)] == told


def test_topics_variables_look_alikes_and_files(tmp_path: Path) -> None:
    topics = Topics("edge-lpr")
    for topic in (
        *(topics.status, topics.events("CAMERA"), topics.crop("CAMERA")),
        *(topics.camera_status("CAMERA"), topics.last("CAMERA")),
    ):
        assert f"| `{topic}` |" in TEXT
    extra = {"EDGE_LPR_NAME", "EDGE_LPR_LIST", "EDGE_LPR_CROP", "EDGE_LPR_FRAME"}
    assert set(re.findall(r"`(EDGE_LPR_[A-Z_]+)`", TEXT)) == {*VARIABLES, *extra}
    assert f"`lookalikes`: {', '.join(' '.join(group) for group in LOOKALIKES)}" in TEXT
    data = DataFolder(tmp_path / "data")
    for path in (data.database, data.pictures):
        assert re.search(rf"`{path.name}[`/]", TEXT)
    data.close()
