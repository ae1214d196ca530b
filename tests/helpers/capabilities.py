"""Root for whom the modes of files hold, as for any other user."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["as_a_plain_user"]

_VERSION = 0x20080522  # of capset(2)'s structures
_READ_ANYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """Takes from root, in this thread and those that it starts, the right to read and write anything.

    Root stays the owner of its files: a Python in root's home goes on importing modules, which another user's
    could not. Skips where that cannot be done.
    """
    if not hasattr(os, "geteuid"):
        pytest.skip("needs users")
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may read anything here")
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION, 0), (_Set * 2)()
    if libc.capget(ctypes.byref(header), sets):
        pytest.skip("the capabilities of root cannot be read here")
    before = sets[0].effective
    sets[0].effective &= ~_READ_ANYTHING
    if libc.capset(ctypes.byref(header), sets):
        pytest.skip("the capabilities of root cannot be changed here")
    try:
        yield
    finally:
        sets[0].effective = before
        libc.capset(ctypes.byref(header), sets)
