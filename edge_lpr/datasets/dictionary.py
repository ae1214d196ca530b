"""Character dictionaries: PaddleOCR's files, and how they fit a recognition head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_lpr.errors import ModelError, shown
from edge_lpr.io.bounded_io import read_bounded

__all__ = ["charset_for_head", "check_charset", "keep_classes", "load_charset_file"]

_MAX_DICTIONARY_BYTES = 4 << 20


def load_charset_file(path: str | Path) -> tuple[str, ...]:
    """Reads a dictionary as PaddleOCR does: UTF-8, a character per line, only the line's end cut off.

    Args:
        path: The file, such as `ppocr_keys_v1.txt`.

    Returns:
        The characters in order, without the CTC blank.

    Raises:
        ModelError: Missing, too large, not UTF-8, or empty.
    """
    file = Path(path)
    data = read_bounded(file, _MAX_DICTIONARY_BYTES, "a dictionary", ModelError)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as e:
        raise ModelError(
            f"{file}: not UTF-8 text (byte {e.start}); a dictionary has a character per line"
        ) from e
    # Not splitlines(): that would also split at the separators that are themselves characters of a
    # dictionary.
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ModelError(f"{file}: no characters in it; a dictionary has a character per line")
    return tuple(lines)


def check_charset(charset: Sequence[str], label: str) -> None:
    """Checks that a dictionary has characters, none of them empty and none twice.

    Raises:
        ModelError: It does not.
    """
    if not charset:
        raise ModelError(f"{label}: no characters in it; a dictionary has a character per line")
    first: dict[str, int] = {}
    for number, character in enumerate(charset, 1):
        if not character:
            raise ModelError(f"{label}: line {number} is empty, expected a character")
        if character in first:
            raise ModelError(
                f"{label}: {shown(character)} stands in line {first[character]} and again in line {number}"
            )
        first[character] = number


def charset_for_head(
    charset: Sequence[str], classes: int, label: str, use_space_char: bool | None = None
) -> tuple[str, ...]:
    """Fits a dictionary to a CTC head: blank, the dictionary, a space where PaddleOCR was told to add one.

    Args:
        charset: The dictionary's characters.
        classes: Classes of the head, blank included.
        label: What error messages call the dictionary.
        use_space_char: PaddleOCR's setting of that name; None lets the head's size decide.

    Returns:
        The characters of classes 1 to `classes` - 1.

    Raises:
        ModelError: The numbers do not fit.
    """
    has_space = " " in charset
    plain, spaced = len(charset) + 1, len(charset) + 2
    if classes == plain and not (use_space_char and not has_space):
        return tuple(charset)
    if classes == spaced and use_space_char is not False and not has_space:
        return (*charset, " ")
    wanted = {
        None: f"{plain} classes, or {spaced} with use_space_char",
        True: f"{spaced} classes",
        False: f"{plain} classes",
    }[use_space_char]
    if has_space:
        wanted = f"{plain} classes (it has the space itself)"
    raise ModelError(
        f"{label}: {len(charset)} characters make {wanted}, but the recognition head has {classes} classes "
        f"({classes - 1} characters and the blank): give the dictionary that the model was trained with"
    )


def keep_classes(charset: Sequence[str], wanted: Sequence[str], label: str) -> list[int]:
    """Finds the classes that a head is cut to.

    Args:
        charset: Characters of classes 1, 2, … of the full head.
        wanted: Characters to keep, in their new order.
        label: What error messages call the full dictionary.

    Returns:
        0 for the blank, then the class of each wanted character.

    Raises:
        ModelError: The full head lacks one of them.
    """
    at = {c: i for i, c in enumerate(charset, 1)}
    missing = [c for c in wanted if c not in at]
    if missing:
        raise ModelError(
            f"{label}: lacks {len(missing)} of the characters to keep ({''.join(missing[:20])}); "
            "leave --charset out to keep the whole head"
        )
    return [0, *(at[c] for c in wanted)]
