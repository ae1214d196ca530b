"""GStreamer's RTSP server on 127.0.0.1, with H.264 videos that begin again at their end.

    python3 benchmarks/gst_rtsp_server.py --fps 12 gate=street.h264 yard=street.h264

It is run by a Python that has GStreamer's bindings, as Debian's has with `apt-get install python3-gi
gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad`, and
needs nothing else. A video is what `edge_lpr.benchmarks.rtsp_films` writes. The server prints the
address that all names follow, "rtsp://127.0.0.1:PORT/", and then each line of its standard input that it has
heeded: "gone NAME" cuts all off and answers nobody who asks for that any more, "back NAME" does again. It
runs until its standard input ends.
"""

from __future__ import annotations

import argparse
import sys
import threading

_PIPELINE = (
    '( multifilesrc location="{path}" loop=true caps="video/x-h264,stream-format=byte-stream,'
    'framerate={fps}/1" ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )'
)


def main() -> int:
    """Runs the server; see the module's text."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("video", nargs="+", metavar="NAME=FILE", help="a name of the address, and its video")
    parser.add_argument("--fps", type=int, default=12, help="frames per second (default 12)")
    parser.add_argument("--port", type=int, default=0, help="the port; a free one by default")
    args = parser.parse_args()
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    points = server.get_mount_points()
    videos = dict(named.split("=", 1) for named in args.video)

    def add(name: str) -> None:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(_PIPELINE.format(path=videos[name], fps=args.fps))
        points.add_factory(f"/{name}", factory)

    for name in videos:
        add(name)
    if not server.attach(None):
        sys.stderr.write(
            f"port {args.port} of 127.0.0.1 cannot be listened on; leave --port out for a free one\n"
        )
        return 1
    _say(f"rtsp://127.0.0.1:{server.get_bound_port()}/")
    loop = GLib.MainLoop()

    def heed(line: str) -> bool:
        what, name = line.split()
        if what == "back":
            add(name)
        else:
            points.remove_factory(f"/{name}")
            server.client_filter(lambda server, client: GstRtspServer.RTSPFilterResult.REMOVE)
        _say(line.strip())
        return False  # once, and not again and again

    def listen() -> None:
        for line in sys.stdin:
            GLib.idle_add(heed, line)  # GStreamer's objects are the loop's thread's
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    loop.run()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
