"""What a configuration may say: one declared schema with limits, of which the documentation is made.

Read by `edge_lpr.serve.config`, which knows the lines of the file. A field's description is what
`edge-lpr serve --settings` and docs/serve.md say of it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edge_lpr.serve.output_settings import OutputSettings
from edge_lpr.serve.record import Action
from edge_lpr.serve.setting_types import MOST_POLYGONS, Name, Point, Polygon, Span, Table

__all__ = [
    "CameraSettings",
    "ListSettings",
    "ListedPlate",
    "ReaderSettings",
    "RetentionSettings",
    "ServeSettings",
    "ServiceSettings",
    "TokenSettings",
    "WebSettings",
]


class ServiceSettings(Table):
    """[service]: what belongs to no camera."""

    data: str = Field(
        default="edge-lpr-data", description="folder of events and pictures, relative to this file"
    )
    log: Literal["text", "json"] = Field(
        default="text", description="json: one object a line, for log collectors"
    )
    watchdog: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="seconds after which models that do not answer end the service; 0: never",
    )


class ReaderSettings(Table):
    """[reader]: the models and the thresholds, as the options of these names have it."""

    bundle: str | None = Field(
        default=None,
        description='a folder, or the name of a bundle in the package; "default" by default',
    )
    backend: str = Field(default="auto", description="auto, onnxruntime or tensorrt")
    precision: str = Field(default="auto", description="auto, fp32, fp16, int8 or int8-cpu")
    engines: str | None = Field(
        default=None, description="the folder of TensorRT engines that edge-lpr build made"
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="threads on the CPU; one per core by default"
    )
    device: int | None = Field(default=None, ge=0, le=63, description="number of the GPU")
    verify_key: str | None = Field(
        default=None, description="the public key that bundle and engines are signed with"
    )
    thresholds: dict[str, Any] = Field(
        default_factory=dict, description="[reader.thresholds]: min_score = 0.8 and others of edge-lpr --help"
    )


class CameraSettings(Table):
    """[cameras.NAME]: one camera."""

    source: str = Field(
        min_length=1,
        max_length=2048,
        description='address, video or device; "${VARIABLE}" is of the environment',
    )
    enabled: bool = Field(default=True, description="false: it is not read")
    loop: bool = Field(
        default=False, description="a video file begins again at its end, at its own pace: for trials"
    )
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="of rtsp:// addresses")
    decode: Literal["cpu", "nvidia"] = Field(default="cpu", description="what decodes rtsp:// addresses")
    timeout: float = Field(
        default=10.0, ge=0.1, le=3600, description="seconds from one frame to the next before it is lost"
    )
    any_certificate: bool = Field(
        default=False, description="trust https cameras whatever certificate they show"
    )
    rotate: Literal["0", "90", "180", "270"] = Field(default="0", description="degrees clockwise")
    flip: bool = Field(default=False, description="the camera mirrors")
    regions: list[Polygon] = Field(
        default_factory=list,
        max_length=MOST_POLYGONS,
        description="plates whose middle lies in one of these are read; all if none",
    )
    masks: list[Polygon] = Field(
        default_factory=list,
        max_length=MOST_POLYGONS,
        description="painted over before anything is read, stored or shown",
    )
    min_plate_width: int = Field(
        default=0, ge=0, le=4096, description="pixels below which a plate is not told of"
    )
    max_fps: float = Field(
        default=0.0, ge=0, le=240, description="frames a second at most; 0: as many as come"
    )
    decide_within: float = Field(
        default=1.0,
        ge=0.2,
        le=60,
        description="seconds after which a vehicle is told of at the latest, once it can be",
    )
    same_plate_within: float = Field(
        default=30.0,
        ge=0,
        le=86_400,
        description="the same plate seen again within so many seconds is the same passage",
    )
    direction: Literal["none", "size", "line"] = Field(
        default="none",
        description="size: a plate that grows comes in; line: which side of the line it goes to",
    )
    line: tuple[Point, Point] | None = Field(
        default=None,
        description="from the first point to the second; who crosses it to the right-hand side comes in",
    )
    reverse: bool = Field(default=False, description="in and out the other way round")
    role: Literal["", "entry", "exit"] = Field(default="", description="for the time between entry and exit")
    site: str = Field(default="", max_length=64, description="entry and exit are paired within a site")
    schedule: list[Span] = Field(
        default_factory=list, max_length=32, description="when it is read; always if none"
    )


class RetentionSettings(Table):
    """[retention]: what is kept, for how long; 0 is for ever, or without a limit."""

    event_days: float = Field(default=365.0, ge=0, le=36_500, description="days that events are kept")
    picture_days: float = Field(default=30.0, ge=0, le=36_500, description="days that pictures are kept")
    picture_gigabytes: float = Field(
        default=20.0, ge=0, le=1e6, description="what pictures may take, oldest go first"
    )
    free_gigabytes: float = Field(
        default=1.0, ge=0, le=1e6, description="no picture is written where the disk has less room than this"
    )


class TokenSettings(Table):
    """[[web.tokens]]: a program that may use /api."""

    name: Name = Field(description="what logs call it")
    hash: str = Field(max_length=512, description="of edge-lpr serve --hash")
    write: bool = Field(default=False, description="whether it may change anything")


class WebSettings(Table):
    """[web]: the page and the interface."""

    listen: str = Field(
        default="127.0.0.1:8470", max_length=255, description='address and port; "" for neither page nor API'
    )
    password: str = Field(
        default="", max_length=512, description="hash of the page's password, of edge-lpr serve --hash"
    )
    tokens: list[TokenSettings] = Field(
        default_factory=list, max_length=64, description="programs that may use /api: [[web.tokens]]"
    )
    certificate: str | None = Field(default=None, description="file of a TLS certificate; with key")
    key: str | None = Field(default=None, description="file of the certificate's key")
    hosts: list[str] = Field(
        default_factory=list, max_length=64, description="names that browsers may know it by, behind a proxy"
    )
    session_hours: float = Field(
        default=12.0, ge=0.1, le=8760, description="after which one has to sign in again"
    )


class ListedPlate(Table):
    """One plate of a list."""

    plate: str = Field(
        min_length=1, max_length=16, description='a plate; in patterns "?" is one character, "*" any'
    )
    name: str = Field(default="", max_length=200, description="whose it is")
    until: str | None = Field(
        default=None, max_length=32, description="the last day that it counts, 2027-01-31"
    )


class ListSettings(Table):
    """[lists.NAME]: plates that are known."""

    action: Action = Field(description="what events that match are marked as")
    plates: list[ListedPlate | str] = Field(
        default_factory=list, max_length=100_000, description="plates, or tables with plate, name and until"
    )
    file: str | None = Field(default=None, description="CSV with plate,name,until, read again on SIGHUP")
    patterns: list[str] = Field(
        default_factory=list, max_length=1000, description='as "粤B?1*": "?" is one character, "*" any'
    )
    lookalikes: bool = Field(default=True, description="0 and D, 8 and B, … are taken for each other")
    doubtful: int = Field(
        default=0,
        ge=0,
        le=3,
        description="so many characters may differ where they were read with less than sure",
    )
    sure: float = Field(
        default=0.9, ge=0, le=1, description="a character read with this score or more is not doubtful"
    )
    candidates: int = Field(
        default=0, ge=0, le=10, description="so many other readings of a plate are matched, too"
    )
    cameras: list[Name] = Field(
        default_factory=list, max_length=1000, description="where it holds; all if none"
    )
    times: list[Span] = Field(
        default_factory=list, max_length=32, description="when it holds; always if none"
    )
    outputs: list[Name] = Field(
        default_factory=list, max_length=64, description="outputs that are told, beside those of all events"
    )
    priority: int = Field(
        default=0,
        ge=-1000,
        le=1000,
        description="of lists that match the highest counts; then deny, allow, watch",
    )


class ServeSettings(Table):
    """The whole file."""

    service: ServiceSettings = Field(default_factory=ServiceSettings)
    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    cameras: dict[Name, CameraSettings] = Field(
        min_length=1,
        max_length=1000,
        description="a table [cameras.NAME] with a source for each; edge-lpr serve --example shows two",
    )
    lists: dict[Name, ListSettings] = Field(default_factory=dict, max_length=1000)
    outputs: dict[Name, OutputSettings] = Field(default_factory=dict, max_length=64)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    web: WebSettings = Field(default_factory=WebSettings)
