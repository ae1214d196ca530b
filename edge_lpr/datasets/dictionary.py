"""Character dictionaries: PaddleOCR's files, and how they fit a recognition head."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from edge_lpr.errors import ModelError, shown
from edge_lpr.io.bounded_io import read_bounded

__all__ = [
    "UNKNOWN_LINE",
    "charset_for_head",
    "check_charset",
    "check_lines",
    "keep_classes",
    "load_charset_file",
]

UNKNOWN_LINE = "<unknown>"
"""The last line of the dictionary of a fine-tuned head: the class of all other characters."""
_MAX_DICTIONARY_BYTES = 4 << 20
# What may follow in a line that is one character to the eye: marks, and the rest of an emoji. PP-OCRv5's
# dictionary has flags, which are two symbols each.
_JOINING, _JOINER = ("Mn", "Mc", "Me", "So", "Sk"), "\u200d"


def load_charset_file(path: str | Path) -> tuple[str, ...]:
    """Reads a dictionary as PaddleOCR does: UTF-8, a character per line, only the line's end cut off.

    Args:
        path: The file, such as `ppocr_keys_v1.txt`.

    Returns:
        The characters in order, without the CTC blank.

    Raises:
        ModelError: Missing, too large, not UTF-8, or empty; or a line is not one character (`check_lines`).
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
    check_lines(lines, str(file))
    return tuple(lines)


def check_lines(lines: Sequence[str], label: str) -> None:
    """Checks that no line of a dictionary holds more than a character, or blanks beside it.

    A blank alone is a character. An empty line is a class to PaddleOCR that no text has; a last
    `UNKNOWN_LINE` is what `edge-lpr finetune` writes.

    Raises:
        ModelError: One does; its number, what it holds, and what to do.
    """
    for number, line in enumerate(lines, 1):
        if _is_character(line) or (line == UNKNOWN_LINE and number == len(lines)):
            continue
        if not line.strip():
            told = f"{len(line)} blanks, expected one character: leave one blank, or remove the line"
        elif _is_character(line.strip()):
            told = f"a character with a blank beside it ({line!r}): remove the blank"
        else:
            told = f"{line[:40]!r}, {len(line)} characters, expected one: give each a line, as it was trained"
        raise ModelError(f"{label}: line {number} is {told}")


def _is_character(line: str) -> bool:
    """Tells whether a line is one character, with what joins it, or empty."""
    return all(c == _JOINER or unicodedata.category(c) in _JOINING for c in line[1:])


def check_charset(charset: Sequence[str], label: str, *, empty_lines: bool = False) -> None:
    """Checks that a bundle's characters are such: one each, none empty and none twice.

    Args:
        charset: The characters, in the order of the dictionary's lines.
        label: What error messages call the dictionary.
        empty_lines: Whether empty lines are passed over.

    Raises:
        ModelError: They are not.
    """
    if not charset:
        raise ModelError(f"{label}: no characters in it; a dictionary has a character per line")
    check_lines(charset, label)
    first: dict[str, int] = {}
    for number, character in enumerate(charset, 1):
        if not character:
            if empty_lines:
                continue
            raise ModelError(f"{label}: line {number} is empty, expected a character")
        if character == UNKNOWN_LINE:
            raise ModelError(
                f"{label}: line {number} is {UNKNOWN_LINE!r}, which stands for all other characters: give "
                "the characters alone with --charset (`edge-lpr finetune` writes them as charset.txt)"
            )
        if character in first:
            raise ModelError(
                f"{label}: {shown(character)} stands in line {first[character]} and again in line {number}"
            )
        first[character] = number


def charset_for_head(
    charset: Sequence[str], classes: int, label: str, use_space_char: bool | None = None
) -> tuple[str, ...]:
    """Fits a dictionary to a CTC head: blank, the dictionary, a space where PaddleOCR was told to add one.

    PaddleOCR adds it to a dictionary that has one already, too, such as the 95 characters of `en_dict.txt`:
    the space then has two classes, and the last one is what was trained.

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
    plain, spaced = len(charset) + 1, len(charset) + 2
    if classes == plain and not (use_space_char and " " not in charset):
        return tuple(charset)
    if classes == spaced and use_space_char is not False:
        return (*charset, " ")
    wanted = {
        None: f"{plain} classes, or {spaced} with use_space_char",
        True: f"{spaced} classes",
        False: f"{plain} classes",
    }[use_space_char]
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
