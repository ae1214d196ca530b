"""A real RTSP server, GStreamer's, that sends an H.264 video over and over, as a camera does.

    python3 tests/helpers/rtsp_server.py VIDEO FPS NAME [NAME …]

Run by the system's Python, which has GStreamer's bindings; `Rtsp` starts it from a test. It prints its port,
then each line of standard input that it has heeded: "drop NAME" cuts all off, "gone NAME" answers nobody who
asks for that any more, "back NAME" does again. It ends with its standard input.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType

__all__ = ["Rtsp", "as_h264", "missing"]

FPS = 25
_PYTHON = "/usr/bin/python3"
_CHECK = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
raise SystemExit(any(Gst.ElementFactory.find(n) is None for n in ("multifilesrc", "h264parse", "rtph264pay")))
"""


def missing() -> str:
    """Says what a real RTSP server lacks here; "" where it can run."""
    try:
        done = subprocess.run([_PYTHON, "-c", _CHECK], capture_output=True, check=False)
    except OSError:
        return f"needs {_PYTHON}"
    packages = "gir1.2-gst-rtsp-server-1.0, python3-gi and GStreamer's good and bad plugins"
    return "" if done.returncode == 0 else f"needs Debian's {packages}"


def as_h264(video: Path, out: Path) -> Path:
    """Writes a video as bare H.264, as cameras send it."""
    import av

    with av.open(str(video)) as source, av.open(str(out), "w", format="h264") as target:
        shown = source.streams.video[0]
        rate = Fraction(shown.average_rate or FPS)
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        stream = target.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = shown.width, shown.height, "yuv420p"
        stream.codec_context.gop_size = 12
        for number, frame in enumerate(source.decode(shown)):
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out


class Rtsp:
    """The server, in a process of its own; a context manager.

    Args:
        video: What `as_h264` wrote.
        names: What it is served as.
        fps: Frames a second.
    """

    def __init__(self, video: Path, *names: str, fps: int = FPS) -> None:
        command = [_PYTHON, __file__, str(video), str(fps), *names]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:  # what it said is on standard error; nobody else ends what was never entered
            self._process.kill()
            self._process.communicate()
        assert line, "the RTSP server has ended"
        self.port = int(line)

    def __enter__(self) -> Rtsp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def address(self, name: str) -> str:
        """Where a camera is."""
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def tell(self, what: str, name: str) -> None:
        """Has it do something; returns once it is done."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{what} {name}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{what} {name}\n"


def _serve(video: str, fps: int, names: list[str]) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    points = server.get_mount_points()

    def add(name: str) -> None:
        factory = GstRtspServer.RTSPMediaFactory()
        caps = f"video/x-h264,stream-format=byte-stream,framerate={fps}/1"
        factory.set_launch(
            f'( multifilesrc location="{video}" loop=true caps="{caps}" ! h264parse ! '
            "rtph264pay name=pay0 pt=96 config-interval=1 )"
        )
        points.add_factory(f"/{name}", factory)

    for name in names:
        add(name)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()

    def heed(line: str) -> bool:
        what, name = line.split()
        if what == "gone":
            points.remove_factory(f"/{name}")
        elif what == "back":
            add(name)
        if what in ("drop", "gone"):
            server.client_filter(lambda server, client: GstRtspServer.RTSPFilterResult.REMOVE)
        print(line.strip(), flush=True)
        return False

    def listen() -> None:
        for line in sys.stdin:
            GLib.idle_add(heed, line)
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
