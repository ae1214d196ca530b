"""Events as calls of a program."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.passages import match, record
from helpers.waiting import LONG, wait_until

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from helpers.deliveries import Service

from edge_lpr.serve.delivery.command import CommandSender
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext
from edge_lpr.serve.output_settings import CommandSettings

TEXT = "粤B1234; rm -rf $HOME `id` \"'"
ITEM = Item(
    1, "run", "a", 2, json.dumps(record("a", 2, text=TEXT, matches=(match(),), crop="c.jpg").to_dict()), 0.0
)


def run(folder: Path, code: str, *arguments: str, **changes: Any) -> None:
    settings = CommandSettings(
        **{"type": "command", "command": [sys.executable, "-c", code, *arguments], "timeout": 60, **changes}
    )
    CommandSender(settings, DeliveryContext(None, folder, lambda name: folder / name)).send(ITEM)  # type: ignore[arg-type]


def test_a_program_has_the_event_and_no_shell_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "abcdefgh")
    code = (
        "import json, os, sys; from pathlib import Path; "
        "Path('said.json').write_text(json.dumps([sys.stdin.read(), dict(os.environ), sys.argv[1:]]))"
    )
    run(tmp_path, code, "$HOME", "a b")
    stdin, variables, arguments = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))
    assert json.loads(stdin) == ITEM.record
    assert arguments == ["$HOME", "a b"]
    told = {name: value for name, value in variables.items() if name.startswith("EDGE_LPR_")}
    assert told == {
        "EDGE_LPR_ID": "a",
        "EDGE_LPR_REVISION": "2",
        "EDGE_LPR_STATE": "update",
        "EDGE_LPR_CAMERA": "gate",
        "EDGE_LPR_TEXT": TEXT,
        "EDGE_LPR_KIND": "blue",
        "EDGE_LPR_SCORE": "0.99",
        "EDGE_LPR_DIRECTION": "in",
        "EDGE_LPR_ACTION": "allow",
        "EDGE_LPR_FIRST_UTC": "2026-11-27T03:00:00.000Z",
        "EDGE_LPR_LAST_UTC": "2026-11-27T03:00:01.000Z",
        "EDGE_LPR_NAME": "An",
        "EDGE_LPR_LIST": "staff",
        "EDGE_LPR_CROP": str(tmp_path / "c.jpg"),
        "EDGE_LPR_FRAME": "",
    }
    assert variables["PATH"] == os.environ["PATH"]
    assert "CAMERA_PASSWORD" not in variables


def test_what_it_says_when_it_fails_is_told(tmp_path: Path) -> None:
    code = "import sys; print('no such gate', file=sys.stderr); sys.exit(3)"
    with pytest.raises(DeliveryError) as error:
        run(tmp_path, code)
    assert error.value.reason == f"{sys.executable} ended with exit code 3: no such gate"
    assert not error.value.whole
    with pytest.raises(DeliveryError, match="ended by signal 9"):
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    # A shell, as that is there at once on a busy machine too.
    shell = ["sh", "-c", "sleep 1000 & echo $! > child; echo waiting; wait"]
    began = time.monotonic()
    with pytest.raises(DeliveryError) as error:
        run(tmp_path, "", command=shell, timeout=3)
    assert time.monotonic() - began < LONG
    assert error.value.reason == "sh was not done within 3 s and was ended: waiting"
    child = int((tmp_path / "child").read_text(encoding="utf-8"))

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text(encoding="utf-8").split(") ")[1].startswith("Z")
        except FileNotFoundError:
            return True

    wait_until(gone)


def test_one_that_goes_on_as_the_service_ends_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = "echo $$ > pid; sleep 600 & echo $! >> pid; wait"
    output = CommandSettings(type="command", command=["sh", "-c", code], timeout=600)
    service = Service(tmp_path, {"run": output})
    service.deliveries.start(service.outputs)
    service.offer(record("a"))
    pids = tmp_path / "pid"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    assert not service.deliveries.stop(0.1, 0.1)
    wait_until(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))
    assert service.waiting == 1


def is_running(pid: int) -> bool:
    """Whether a process does anything still; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_one_that_ends_is_not_waited_for_because_of_what_it_leaves_behind(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])"
    began = time.monotonic()
    run(tmp_path, code, timeout=2 * LONG)
    assert time.monotonic() - began < LONG


def test_output_without_end_fills_neither_memory_nor_log(tmp_path: Path) -> None:
    code = "import os, sys\nfor _ in range(64): os.write(1, b'x' * (1 << 20))\nsys.exit(1)"
    with pytest.raises(DeliveryError) as error:
        run(tmp_path, code)
    assert "exit code 1: xxx" in error.value.reason
    assert len(error.value.reason) < 1000


def test_one_that_reads_nothing_is_no_trouble(tmp_path: Path) -> None:
    run(tmp_path, "import os; os.close(0)")


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="no-such-program cannot be started: ") as error:
        run(tmp_path, "", command=["no-such-program"])
    assert error.value.whole
