"""What a configuration may say of outputs: [outputs.NAME], of four types."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from edge_lpr.addresses import shown_receiver
from edge_lpr.serve.record import State
from edge_lpr.serve.setting_types import Name, Table

__all__ = [
    "OUTPUT_TYPES",
    "CommandSettings",
    "FilesSettings",
    "MqttSettings",
    "OutputSettings",
    "Target",
    "WebhookSettings",
]


class Target(Table):
    """What all outputs have."""

    FILES: ClassVar[tuple[str, ...]] = ()
    """Keys that name files, which have to be there."""
    FOLDERS: ClassVar[tuple[str, ...]] = ()
    """Keys that name folders, which are made."""

    @property
    def receiver(self) -> str:
        """To whom it goes, as people are told: without a secret."""
        raise NotImplementedError

    events: Literal["all", "listed", "lists"] = Field(
        default="all", description="all; those that any list matches; or those of lists that name this output"
    )
    states: list[State] = Field(default=list(get_args(State)), description="which states are sent")
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

    FILES = ("ca", "certificate", "key")

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

    @property
    def receiver(self) -> str:
        """The broker, and what topics begin with."""
        return f"{self.host}:{self.port} {self.topic}/"


class WebhookSettings(Target):
    """[outputs.NAME] type = "webhook"."""

    FILES = ("ca",)

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

    @property
    def receiver(self) -> str:
        """The address; of it no more than the host, as paths of webhooks are passwords."""
        return shown_receiver(self.url)


class CommandSettings(Target):
    """[outputs.NAME] type = "command": a program, run without a shell; the event is on its standard input."""

    type: Literal["command"] = Field(description="a program for each event")
    command: list[str] = Field(min_length=1, max_length=64, description="program and arguments")
    timeout: float = Field(default=10.0, ge=0.1, le=3600, description="seconds after which it is ended")
    max_pause: float = Field(
        default=300.0, ge=1, le=86_400, description="seconds that the pause between tries grows to"
    )

    @property
    def receiver(self) -> str:
        """The program; its arguments may hold secrets."""
        return self.command[0]


class FilesSettings(Target):
    """[outputs.NAME] type = "files": a file a day."""

    FOLDERS = ("folder",)

    type: Literal["files"] = Field(description="files by day")
    folder: str = Field(min_length=1, max_length=1024, description="relative to this file")
    form: Literal["jsonl", "csv"] = Field(default="jsonl", description="JSON lines, or a table")

    @property
    def receiver(self) -> str:
        """The folder."""
        return self.folder


OutputSettings = Annotated[
    MqttSettings | WebhookSettings | CommandSettings | FilesSettings, Field(discriminator="type")
]
OUTPUT_TYPES: tuple[str, ...] = tuple(
    name
    for kind in get_args(get_args(OutputSettings)[0])
    for name in get_args(kind.model_fields["type"].annotation)
)
"""What `type` may be."""
