"""`edge-lpr engines`: what TensorRT engines there are, whether they are valid here, and what is in them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.backends.tensorrt.engine_folder import engines_folder
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest, Machine, read_manifest
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.output import say, say_json, show
from edge_lpr.console.tables import Cell, table
from edge_lpr.console.text import Style
from edge_lpr.counting import counted
from edge_lpr.devices import add_device_option
from edge_lpr.errors import BackendError, EdgeLprError, SettingError

if TYPE_CHECKING:
    from edge_lpr.engines.engine_cache import Entry
    from edge_lpr.engines.inspector import EngineReport

DESCRIPTION = """\
list     every engine, and whether it is valid on this machine, or why not
inspect  the layers of one engine, and the precision in which each really computes
prune    remove what is damaged, stale or superseded"""
EXAMPLES = """\
examples:
  edge-lpr engines list
  edge-lpr engines list --bundle my-bundle       also tell which are of an older my-bundle
  edge-lpr engines inspect det.int8              by a part of its name
  edge-lpr engines prune --dry-run
  edge-lpr engines prune --foreign               also those for other GPUs and TensorRT versions"""
COLORS: dict[str, Style] = {
    "valid": "green",
    "damaged": "red",
    "stale": "yellow",
    "foreign": "yellow",
    "superseded": "yellow",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add = parser.add_argument
    add("action", choices=("list", "inspect", "prune"))
    add("engine", nargs="?", metavar="ENGINE", help="inspect: an engine's file, or a part of its name")
    add("--dir", metavar="DIR", help="where the engines lie (default: as edge-lpr build)")
    add_device_option(add)
    add("--bundle", metavar="BUNDLE", help="the bundle that engines are compared with")
    add("--profile", type=int, default=0, metavar="N", help="inspect: number of the profile (default: 0)")
    add("--foreign", action="store_true", help="prune: also engines for other GPUs and TensorRT versions")
    add("--all", action="store_true", help="prune: every engine")
    add("--dry-run", action="store_true", help="prune: show what would be removed, and stop")
    add("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Lists, inspects or prunes."""
    if args.engine is not None and args.action != "inspect":
        raise SettingError(f"edge-lpr engines {args.action} takes no name; see: edge-lpr engines --help")
    folder = engines_folder(args.dir)
    if args.action == "inspect":
        return _inspect(folder, args)
    return _list(folder, args) if args.action == "list" else _prune(folder, args)


def _list(folder: Path, args: argparse.Namespace) -> int:
    found, machine, refusal = _entries(folder, args)
    if args.json:
        here = None if machine is None else machine.identity
        engines = [_record(entry) for entry in found]
        say_json({"folder": str(folder), "machine": here, "no_machine": refusal, "engines": engines})
        return 0
    say(
        f"{folder}: {counted(len(found), 'engines')}"
        if found
        else f"{folder}: no engines; make some: edge-lpr build"
    )
    say(f"this machine: {machine or refusal}")
    _print_table(found)
    return 0


def _prune(folder: Path, args: argparse.Namespace) -> int:
    from edge_lpr.engines import engine_cache

    states = [engine_cache.DAMAGED, engine_cache.STALE, engine_cache.SUPERSEDED]
    if args.foreign:
        states.append(engine_cache.FOREIGN)
    if args.all:
        states = [*COLORS, engine_cache.UNKNOWN]
    found, machine, refusal = _entries(folder, args)
    if args.foreign and machine is None and not args.all:
        raise BackendError(f"--foreign needs this machine's GPU to compare with: {refusal}")
    chosen = [entry for entry in found if entry.state in states]
    if not args.dry_run:
        chosen = engine_cache.prune(chosen, states)
    if args.json:
        say_json({"folder": str(folder), "dry_run": args.dry_run, "removed": [_record(e) for e in chosen]})
        return 0
    _print_table(chosen)
    what = "would be removed" if args.dry_run else "removed"
    say(f"{folder}: {len(chosen)} of {len(found)} {what}")
    return 0


