"""Writes an input: `python -m fuzz TARGET NUMBER FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from fuzz.mutations import mutate
from fuzz.targets import TARGETS

target, number, file = sys.argv[1:]
Path(file).write_bytes(mutate(TARGETS[target].seeds(), int(number)))
