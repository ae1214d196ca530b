"""Images named by what they hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_lpr.datasets.content import content_hash, content_name


def test_a_name_goes_by_the_content_alone(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("京A12345.jpg", "b.jpg", "c.jpg"))
    for path, data in ((first, b"1"), (again, b"1"), (other, b"2")):
        path.write_bytes(data)
    assert content_hash(first) == hashlib.sha256(b"1").hexdigest()
    assert content_name(first) == content_name(again) == content_hash(first)[:16] != content_name(other)
