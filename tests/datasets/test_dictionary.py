"""Dictionaries: PaddleOCR's files, and how they fit a head."""

import re
from pathlib import Path

import pytest

from edge_lpr.datasets.dictionary import (
    UNKNOWN_LINE,
    charset_for_head,
    check_charset,
    check_lines,
    keep_classes,
    load_charset_file,
)
from edge_lpr.errors import ModelError


@pytest.mark.parametrize("text", ["京\n津\n \n", "京\r\n津\r\n \r\n", "\ufeff京\n津\n "])
def test_files_as_paddleocr_reads_them(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys 键.txt"
    file.write_bytes(text.encode())
    assert load_charset_file(file) == ("京", "津", " ")


def test_separators_that_are_characters_themselves(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes("a\n\u2028\n\x0b\nb\n".encode())
    assert load_charset_file(file) == ("a", "\u2028", "\x0b", "b")


@pytest.mark.parametrize(("data", "told"), [(b"", "no characters"), (b"\xff\xfe\x00", "not UTF-8")])
def test_bad_files(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=told):
        load_charset_file(file)
    with pytest.raises(ModelError, match="cannot be read"):
        load_charset_file(tmp_path / "none.txt")


def test_empty_and_repeated_lines_are_named() -> None:
    with pytest.raises(ModelError, match="line 2 is empty"):
        check_charset(["a", "", "b"], "keys")
    with pytest.raises(ModelError, match="'a' stands in line 1 and again in line 3"):
        check_charset(["a", "b", "a"], "keys")
    check_charset(["a", "", "", "b"], "keys", empty_lines=True)
    with pytest.raises(ModelError, match="'a' stands in line 1 and again in line 3"):
        check_charset(["a", "", "a"], "keys", empty_lines=True)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("AB", "line 2 is 'AB', 2 characters, expected one"),
        ("京 津", "line 2 is '京 津', 3 characters, expected one"),
        ("A ", "line 2 is a character with a blank beside it ('A '): remove the blank"),
        ("\u3000京", "line 2 is a character with a blank beside it ('\\u3000京'): remove the blank"),
        ("A\t1", "line 2 is 'A\\t1', 3 characters, expected one"),
        ("A\u200b", "line 2 is 'A\\u200b', 2 characters, expected one"),
        ("  ", "line 2 is 2 blanks, expected one character"),
        (UNKNOWN_LINE, "line 2 is '<unknown>', 9 characters, expected one"),
    ],
)
def test_a_line_that_is_not_one_character_is_named(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"京\n{line}\n津\n", encoding="utf-8")
    with pytest.raises(ModelError, match=rf"keys\.txt: {re.escape(told)}"):
        load_charset_file(file)


def test_lines_that_are_one_character_to_the_eye() -> None:
    # PP-OCRv5's dictionary has flags and an empty line, PP-OCRv1's the blank of full width.
    check_lines(["京", " ", "", "\u3000", "é", "e\u0301", "क्", "🇨🇳", "✌\ufe0f", UNKNOWN_LINE], "keys")


def test_the_line_of_all_others_is_no_character_of_a_bundle() -> None:
    with pytest.raises(ModelError, match=r"line 2 is '<unknown>', .* with --charset"):
        check_charset(["A", UNKNOWN_LINE], "keys")


@pytest.mark.parametrize("use_space_char", [None, True, False])
def test_a_dictionary_of_70_lines(use_space_char: bool | None) -> None:
    keys = [chr(0x4E00 + i) for i in range(70)]
    if use_space_char is not True:
        assert charset_for_head(keys, 71, "keys", use_space_char) == tuple(keys)
    if use_space_char is not False:
        assert charset_for_head(keys, 72, "keys", use_space_char) == (*keys, " ")
    for classes in {70, 71, 72, 73} - {None: {71, 72}, True: {72}, False: {71}}[use_space_char]:
        with pytest.raises(ModelError, match=rf"70 characters .* {classes} classes"):
            charset_for_head(keys, classes, "keys", use_space_char)


def test_a_dictionary_that_has_the_space_itself() -> None:
    assert charset_for_head(["a", " "], 3, "keys", True) == ("a", " ")
    # PaddleOCR adds another, as for its English models of 97 classes.
    for use_space_char in (None, True):
        assert charset_for_head(["a", " "], 4, "keys", use_space_char) == ("a", " ", " ")
    assert keep_classes(("a", " ", " "), ("a", " "), "keys") == [0, 1, 3]
    with pytest.raises(ModelError, match=r"2 characters make 3 classes, but .* 4 classes"):
        charset_for_head(["a", " "], 4, "keys", False)


def test_classes_to_keep() -> None:
    assert keep_classes(["a", "b", "c"], ["c", "a"], "keys") == [0, 3, 1]
    with pytest.raises(ModelError, match=r"lacks 1 of the characters to keep .京"):
        keep_classes(["a"], ["京", "a"], "keys")
