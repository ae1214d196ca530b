"""What the schema alone cannot say: names that have to be there, files, times, and who may listen where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edge_lpr.addresses import SCHEMES, is_address, shown_receiver, shown_source
from edge_lpr.backends import AUTO, backend_choices
from edge_lpr.bundle.manifest import bundle_folder
from edge_lpr.errors import EdgeLprError, InputError, SourceError, shown
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.settings import DetectorSettings, GateSettings, ReadSettings, TrackSettings
from edge_lpr.precisions import PRECISIONS
from edge_lpr.serve.config_errors import Problem, nearest
from edge_lpr.serve.config_paths import is_file_source
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.output_settings import (
    CommandSettings,
    FilesSettings,
    MqttSettings,
    OutputSettings,
    WebhookSettings,
)
from edge_lpr.serve.settings import CameraSettings, ServeSettings
from edge_lpr.serve.spans import Spans
from edge_lpr.serve.web.auth import ScryptHash, is_loopback
from edge_lpr.serve.web.hosts import is_host
from edge_lpr.settings import Settings

__all__ = ["check"]

_THRESHOLDS = (DetectorSettings, ReadSettings, TrackSettings, GateSettings)


def check(settings: ServeSettings) -> Iterator[Problem]:
    """Finds what is wrong with settings that fit the schema.

    Args:
        settings: The settings, with absolute paths.

    Yields:
        Each thing, and where it is.
    """
    yield from _check_reader(settings)
    for name, camera in settings.cameras.items():
        yield from _check_camera(("cameras", name), camera)
    yield from _check_lists(settings)
    for name, output in settings.outputs.items():
        yield from _check_output(("outputs", name), output)
        yield from _known(("outputs", name, "cameras"), output.cameras, settings.cameras, "camera")
    yield from _check_folders(settings)
    yield from _check_clients(settings)
    yield from _check_web(settings)
    for kind in ("cameras", "lists", "outputs"):
        yield from _alike(kind, getattr(settings, kind))


def _check_reader(settings: ServeSettings) -> Iterator[Problem]:
    reader = settings.reader
    for key, known in (("backend", backend_choices()), ("precision", (AUTO, *PRECISIONS.names()))):
        if (value := getattr(reader, key)) not in known:
            yield Problem(("reader", key), f"{shown(value)}, expected {', '.join(known)}")
    for key, folder in (("bundle", bundle_folder(reader.bundle)), ("engines", reader.engines)):
        if folder is not None and not Path(folder).is_dir():
            yield Problem(("reader", key), f"no folder {folder}")
    place = ("reader", "thresholds")
    kinds: dict[str, type[Settings]] = {name: kind for kind in _THRESHOLDS for name in kind.names()}
    for name, value in reader.thresholds.items():
        if (kind := kinds.get(name)) is None:
            yield Problem((*place, name), f"no such threshold{nearest(name, list(kinds))}")
            continue
        wrong = ""
        try:
            kind().changed({name: value})
        except EdgeLprError as e:
            wrong = str(e).removeprefix(f"{name} is ")
        if wrong:
            yield Problem((*place, name), wrong)


def _check_camera(place: tuple[str, ...], camera: CameraSettings) -> Iterator[Problem]:
    yield from _check_source(place, camera)
    if camera.direction == "line" and camera.line is None:
        yield Problem((*place, "direction"), 'is "line", and there is no line = [[x, y], [x, y]]')
    if camera.line is not None and camera.line[0] == camera.line[1]:
        yield Problem((*place, "line"), "both of its points are the same, expected two")
    yield from _check_spans((*place, "schedule"), camera.schedule)


def _check_source(place: tuple[str, ...], camera: CameraSettings) -> Iterator[Problem]:
    source, where = camera.source, (*place, "source")
    if is_address(source) and source.strip().partition("://")[0].lower() not in SCHEMES:
        expected = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        yield Problem(where, f"{shown_source(source)}, expected an address that begins with {expected}")
    if not is_file_source(source):
        if camera.loop:
            yield Problem((*place, "loop"), "is for a video file, and source is none")
        return
    if not Path(source).is_file():
        yield Problem(where, f"no such file {shown(shown_source(source))}, and no address")
        return
    try:
        with open_source(source) as opened:
            is_video = not opened.is_image
    except SourceError as e:
        yield Problem(where, str(e))
        return
    if not is_video:
        yield Problem(where, f"{shown(source)} is a picture; expected a video, an address or a camera")


def _check_lists(settings: ServeSettings) -> Iterator[Problem]:
    for name, one in settings.lists.items():
        place = ("lists", name)
        yield from _known((*place, "cameras"), one.cameras, settings.cameras, "camera")
        yield from _known((*place, "outputs"), one.outputs, settings.outputs, "output")
        yield from _check_spans((*place, "times"), one.times)
        try:
            Lists.load({name: one.model_copy(update={"times": []})}, Path())
        except InputError as e:
            yield Problem(place, str(e).removeprefix(f"lists.{name}: "))


def _check_output(place: tuple[str, ...], output: OutputSettings) -> Iterator[Problem]:
    if isinstance(output, MqttSettings):
        if output.discovery.strip("/") != output.discovery or set(output.discovery) & set("#+"):
            yield Problem((*place, "discovery"), f'{shown(output.discovery)}, expected as "homeassistant"')
        if not output.tls and (output.ca or output.certificate or output.any_certificate):
            yield Problem(place, "has certificates, and tls is false; set tls = true")
    if isinstance(output, MqttSettings) and (output.certificate is None) != (output.key is None):
        yield Problem(place, "certificate and key belong together, and one of them is missing")
    if isinstance(output, WebhookSettings):
        yield from _check_url((*place, "url"), output.url)
        for header, value in output.headers.items():
            if not header.isascii() or not header.isprintable() or set(header) & set(' :"\\(),/'):
                yield Problem((*place, "headers", header), "no name of a header")
            elif not value.isprintable() or not value.isascii():
                yield Problem((*place, "headers", header), "expected printable characters of ASCII")
    if isinstance(output, CommandSettings) and "/" in (program := output.command[0]):
        yield from _file((*place, "command", 0), program)
    for key in output.FILES:
        yield from _file((*place, key), getattr(output, key))


def _check_clients(settings: ServeSettings) -> Iterator[Problem]:
    """Of two clients of a name a broker ends the first: two outputs would end one another's connection."""
    seen: dict[tuple[str, int, str], str] = {}
    for name, output in settings.outputs.items():
        if isinstance(output, MqttSettings) and output.client_id:
            key = output.host.lower(), output.port, output.client_id
            if (owner := seen.setdefault(key, name)) != name:
                yield Problem(
                    ("outputs", name, "client_id"),
                    f"{shown(output.client_id)} is that of outputs.{owner} at the same broker; give each one",
                )


