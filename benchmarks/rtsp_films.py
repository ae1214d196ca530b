"""Films as cameras send them: H.264 from GStreamer's RTSP server, over and over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal

from edge_lpr.errors import BackendError
from edge_lpr.types import Image

__all__ = ["GstServer", "gst_python", "write_h264"]

_CANDIDATES = (sys.executable, "/usr/bin/python3")
# Whether a Python has all that `gst_rtsp_server.py` is made of.
_ASK = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
raise SystemExit(any(Gst.ElementFactory.find(n) is None for n in ("multifilesrc", "h264parse", "rtph264pay")))
"""


def write_h264(path: Path, frames: Iterable[Image], fps: int) -> int:
    """Encodes frames as a stream of H.264 (Annex B) whose first frame is a key frame.

    Args:
        path: The file.
        frames: uint8 H×W×3 BGR, all of one size, whose sides are even.
        fps: Frames per second.

    Returns:
        How many frames there are.
    """
    import av

    count = 0
    with av.open(str(path), "w", "h264") as container:
        stream = container.add_stream("libx264", rate=fps)
        # As a camera sends: no frames that wait for later ones, a key frame every two seconds.
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "20", "bf": "0"}
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 2 * fps
        for count, image in enumerate(frames, 1):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if count == 1:
                stream.height, stream.width = image.shape[:2]
            frame.pts, frame.time_base = count - 1, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return count


def gst_python(python: str = "") -> str:
    """Returns a Python that has the bindings of GStreamer's RTSP server.

    Args:
        python: The one to take; looked for where "".

    Raises:
        BackendError: There is none.
    """
    for one in (python,) if python else _CANDIDATES:
        try:
            found = subprocess.run([one, "-c", _ASK], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found.returncode == 0:
            return one
    raise BackendError(
        f"no bindings of GStreamer's RTSP server in {python or ' or '.join(_CANDIDATES)}; on Debian: apt-get "
        "install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
        "gstreamer1.0-plugins-bad"
    )


class GstServer:
    """GStreamer's RTSP server in a process of its own, which plays videos over and over; a context manager.

    Whoever comes sees a video from its beginning.

    Args:
        videos: What `write_h264` wrote, by the name that the address ends with.
        fps: Frames per second.
        python: See `gst_python`.
        port: The port on 127.0.0.1; a free one where 0.

    Attributes:
        address: What all names follow: "rtsp://127.0.0.1:8554/".

    Raises:
        BackendError: It does not start.
    """

    def __init__(self, videos: Mapping[str, Path], fps: int, python: str = "", port: int = 0) -> None:
        script = Path(__file__).with_name("gst_rtsp_server.py")
        named = [f"{name}={path}" for name, path in videos.items()]
        command = [gst_python(python), str(script), "--fps", str(fps), "--port", str(port), *named]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._line()
        if not self.address:
            self._end()
            raise BackendError(f"GStreamer's RTSP server did not start: {' '.join(command)}")

    def __enter__(self) -> GstServer:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def tell(self, what: Literal["gone", "back"], name: str) -> None:
        """Has a video be gone, or be there again; returns once it is.

        Args:
            what: "gone" cuts everybody off and answers nobody who asks for this video, "back" does again.
            name: The video's name.

        Raises:
            BackendError: The server has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {name}\n")
        self._process.stdin.flush()
        if self._line() != f"{what} {name}":
            raise BackendError(f"GStreamer's RTSP server has ended, asked for {what} {name}")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
