"""Memory, threads and file descriptors of a run over many frames and many reconnections.

    python -m edge_lpr.benchmarks.soak samples/street.mp4 --frames 30000 --reconnects 200
    python -m edge_lpr.benchmarks.soak --address rtsp://camera/1 --frames 100000

Frames come from an RTSP server in a process of its own, which breaks off as often as it is asked to, or from
a camera. What is looked at is the process that reads, and that of the decoder beside it: from the first tenth
of the frames on, none of the figures may grow.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.progress import Progress
from edge_lpr.environment import machine, memory
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import read_live
from edge_lpr.pipeline.stream import Stream
from edge_lpr.types import Tick

__all__ = ["Sample", "soak"]

_STEP = 50  # frames read from one look to the next


@dataclass(frozen=True)
class Sample:
    """The process at one moment.

    Attributes:
        frames: Frames received so far.
        losses: How often the source had been lost.
        memory: Resident memory, in bytes.
        decoder_memory: That of the process that decodes.
        threads: Threads, of libraries too.
        descriptors: Open file descriptors.
    """

    frames: int
    losses: int
    memory: int
    decoder_memory: int
    threads: int
    descriptors: int


def soak(reader: PlateReader, address: str, frames: int, reconnects: int, report: Tick) -> dict[str, Any]:
    """Reads a camera for so long.

    Args:
        reader: Reads.
        address: The camera.
        frames: Frames to receive at least.
        reconnects: Losses to get over at least.
        report: Called with the number of frames received since the last call.

    Returns:
        What was measured, ready for JSON: `first` (after a tenth of the frames), `last`, and the `most` of
        each figure, with the counts of frames, losses and vehicles.

    Raises:
        SourceError: The camera is gone for good.
    """
    began, read, vehicles, told = time.monotonic(), 0, 0, 0
    samples: list[Sample] = []
    due = False
    options = CaptureOptions(timeout=10, max_pause=0.2, reconnect=60)
    with open_source(address, options, lambda line: None) as source:
        assert isinstance(source, LiveSource)
        for result in read_live([Stream(reader, source)]):
            vehicles += sum(event.state == "end" for event in result.events)
            if result.frame is None:
                continue
            read += 1
            if read % _STEP == 1:
                due = True
                report(source.received - told)
                told = source.received
            if due and (sample := _look(source)) is not None:
                samples.append(sample)
                due = False
            if samples and source.received >= frames and source.losses >= reconnects:
                break
        if source.state == "source lost":
            raise SourceError(f"{source.label}: gone after {source.received} frames")
        if (sample := _look(source)) is not None:
            samples.append(sample)
        received, dropped, losses = source.received, source.dropped, source.losses
    # The first is that of the first frame read, after which libraries go on to take what they need.
    settled = [sample for sample in samples[1:] if sample.frames >= frames / 10] or samples[-1:]
    return {
        "seconds": round(time.monotonic() - began, 1),
        "frames_received": received,
        "frames_read": read,
        "frames_dropped": dropped,
        "losses": losses,
        "vehicles": vehicles,
        "first": asdict(settled[0]),
        "last": asdict(settled[-1]),
        "most": {name: max(getattr(sample, name) for sample in settled) for name in asdict(settled[0])},
    }


def _look(source: LiveSource) -> Sample | None:
    """Looks at the process; None where a decoder is being started, which has more open for a moment."""
    process, decoder = Path("/proc/self"), source.decoder
    lines = (process / "status").read_text(encoding="utf-8").splitlines()
    threads = next(int(line.split()[1]) for line in lines if line.startswith("Threads"))
    sample = Sample(
        source.received,
        source.losses,
        memory() or 0,
        (memory(decoder) or 0) if decoder is not None else 0,
        threads,
        len(list((process / "fd").iterdir())),
    )
    return sample if source.state == "open" and source.decoder == decoder else None


@contextmanager
def _served(video: str, fps: float, drop_after: int | None) -> Iterator[str]:
    """Plays a video in a process of its own; gives its address."""
    command = [sys.executable, "-m", "edge_lpr.benchmarks.rtsp_server", video, "--fps", str(fps)]
    if drop_after is not None:
        command += ["--drop-after", str(drop_after)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        try:
            address = server.stdout.readline().strip()
            if not address:
                raise SourceError(f"{video}: cannot be played")
            yield address
        finally:
            server.stdin.close()
            server.wait(120)


@module_main("benchmarks.soak")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.soak", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("video", nargs="?", help="what the server plays")
    parser.add_argument("--address", help="a camera, in place of the server")
    parser.add_argument("--frames", type=int, default=5000, help="frames to receive (default 5000)")
    parser.add_argument("--reconnects", type=int, default=20, help="times the camera is lost (default 20)")
    parser.add_argument("--fps", type=float, default=100, help="frames a second that it plays (default 100)")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime (default 2)")
    parser.add_argument("--json", metavar="FILE", help="write the figures into a file too")
    args = parser.parse_args(argv)
    if (args.video is None) == (args.address is None):
        raise SettingError("give a video to play, or --address, and not both")
    if not Path("/proc/self/fd").is_dir():
        raise SettingError("reads /proc, which this system does not have; run it on Linux")
    check_outputs([("--json", args.json)], [("VIDEO", args.video)])
    found: dict[str, Any] = {"machine": machine()}
    with PlateReader(backend="onnxruntime", threads=args.threads) as reader:
        found["reader"] = reader.description
        with Progress("soak", args.frames, "frames") as progress:
            if args.address is not None:
                found.update(soak(reader, args.address, args.frames, 0, progress.update))
            else:
                drop_after = max(args.frames // args.reconnects, 1) if args.reconnects else None
                with _served(args.video, args.fps, drop_after) as address:
                    found.update(soak(reader, address, args.frames, args.reconnects, progress.update))
    write_json("-", found)
    if args.json:
        write_json(args.json, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
