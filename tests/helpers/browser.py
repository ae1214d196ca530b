"""A real browser: Chromium without a window, driven over a pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers.waiting import LONG

__all__ = ["CHROMIUM", "Browser"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The program; None where there is none."""


_LEFT = (
    "Inspected target navigated or closed",
    "Execution context was destroyed.",
    "Cannot find default execution context",
)


class _PageLeftError(AssertionError):
    """The page was left while a script ran in it: nothing is known of the one that follows."""


_KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46}


class Browser:
    """One page of a browser.

    Args:
        profile: A folder for what it keeps.

    Attributes:
        said: What the page wrote to the console, and what it was refused: nothing, of a good one.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self.said: list[str] = []
        self._numbers = itertools.count(1)
        self._rest = b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # It reads descriptor 3 and writes 4; as Python hands on numbers as they are, another puts them there.
        launch = (
            "import fcntl, os, sys; "
            "a, b = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]); "
            "os.dup2(a, 3); os.dup2(b, 4); os.execv(sys.argv[3], sys.argv[3:])"
        )
        command = [
            *(sys.executable, "-c", launch, str(theirs_in), str(theirs_out), CHROMIUM),
            *(
                "--headless",
                "--no-sandbox",
                "--hide-scrollbars",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", "about:blank"),
        ]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for name in ("Page", "Runtime", "Log"):
            self.call(f"{name}.enable")

    def close(self) -> None:
        """Ends it."""
        self._session = ""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._read()
            if found.get("id") == number:
                if found.get("error", {}).get("message") in _LEFT:
                    raise _PageLeftError(f"{method}: {found['error']}")
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])

    def look(self, width: int, height: int = 900, scheme: str = "light") -> None:
        """Sets the window's size and the system's colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        """Opens a page and waits until all of it is there."""
        self.wait("window.before = true")
        self.call("Page.navigate", url=address)
        self.wait("!window.before && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Runs an expression in the page and returns its value."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Waits until an expression is true, of this page or one that it leads to."""

        def holds() -> bool:
            with suppress(_PageLeftError):
                return bool(self.run(f"Boolean({script})"))
            return False

        until = time.monotonic() + LONG
        while not holds():
            assert time.monotonic() < until, script
            time.sleep(0.05)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Presses a key where the focus is; of the modifiers 8 is Shift."""
        number = _KEYS[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=number,
                modifiers=modifiers,
            )

    def enter(self) -> None:
        """Presses the key that sends a form."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                text="\r",
                windowsVirtualKeyCode=_KEYS["Enter"],
            )

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Writes what it shows as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + LONG
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self._in, 1 << 20) if ready else b""
            assert data, "the browser has ended, or does not answer"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.said.append(str(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.said.append(f"{about['type']}: {[one.get('value') for one in about['args']]}")
        elif method == "Log.entryAdded" and about["entry"]["level"] != "verbose":  # advice
            self.said.append(f"{about['entry']['level']}: {about['entry']['text']}")
