"""Parsed JSON of a file that somebody else wrote: the right kind of value, or an error that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_lpr.errors import BundleError, shown

__all__ = ["JsonReader"]


class JsonReader:
    """Takes values out of the objects of a bundle's JSON file.

    A key is given with those above it, "det.size.stride", as messages name it; its last part is what is
    looked up. All methods raise BundleError where the value is missing or is not what is expected.

    Args:
        file: The file that the JSON is of.
        root: The folder that all files which it names lie in; the file's own if None.
    """

    def __init__(self, file: Path, root: Path | None = None) -> None:
        self.file, self.root = file, root or file.parent

    def fail(self, key: str, found: object, expected: str) -> BundleError:
        """Makes the error of a value that is not what is expected."""
        return BundleError(f"{self.file}: {key} is {shown(found)}, expected {expected}")

    def get(self, node: object, key: str, kind: type, expected: str) -> Any:  # noqa: ANN401 - of the type that `kind` asks for
        """Returns a value of one type; a bool is no int."""
        value = node.get(key.rsplit(".", 1)[-1]) if isinstance(node, dict) else None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fail(key, value, expected)
        return value

    def text(self, node: object, key: str) -> str:
        """Returns a text."""
        value: str = self.get(node, key, str, "a text")
        return value

    def number(self, node: object, key: str, low: int, high: int) -> int:
        """Returns an integer from `low` to `high`."""
        value: int = self.get(node, key, int, f"an integer from {low} to {high}")
        if not low <= value <= high:
            raise self.fail(key, value, f"an integer from {low} to {high}")
        return value

    def table(self, node: object, key: str) -> dict[str, Any]:
        """Returns an object."""
        value: dict[str, Any] = self.get(node, key, dict, "an object")
        return value

    def choice(self, node: object, key: str, *choices: str) -> str:
        """Returns one of some texts."""
        value = self.text(node, key)
        if value not in choices:
            raise self.fail(key, value, " or ".join(map(repr, choices)))
        return value

    def inside(self, node: object, key: str) -> Path:
        """Returns the path of a file, named from the JSON file's own folder, that lies in the root."""
        # What comes from somebody else may name any file: neither ".." nor a link may lead out of the folder.
        name = self.text(node, key)
        path = self.file.parent / name
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except (OSError, ValueError):
            inside = False
        if not inside or not name:
            raise self.fail(key, name, "a file inside the bundle's folder")
        return path
