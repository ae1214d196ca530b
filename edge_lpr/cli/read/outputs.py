"""Which outputs the options ask for, and what those learn of the run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from edge_lpr.cli.options import backend_arguments
from edge_lpr.cli.read.messages import Messages
from edge_lpr.errors import SettingError
from edge_lpr.io.atomic_io import check_writable
from edge_lpr.io.claims import files_in
from edge_lpr.io.recording import RecordingSettings
from edge_lpr.io.references import reference_file
from edge_lpr.io.sources import Target
from edge_lpr.outputs import OUTPUTS, STDOUT, RunInfo
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.settings import given

__all__ = ["requested_outputs", "run_info"]

_STDOUT_NAMES = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def requested_outputs(args: argparse.Namespace) -> dict[str, str]:
    """Returns the outputs asked for by option; and lines, where nothing else goes to standard output."""
    found: dict[str, str] = {
        # Standard output by its names in the file system is standard output: libraries are kept off it.
        kind.name: STDOUT if kind.stdout and value in _STDOUT_NAMES else value
        for kind in OUTPUTS
        if kind.flag and (value := getattr(args, kind.name))
    }
    return found if args.quiet or STDOUT in found.values() else {**found, "lines": STDOUT}


def run_info(
    args: argparse.Namespace, targets: Sequence[Target], reader: PlateReader, messages: Messages
) -> RunInfo:
    """Returns what the outputs learn of the run.

    Args:
        args: The options.
        targets: What is read.
        reader: What reads it.
        messages: Where they tell what they have to.

    Raises:
        SettingError: The status would be written over something that is read, or that is no file.
        OutputError: The status cannot be written.
    """
    engines = files_in("--engines", backend_arguments(args).get("engines"))
    lists = [("SOURCE", reference_file(source)) for source in args.sources]
    info = RunInfo(
        targets,
        live=any(target.live for target in targets),
        clear=messages.clear,
        on_warning=messages.warn,
        on_note=messages.note,
        reads=[
            *lists,
            ("--verify-key", args.verify_key),
            *chain(files_in("--bundle", reader.bundle.path), engines),
        ],
        recording=RecordingSettings(**given(args, RecordingSettings)),
    )
    claims = info.own_claims()
    if args.status is not None:
        status = Path(args.status)
        if args.status == STDOUT or (status.exists() and not status.is_file()):
            raise SettingError(f"--status {status}: expected a file, which is replaced each second")
        check_writable(status)
        claims.claim(args.status, "--status")
    return replace(info, claims=claims)
