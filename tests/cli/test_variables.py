"""Every option of every command has a variable: what it says is the option's default."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress

import pytest
from helpers.extras import reason

from edge_lpr.cli import COMMANDS, command_parser, main
from edge_lpr.cli.variables import mistyped, take_variables, variable_of
from edge_lpr.console.module_main import Parser
from edge_lpr.errors import SettingError


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [inner for one in action.choices.values() for inner in parsers(one)]
    return found


def parser_of(name: str) -> Parser:
    try:
        return command_parser(name)
    except ModuleNotFoundError as e:
        pytest.skip(reason(str(e.name), COMMANDS[name].extra))


@pytest.mark.parametrize("name", ["read", *COMMANDS])
def test_every_option_of_every_command_has_one(name: str) -> None:
    for parser in parsers(parser_of(name)):
        for action in parser._actions:
            longest = [option for option in action.option_strings if option.startswith("--")]
            if not longest or longest[0] in ("--help", "--version"):
                assert variable_of(action) is None
                continue
            expected = "EDGE_LPR_" + longest[0][2:].upper().replace("-", "_")
            assert variable_of(action) == expected and re.fullmatch(r"[A-Z0-9_]+", expected)


@pytest.mark.parametrize("name", ["read", *COMMANDS])
def test_the_help_says_so(name: str) -> None:
    assert "EDGE_LPR_MIN_SCORE=0.6 is --min-score 0.6" in parser_of(name).format_help()


def a_parser() -> Parser:
    parser = Parser(prog="edge-lpr test")
    add = parser.add_argument
    add("--number", type=float, default=1.0)
    add("--kind", choices=("a", "b"), default="a")
    add("--flag", action="store_true", default=None)
    add("--tidy", action=argparse.BooleanOptionalAction, default=True)
    add("--sizes", nargs="+", type=int)
    add("--gate", action="append")
    add("--out", required=True)
    add("--log-level", default="info")
    add("--debug", dest="log_level", action="store_const", const="debug")
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--this")
    one.add_argument("--that")
    return parser


def test_values_of_all_kinds() -> None:
    parser = a_parser()
    said = {
        "NUMBER": "2.5", "KIND": "b", "FLAG": "1", "TIDY": "0", "SIZES": "1 2 3", "GATE": "'a b' c",
        "OUT": "x y/", "THAT": "z", "DEBUG": "1", "UNKNOWN": "?",
    }  # fmt: skip
    take_variables(parser, {f"EDGE_LPR_{name}": value for name, value in said.items()})
    assert vars(parser.parse_args([])) == {
        "number": 2.5, "kind": "b", "flag": True, "tidy": False, "sizes": [1, 2, 3], "gate": ["a b", "c"],
        "out": "x y/", "log_level": "debug", "this": None, "that": "z",
    }  # fmt: skip


def test_the_command_line_wins() -> None:
    parser = a_parser()
    take_variables(parser, {"EDGE_LPR_NUMBER": "2.5", "EDGE_LPR_TIDY": "0", "EDGE_LPR_FLAG": ""})
    args = parser.parse_args(["--number", "3", "--tidy", "--out", "o", "--this", "1"])
    assert (args.number, args.tidy, args.flag) == (3.0, True, None)
    # What the environment says of one option takes nothing from the others.
    with pytest.raises(SystemExit):
        parser.parse_args([])


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NUMBER", "x", "EDGE_LPR_NUMBER: invalid float value: 'x'; see: edge-lpr test --help"),
        ("KIND", "c", "EDGE_LPR_KIND: invalid choice: 'c'"),
        ("FLAG", "yes", "EDGE_LPR_FLAG is 'yes', expected 1 or 0"),
        ("SIZES", "1 b", "EDGE_LPR_SIZES: invalid int value: 'b'"),
        ("GATE", "'a", 'EDGE_LPR_GATE is "\'a": No closing quotation'),
    ],
)
def test_a_wrong_value_names_the_variable(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingError, match=re.escape(told)):
        take_variables(a_parser(), {f"EDGE_LPR_{name}": value})


def test_the_folder_of_engines_is_looked_up_where_engines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = command_parser("read")
    take_variables(parser, {"EDGE_LPR_ENGINES": "engines/"})
    assert parser.parse_args(["a.mp4"]).engines is None


def test_commands_heed_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EDGE_LPR_MIN_SCORE", "1.5")
    assert main(["a.mp4"]) == 2
    assert (
        "EDGE_LPR_MIN_SCORE: '1.5', expected a number from 0 to 1; see: edge-lpr" in capsys.readouterr().err
    )
    monkeypatch.setenv("EDGE_LPR_MIN_SCORE", "0.5")
    monkeypatch.setenv("EDGE_LPR_SAVE", "out.xyz")
    assert main(["samples"]) == 2
    assert "--save out.xyz: cannot be written as .xyz" in capsys.readouterr().err


def test_a_mistyped_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGE_LPR_MINSCORE", "0.5")
    line = "edge-lpr: EDGE_LPR_MINSCORE is the variable of no option; did you mean EDGE_LPR_MIN_SCORE?"
    assert main(["none.mp4"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == line
    assert main(["none.mp4", "--log-level", "error"]) == 2
    assert line not in capsys.readouterr().err


def test_variables_of_other_commands_are_not_mistyped() -> None:
    known: set[str] = set()
    found = []
    for name in ["read", *COMMANDS]:
        with suppress(ModuleNotFoundError):
            found.append(command_parser(name))
            for parser in parsers(found[-1]):
                known |= {variable for action in parser._actions if (variable := variable_of(action))}
    assert len(known) > 60 and [line for parser in found for line in mistyped(parser, known)] == []
