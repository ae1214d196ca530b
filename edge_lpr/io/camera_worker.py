"""The process that opens and decodes one live source; `CameraProcess` starts it.

It reads one JSON object from standard input, what to open, and then a line with the number of each slot that
is free again. It writes JSON lines, each with what has happened as its only key: "begun"; "refused" or
"opened"; "frame" and "alive" as frames pass; "ended". Once its standard input ends, nobody needs it any more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any, TextIO, cast

from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import Decoded, Decoder
from edge_lpr.io.frame_slots import SlotWriter
from edge_lpr.io.image_header import BYTES_PER_PIXEL
from edge_lpr.io.live_decoder import live_decoder
from edge_lpr.io.targets import Target
from edge_lpr.masking import MaskedStream, remember

__all__ = ["main"]

_ALIVE_SECONDS = 0.5  # frames that are not handed over are told of so often


def main(memory: str) -> None:
    """Runs the process; does not return.

    Args:
        memory: `SlotReader.name`.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the process that started this one decides when it is over
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Libraries print to standard output, NVIDIA's decoders for one.
    out = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline() or "null")
    if asked is None:
        os._exit(0)
    remember(asked["target"]["address"])
    if sys.stderr is not None:
        sys.stderr = cast(TextIO, MaskedStream(sys.stderr))
    slots = SlotWriter(memory, BYTES_PER_PIXEL * asked["options"]["max_pixels"])
    threading.Thread(target=_listen, args=(slots,), daemon=True).start()
    worker = _Worker(out, slots)
    try:
        reason = worker.run(asked)
    except EdgeLprError as e:
        reason = str(e).removeprefix(f"{asked['target']['label']}: ")
    except Exception as e:  # whatever it is, the source is lost and can be opened again
        reason = f"decoding failed ({one_line(e, 120, named=True)})"
    worker.end(reason)
    # Not by way of the interpreter's end: freeing a capture can take as long as its network does.
    os._exit(0)


class _Worker:
    """Opens, decodes and hands over."""

    def __init__(self, out: TextIO, slots: SlotWriter) -> None:
        self._out = out
        self._slots = slots
        self._decoder: Decoder | None = None
        self._left_out = 0
        self._told_at = 0.0

    def run(self, asked: dict[str, Any]) -> str:
        """Does all of it; returns why it has ended, "" for the end of a video."""
        self._tell("begun", True)
        options = CaptureOptions(**asked["options"])
        began = time.monotonic()
        decoder = self._decoder = live_decoder(Target(**asked["target"]), options, asked["live"])
        if decoder is None:
            # Measured here: who hears of it may have been late to hear that it has begun.
            self._tell("refused", {"seconds": time.monotonic() - began})
            return "refused"
        known = {"live": decoder.live, "fps": decoder.fps, "total": decoder.total, "pause": decoder.pause}
        self._tell("opened", known)
        for decoded in decoder.frames(self._go_on):
            self._hand_over(decoded, decoder)
        return "" if not decoder.live else "no more frames"

    def end(self, reason: str) -> None:
        """Says that it is over, and why."""
        ended: dict[str, Any] = {"reason": reason}
        if (decoder := self._decoder) is not None:
            early = not decoder.live and decoder.ends_early()
            ended.update(self._counts(decoder), promised=decoder.promised, early=early, done=decoder.done)
        self._tell("ended", ended)

    def _hand_over(self, decoded: Decoded, decoder: Decoder) -> None:
        now, wall = time.monotonic(), time.time()
        # A file is given in full; of a camera, what nobody takes in time is passed over.
        slot = self._slots.write(decoded.image, None if decoder.live else self._go_on)
        if slot is None:
            self._left_out += 1
            return
        height, width = decoded.image.shape[:2]
        self._tell(
            "frame",
            {
                "slot": slot,
                "slot_bytes": self._slots.slot_bytes,
                "height": height,
                "width": width,
                "index": decoded.index,
                "seconds": decoded.seconds,
                "now": now,
                "wall": wall,
                **self._counts(decoder),
            },
        )

    def _counts(self, decoder: Decoder) -> dict[str, int]:
        return {"received": decoder.received, "skipped": decoder.skipped, "left_out": self._left_out}

    def _go_on(self) -> bool:
        if self._decoder is not None and time.monotonic() - self._told_at > _ALIVE_SECONDS:
            self._tell("alive", self._counts(self._decoder))
        return True

    def _tell(self, what: str, value: object) -> None:
        self._told_at = time.monotonic()
        try:
            self._out.write(json.dumps({what: value}) + "\n")
        except OSError:  # whoever started this process is gone
            os._exit(0)


def _listen(slots: SlotWriter) -> None:
    """Takes slots back, until whoever started this process is gone."""
    for line in sys.stdin:
        slots.free(int(line))
    os._exit(0)