def _inspect(folder: Path, args: argparse.Namespace) -> int:
    if args.engine is None:
        raise SettingError("which engine? edge-lpr engines list shows their names")
    manifest = _find(folder, args.engine)
    if not 0 <= args.profile < len(manifest.profiles):
        raise SettingError(f"--profile {args.profile}: the engine has 0 to {len(manifest.profiles) - 1}")
    from edge_lpr.backends.tensorrt.api import TensorRT
    from edge_lpr.engines.inspector import inspect_engine

    api = TensorRT.open(args.device)
    differences = manifest.differences(None, api.machine)
    if differences:
        raise BackendError(
            f"{manifest.engine_path}: {'; '.join(differences)}; it can be inspected there alone"
        )
    report = inspect_engine(api, manifest, args.profile)
    if args.json:
        layers = [vars(layer) for layer in report.layers]
        say_json(
            {
                "manifest": manifest.to_json(),
                "profile": args.profile,
                "layers_by_input_type": report.counts,
                "multiply_adds_by_input_type": report.macs,
                "int8_share": report.share("INT8"),
                "layers": layers,
            }
        )
    else:
        _show(manifest, args.profile, report)
    return 0


def _show(manifest: EngineManifest, profile: int, report: EngineReport) -> None:
    from edge_lpr.engines.inspector import UNKNOWN

    say(str(manifest.engine_path))
    say(f"{manifest.part} {manifest.precision}, built for {manifest.machine}")
    say(f"profile {profile}: {manifest.profiles[profile]}")
    rows = [
        [
            f"{layer.input} → {layer.output}",
            "" if layer.macs is None else f"{layer.macs / 1e6:.1f} M",
            layer.kind,
            layer.name,
        ]
        for layer in report.layers
    ]
    show(table(rows, left=(0, 2, 3), head=False))
    named = {UNKNOWN: "a type that TensorRT does not say"}
    counts = ", ".join(f"{n} in {named.get(kind, kind)}" for kind, n in sorted(report.counts.items()))
    say(f"computing layers by the type of their input: {counts or 'none'}")
    for kind in sorted(report.macs):
        share = report.share(kind)
        part = "an unknown part" if share is None else f"{share:.1%}"
        say(f"{named.get(kind, kind)}: {part} of the multiply-adds that TensorRT states")


def _find(folder: Path, name: str) -> EngineManifest:
    path = Path(name)
    if path.suffix in (".engine", ".json") and path.is_file():
        return read_manifest(path.with_suffix(".json"))
    fitting = sorted(p for p in folder.glob("*.json") if name in p.name) if folder.is_dir() else []
    if not fitting:
        raise SettingError(f"no engine {name!r} in {folder}; edge-lpr engines list shows what is there")
    if len(fitting) > 1:
        raise SettingError(f"{name!r} may be {', '.join(p.stem for p in fitting[:3])}: give more of its name")
    return read_manifest(fitting[0])


def _entries(folder: Path, args: argparse.Namespace) -> tuple[Sequence[Entry], Machine | None, str]:
    from edge_lpr.backends.tensorrt.api import TensorRT
    from edge_lpr.engines.engine_cache import entries

    machine, refusal = None, ""
    try:
        machine = TensorRT.open(args.device).machine
    except SettingError:  # a number that was given, and is wrong
        raise
    except EdgeLprError as e:
        refusal = str(e)
    bundle = None if args.bundle is None else load_bundle(args.bundle)
    return entries(folder, machine, bundle), machine, refusal


def _print_table(entries: Sequence[Entry]) -> None:
    if entries:
        show(table([_row(entry) for entry in entries], left=(0, 1), head=False, wrap=True))


def _row(entry: Entry) -> list[Cell]:
    state: Cell = (entry.state, COLORS[entry.state]) if entry.state in COLORS else entry.state
    if entry.manifest is None:
        return [state, f"{entry.path.name}  {entry.reason}"]
    m = entry.manifest
    shapes = ", ".join(map(str, m.profiles))
    reason = f"  ({entry.reason})" if entry.reason else ""
    about = f"{m.engine_bytes / 1e6:.1f} MB, {m.created[:10]}, {m.machine}, {shapes}{reason}"
    return [state, f"{m.engine_path.name}  {about}"]


def _record(entry: Entry) -> dict[str, Any]:
    return {
        "path": str(entry.path),
        "state": entry.state,
        "reason": entry.reason,
        "manifest": None if entry.manifest is None else entry.manifest.to_json(),
    }
