"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_lpr.errors import OutputError


def write_atomically(target: str | Path, data: bytes) -> None:
    """Writes a file aside and renames it.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(target)
    aside = path.with_name(f".{os.getpid()}.{threading.get_ident()}.part")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)  # noqa: PTH105
    except OSError as e:
        raise OutputError(f"{path}: cannot be written ({e.strerror or e})") from e
    finally:
        aside.unlink(missing_ok=True)


def write_json(target: str | Path, data: Mapping[str, Any]) -> None:
    """Writes JSON, to standard output for "-".

    Raises:
        OutputError: The file cannot be written.
    """
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        write_atomically(target, text.encode())
