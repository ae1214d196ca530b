"""What a configuration may say: one declared schema with limits, of which the documentation is made.

Read by `edge_lpr.serve.config`, which knows the lines of the file. A field's description is what
`edge-lpr serve --settings` and docs/serve.md say of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "MOST_POLYGONS",
    "CameraSettings",
    "CommandSettings",
    "FilesSettings",
    "ListSettings",
    "ListedPlate",
    "MqttSettings",
    "OutputSettings",
    "Point",
    "Polygon",
    "ReaderSettings",
    "RetentionSettings",
    "ServeSettings",
    "ServiceSettings",
    "TokenSettings",
    "WebSettings",
    "WebhookSettings",
]

Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
"""x and y in shares of the frame's width and height, 0 to 1: right for any size that the camera has."""
Polygon = Annotated[list[Point], Field(min_length=3, max_length=64)]
MOST_POLYGONS = 32
"""Regions, or masks, of a camera."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
Span = Annotated[str, Field(max_length=80)]
"""Days and times of day: "Mon-Fri 07:00-19:00", "Sat,Sun", "22:00-06:00"; local time."""


class Table(BaseModel):
    """A table of the configuration: no key but its own, and nothing changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


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
        default=None, description="the folder of a bundle; the one that ships by default"
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

    action: Literal["allow", "deny", "watch"] = Field(description="what events that match are marked as")
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


class Target(Table):
    """What all outputs have."""

    events: Literal["all", "listed", "lists"] = Field(
        default="all", description="all; those that any list matches; or those of lists that name this output"
    )
    states: list[Literal["new", "update", "end"]] = Field(
        default=["new", "update", "end"], description="which states are sent"
    )
    cameras: list[Name] = Field(
        default_factory=list, max_length=1000, description="of which cameras; all if none"
    )
    queue: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="events that may wait; then the oldest go, and that is said",
    )
    keep_trying: float = Field(
        default=0.0,
        ge=0,
        le=8760,
        description="hours after which an event is given up, and that is said; 0: never",
    )


class MqttSettings(Target):
    """[outputs.NAME] type = "mqtt"."""

    type: Literal["mqtt"] = Field(description="MQTT")
    host: str = Field(min_length=1, max_length=255, description="the broker's name or address")
    port: int = Field(default=1883, ge=1, le=65_535, description="of the broker; with TLS mostly 8883")
    version: Literal["3.1.1", "5"] = Field(default="5", description="of MQTT")
    tls: bool = Field(default=False, description="encrypted, and only to a broker that shows its certificate")
    ca: str | None = Field(default=None, description="file of certificates to trust; the system's by default")
    certificate: str | None = Field(default=None, description="file of the client's certificate; with key")
    key: str | None = Field(default=None, description="file of the certificate's key")
    any_certificate: bool = Field(default=False, description="trust the broker whatever certificate it shows")
    user: str = Field(default="", max_length=255, description="the user's name")
    password: str = Field(default="", max_length=1024, description='"${VARIABLE}" is of the environment')
    topic: str = Field(
        default="edge-lpr",
        min_length=1,
        max_length=255,
        pattern=r"^[^#+\x00]+$",
        description="topics begin so",
    )
    qos: Literal[0, 1, 2] = Field(default=1, description="0 may lose an event; 1 may repeat one")
    client_id: str = Field(default="", max_length=64, description="by default one that stays the same")
    discovery: str = Field(
        default="", max_length=255, description='Home Assistant\'s prefix, "homeassistant"; none by default'
    )
    pictures: bool = Field(default=False, description="the crop too, as JPEG, in a topic of its own")


class WebhookSettings(Target):
    """[outputs.NAME] type = "webhook"."""

    type: Literal["webhook"] = Field(description="an HTTP request for each event")
    url: str = Field(min_length=1, max_length=2048, description="where events are posted to")
    form: Literal["json", "multipart"] = Field(default="json", description="multipart: with crop and frame")
    secret: str = Field(
        default="", max_length=1024, description="signs each body: header X-Edge-LPR-Signature"
    )
    headers: dict[str, str] = Field(
        default_factory=dict, max_length=32, description="more headers by name; their values are not shown"
    )
    timeout: float = Field(default=10.0, ge=0.5, le=300, description="seconds that an answer may take")
    ca: str | None = Field(default=None, description="file of certificates to trust; the system's by default")
    any_certificate: bool = Field(
        default=False, description="trust the receiver whatever certificate it shows"
    )
    max_pause: float = Field(
        default=300.0, ge=1, le=86_400, description="seconds that the pause between tries grows to"
    )


class CommandSettings(Target):
    """[outputs.NAME] type = "command": a program, run without a shell; the event is on its standard input."""

    type: Literal["command"] = Field(description="a program for each event")
    command: list[str] = Field(min_length=1, max_length=64, description="program and arguments")
    timeout: float = Field(default=10.0, ge=0.1, le=3600, description="seconds after which it is ended")
    max_pause: float = Field(
        default=300.0, ge=1, le=86_400, description="seconds that the pause between tries grows to"
    )


class FilesSettings(Target):
    """[outputs.NAME] type = "files": a file a day."""

    type: Literal["files"] = Field(description="files by day")
    folder: str = Field(min_length=1, max_length=1024, description="relative to this file")
    form: Literal["jsonl", "csv"] = Field(default="jsonl", description="JSON lines, or a table")


OutputSettings = Annotated[
    MqttSettings | WebhookSettings | CommandSettings | FilesSettings, Field(discriminator="type")
]


class ServeSettings(Table):
    """The whole file."""

    service: ServiceSettings = Field(default_factory=ServiceSettings)
    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    cameras: dict[Name, CameraSettings] = Field(min_length=1, max_length=1000)
    lists: dict[Name, ListSettings] = Field(default_factory=dict, max_length=1000)
    outputs: dict[Name, OutputSettings] = Field(default_factory=dict, max_length=64)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    web: WebSettings = Field(default_factory=WebSettings)
