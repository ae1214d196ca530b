"""`edge-lpr SOURCE…`: reads plates, one line per vehicle."""

from __future__ import annotations

import argparse

from edge_lpr.cli.options import add_model_options, add_threshold_options
from edge_lpr.cli.read.run import ReadRun
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.log_level import shows
from edge_lpr.console.streams import libraries_apart
from edge_lpr.health.watchdog import WatchdogSettings
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.recording import RecordingSettings
from edge_lpr.outputs import OUTPUTS
from edge_lpr.pipeline.events import REPORTS
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.settings import add_options

DESCRIPTION = """\
Reads licence plates from images, videos and cameras: one line per vehicle of a video,
one per plate of an image. No download, no configuration: the models are in the package."""

EPILOG = """\
examples:
  edge-lpr street.mp4                            a video; one line per vehicle
  edge-lpr photos/ 'more/*.jpg' --csv plates.csv folders and patterns, into a table
  edge-lpr crops/ --crops-only                   pictures that are each a plate cut out
  edge-lpr 0                                     the first camera
  edge-lpr 'gate=rtsp://admin:${GATE_PASSWORD}@10.0.0.5/1' --jsonl plates.jsonl
  edge-lpr clip.mp4 --save clip-read.mp4 --crops plates/
  edge-lpr clip.mp4 --jsonl - | jq .text         results to another program

sources:
  Several may be given and mixed. Folders are read with their subfolders; what a file is, its
  content says, and what is neither picture nor video is counted. Files are read in order,
  then all cameras and streams at once, each at its newest frame. "N" is camera N.
  "-" is standard input, a picture or video: cat clip.mp4 | edge-lpr -
  Addresses begin with rtsp:// rtmp:// http:// https:// srt:// udp:// rtp:// tcp://; one of
  http that gives a picture at a time is asked again and again (--snapshot-interval).
  A playlist (m3u8, concat) names files of its own folder.
  Text with " ! " is a GStreamer pipeline that ends in appsink, where OpenCV has GStreamer.
  Of an address no more is shown than host and path. NAME=ADDRESS has NAME in all results in
  its place; ${VARIABLE} (in single quotes) and @FILE, a file of addresses, one a line, keep
  a password out of the list of processes.
"""

WHAT_TO_CHANGE = """\
which threshold to change:
  plates are missing            --any-text shows whether they are read at all; --min-score 0.5
                                reports what is less sure; --box-thresh 0.4 finds fainter ones
  small plates are missing      --det-limit-side-len 1280, with --det-limit-type min
  signs are read as plates      --min-score 0.9
  one vehicle gives two events  --max-gap 3
  a vehicle of a video is missed --gate off looks at all of each frame
  vehicles are told too late    --events new, --max-delay 0; --early-width 0 trusts small plates
  the first text is wrong       --max-delay 2 waits longer for plates far away
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, f"{EPILOG}\n{WHAT_TO_CHANGE}"
    parser.usage = "edge-lpr SOURCE [SOURCE ...] [options]\n       edge-lpr COMMAND [options]"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    add_model_options(parser)
    add = parser.add_argument_group("what is reported").add_argument
    add("--every-frame", action="store_true", help="the reads of each frame, not fused to one per vehicle")
    add(
        "--events",
        choices=tuple(REPORTS),
        help="end: one a vehicle, when it is gone; new: one a vehicle, as soon as it is known; all: both, "
        "and each change of its text (default: end for files, all for cameras and streams)",
    )
    reported = ("any_text", "min_score", "format_prior", "candidates")
    add_options(add, ReadSettings, reported)
    add = parser.add_argument_group("how pictures and frames are looked at").add_argument
    add_options(add, ReadSettings, [name for name in ReadSettings.names() if name not in reported])
    add_options(add, CaptureOptions, ("stride", "max_pixels"))
    add = parser.add_argument_group("outputs").add_argument
    for kind in OUTPUTS:
        if kind.flag:
            add(kind.flag, dest=kind.name, metavar=kind.metavar, help=kind.help)
    add_options(add, RecordingSettings)
    add(
        "--quiet",
        action="store_true",
        help="no lines of results, no progress and no notes; errors are told, and all is read",
    )
    add = parser.add_argument_group("cameras and streams").add_argument
    add_options(
        add,
        CaptureOptions,
        ("timeout", "reconnect", "max_pause", "snapshot_interval", "any_certificate", "decode", "transport"),
    )
    add = parser.add_argument_group("running for years").add_argument
    add("--status", metavar="FILE", help="how the run is, as JSON, written anew each second")
    add_options(add, WatchdogSettings)
    add_threshold_options(parser, "videos and streams")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    with libraries_apart(shown=shows("debug")), Interrupts() as interrupts:
        return ReadRun(args, interrupts).run()