def _check_url(place: tuple[str, ...], url: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        yield Problem(
            place, f"{shown(shown_receiver(url))}, expected an address that begins with https:// or http://"
        )


def _check_folders(settings: ServeSettings) -> Iterator[Problem]:
    """The data folder is the service's alone, and no two outputs write the same files."""
    data = Path(settings.service.data).resolve()
    if data.exists() and not data.is_dir():
        yield Problem(("service", "data"), f"{data} is no folder")
    seen: dict[Path, str] = {}
    for name, output in settings.outputs.items():
        if not isinstance(output, FilesSettings):
            continue
        folder, place = Path(output.folder).resolve(), ("outputs", name, "folder")
        if folder.is_relative_to(data) or data.is_relative_to(folder):
            yield Problem(place, f"{folder} and the data folder {data} lie in one another; keep them apart")
        if (owner := seen.setdefault(folder, name)) != name:
            yield Problem(place, f"{folder} is that of outputs.{owner}; give each a folder of its own")


def _check_web(settings: ServeSettings) -> Iterator[Problem]:
    web = settings.web
    if (web.certificate is None) != (web.key is None):
        yield Problem(("web",), "certificate and key belong together, and one of them is missing")
    yield from _file(("web", "certificate"), web.certificate)
    yield from _file(("web", "key"), web.key)
    hashes: list[tuple[tuple[str | int, ...], str]] = [
        (("web", "tokens", n, "hash"), token.hash) for n, token in enumerate(web.tokens)
    ]
    if web.password:
        hashes.append((("web", "password"), web.password))
    for place, text in hashes:
        try:
            ScryptHash.parse(text)
        except InputError as e:
            yield Problem(place, str(e))
    for name, count in Counter(token.name for token in web.tokens).items():
        if count > 1:
            yield Problem(("web", "tokens"), f"{shown(name)} is the name of {count} tokens")
    if not web.listen:
        return
    try:
        is_open = not is_loopback(web.listen) and not web.password and not web.tokens
    except InputError as e:
        yield Problem(("web", "listen"), str(e).partition(": ")[2])
        return
    if web.hosts and not (web.password or web.tokens):
        yield Problem(
            ("web", "hosts"),
            "are for a proxy, which others may reach, and there is no password; set web.password to what "
            "edge-lpr serve --hash prints",
        )
    for n, name in enumerate(web.hosts):
        if not is_host(name):
            yield Problem(
                ("web", "hosts", n),
                f'{shown(name)}, expected a name without "https://" and path, as "gate.example"',
            )
    if is_open:
        yield Problem(
            ("web", "listen"),
            f"{shown(web.listen)} is reached from other machines, and there is no password; set web.password "
            'to what edge-lpr serve --hash prints, or listen = "127.0.0.1:8470"',
        )


def _check_spans(place: tuple[str | int, ...], spans: Sequence[str]) -> Iterator[Problem]:
    for n, text in enumerate(spans):
        try:
            Spans.parse([text], "")
        except InputError as e:
            yield Problem((*place, n), str(e).removeprefix(": "))


def _known(
    place: tuple[str | int, ...], names: Sequence[str], known: Mapping[str, object], what: str
) -> Iterator[Problem]:
    for n, name in enumerate(names):
        if name not in known:
            yield Problem((*place, n), f"no {what} {shown(name)}{nearest(name, list(known))}")


def _alike(kind: str, tables: Mapping[str, object]) -> Iterator[Problem]:
    """Names become topics and names of files, where case does not count everywhere."""
    first: dict[str, str] = {}
    for name in tables:
        if (other := first.setdefault(name.lower(), name)) != name:
            yield Problem((kind, name), f"differs from {other!r} by case alone; give it another name")


def _file(place: tuple[str | int, ...], path: str | None) -> Iterator[Problem]:
    if path is not None and not Path(path).is_file():
        yield Problem(place, f"no file {path}")
