"""What the kit asks of a GPU before it touches its memory."""

from __future__ import annotations

import os


class Error(Exception):
    """Never raised."""


class device_attribute:  # noqa: N801 (pycuda's name)
    """Numbers of attributes."""

    INTEGRATED = 1


class Context:
    """A primary context."""

    def push(self) -> None: ...

    def pop(self) -> None: ...

    def detach(self) -> None: ...


class Device:
    """The one device."""

    def __init__(self, index: int) -> None: ...

    @staticmethod
    def count() -> int:
        return 1

    def name(self) -> str:
        return os.environ.get("STAND_IN_GPU", "Stand-in")

    def compute_capability(self) -> tuple[int, int]:
        return 8, 7

    def get_attribute(self, number: int) -> int:
        return 0

    def total_memory(self) -> int:
        return 1 << 30

    def retain_primary_context(self) -> Context:
        return Context()


def init() -> None: ...


def get_driver_version() -> int:
    return 13000
