"""Events as calls of a program, without a shell: nothing in an event becomes a part of a command line.

The event stands on the program's standard input as JSON, and in variables. It has its time, after which it is
ended with all that it started; what it prints is bounded, and stands in the log where it fails.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO

from edge_lpr.errors import one_line
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.sender import DeliveryContext, Sender
from edge_lpr.serve.output_settings import CommandSettings

__all__ = ["VARIABLES", "CommandSender"]

VARIABLES = {
    "EDGE_LPR_ID": "id",
    "EDGE_LPR_REVISION": "revision",
    "EDGE_LPR_STATE": "state",
    "EDGE_LPR_CAMERA": "camera",
    "EDGE_LPR_TEXT": "text",
    "EDGE_LPR_KIND": "kind",
    "EDGE_LPR_SCORE": "score",
    "EDGE_LPR_DIRECTION": "direction",
    "EDGE_LPR_ACTION": "action",
    "EDGE_LPR_FIRST_UTC": "first_utc",
    "EDGE_LPR_LAST_UTC": "last_utc",
}
"""What a program finds in its environment, and the field of the record that it is; EDGE_LPR_NAME and
EDGE_LPR_LIST are those of the list that counts; EDGE_LPR_CROP and EDGE_LPR_FRAME paths of pictures."""
# The service's own variables hold passwords of cameras.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")
_SHOWN = 500  # characters of what it printed
_OUTPUT = 64 << 10  # bytes of it that are kept in memory


class CommandSender(Sender):
    """Calls a program for each event: exit code 0 is delivered, any other is tried again.

    Args:
        settings: The output's settings.
        context: The service; the program runs in its folder of the configuration.
    """

    def __init__(self, settings: CommandSettings, context: DeliveryContext) -> None:
        self._settings = settings
        self._context = context
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, item: Item) -> None:
        """Calls the program and waits for its end; see `Sender.send`."""
        name = self._settings.command[0]
        with tempfile.TemporaryFile() as event:
            event.write(item.body.encode() + b"\n")
            event.seek(0)
            try:
                process = subprocess.Popen(
                    self._settings.command,
                    stdin=event,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=self._context.folder,
                    env=self._environment(item),
                    start_new_session=True,
                )
            except (OSError, ValueError) as e:
                raise DeliveryError(f"{name} cannot be started: {one_line(e, 120)}") from e
        self._process = process
        try:
            assert process.stdout is not None
            said, in_time = _watch(process, process.stdout, time.monotonic() + self._settings.timeout)
        finally:
            self._process = None
            _end(process)
        shown = " ".join(said.decode("utf-8", "replace").split())[:_SHOWN]
        if not in_time:
            reason = f"{name} was not done within {self._settings.timeout:g} s and was ended"
        elif process.returncode:
            code = process.returncode
            reason = f"{name} ended with exit code {code}" if code > 0 else f"{name} ended by signal {-code}"
        else:
            return
        raise DeliveryError(reason + (f": {shown}" if shown else ""), whole=False)

    def cut(self) -> None:
        """Ends the program and what it started, as after its time; see `Sender.cut`."""
        if (process := self._process) is not None:
            _kill(process)

    def _environment(self, item: Item) -> dict[str, str]:
        record = item.record
        values = {name: str(record[field]) for name, field in VARIABLES.items()}
        first = record["matches"][0] if record["matches"] else {"name": "", "list": ""}
        values |= {"EDGE_LPR_NAME": first["name"], "EDGE_LPR_LIST": first["list"]}
        for name in ("crop", "frame"):
            path = self._context.picture(record[name]) if record[name] else None
            values[f"EDGE_LPR_{name.upper()}"] = "" if path is None else str(path.absolute())
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {name: value.replace("\0", "") for name, value in values.items()}


def _watch(process: subprocess.Popen[bytes], output: IO[bytes], until: float) -> tuple[bytes, bool]:
    """Reads what a program prints until it ends; returns the beginning of it, and whether it was in time."""
    said = b""
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            # Who holds the output open is no reason to wait once the program itself has ended.
            ended = _has_ended(process)
            if selector.get_map() and selector.select(0 if ended else min(left, 0.05)):
                chunk = output.read(1 << 16)
                if chunk:
                    said = (said + chunk)[:_OUTPUT]
                    continue
                if chunk == b"":
                    selector.unregister(output)
            elif ended:
                return said, True
            elif not selector.get_map():
                time.sleep(min(left, 0.01))
    return said, _has_ended(process)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a program has ended; it stays to be waited for, so that no other gets its number meanwhile."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and what it started in its group."""
    _kill(process)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
