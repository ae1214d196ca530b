"""Who takes an event to its receiver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.errors import InputError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.serve.delivery.items import Item
from edge_lpr.serve.delivery.queue import Queues

__all__ = ["DeliveryContext", "Sender"]

_PICTURE_BYTES = 32 << 20


@dataclass(frozen=True)
class DeliveryContext:
    """What senders need of the service.

    Attributes:
        queues: The queues.
        folder: What relative paths of the configuration are relative to.
        picture: Finds a picture that a record names; None where it is not there (any more).
        cameras: Tells of each camera by name whether frames of it arrive.
    """

    queues: Queues
    folder: Path
    picture: Callable[[str], Path | None] = lambda name: None
    cameras: Callable[[], Mapping[str, bool]] = dict

    def jpeg(self, name: str) -> bytes | None:
        """Returns the bytes of a picture that a record names; None where there is none (any more)."""
        path = self.picture(name) if name else None
        if path is None:
            return None
        try:
            return read_bounded(path, _PICTURE_BYTES, "a picture of an event", InputError)
        except InputError:  # taken away by the retention meanwhile
            return None


class Sender(ABC):
    """Takes events to one receiver; used by one thread."""

    @abstractmethod
    def send(self, item: Item) -> None:
        """Returns once the receiver has the event.

        Raises:
            DeliveryError: It has not, or has not said so.
        """

    def tend(self) -> None:  # noqa: B027 - most have nothing to tend
        """Does what is due beside events; called about every second, less often where it fails.

        Raises:
            DeliveryError: It failed; events are delivered nevertheless.
        """

    def cut(self) -> None:  # noqa: B027
        """Breaks off what is in the middle of an event, from another thread: the service ends."""

    def close(self, seconds: float) -> None:  # noqa: B027
        """Says good-bye to the receiver.

        Args:
            seconds: That it may take.
        """
