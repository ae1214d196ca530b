"""Every command that README and docs show is one that exists; those marked so are run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.cli import COMMANDS, command_parser
from edge_lpr.health.status import STATUS_FIELDS
from edge_lpr.outputs.records import FIELDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = "<!-- run -->"
README_BYTES = 9 * 1024


@dataclass(frozen=True)
class Shown:
    """One command of a page.

    Attributes:
        page: The page's name.
        words: The command, as the shell splits it.
        run: Whether the page says that it works on any machine, in a fresh clone.
    """

    page: str
    words: tuple[str, ...]
    run: bool

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def shown() -> Iterator[Shown]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(rf"(?P<mark>{re.escape(RUN)}\n)?```sh\n(?P<code>.*?)```", text, re.DOTALL):
            for line in block["code"].replace("\\\n", " ").splitlines():
                for command in re.split(r" && | \| ", line):
                    words = tuple(shlex.split(command.partition(" > ")[0], comments=True))
                    if words:
                        yield Shown(page.name, words, block["mark"] is not None)


COMMANDS_SHOWN = list(shown())


@cache
def options(module: str) -> frozenset[str]:
    """The options that a module's own --help names."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    skip_for_an_extra(done.stderr)
    assert done.returncode == 0, done.stderr
    return frozenset(re.findall(r"(?<![\w-])--[a-z-]+", done.stdout))


def skip_for_an_extra(told: str) -> None:
    if found := re.search(r"the package '(\w+)' of the extra '(\w+)'", told):
        pytest.skip(reason(*found.groups()))


def extras() -> frozenset[str]:
    section = (
        (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    )
    return frozenset(re.findall(r"^([a-z]+) = \[", section.split("\n[")[0], re.MULTILINE))


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS_SHOWN) > 30
    assert {name for s in COMMANDS_SHOWN if s.words[0] == "edge-lpr" for name in s.words[1:2]} >= set(
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS_SHOWN, ids=str)
def test_the_command_exists_and_takes_its_options(command: Shown) -> None:
    program, *words = command.words
    if program == "edge-lpr":
        name = words.pop(0) if words[0] in COMMANDS else "read"
        module = COMMANDS[name].module if name != "read" else ""
        stage = module.split(".")[1] if module else ""
        try:
            parser = command_parser(name)
        except ModuleNotFoundError as e:
            pytest.skip(reason(f"{e.name} ({stage})", COMMANDS[name].extra))
        parser.parse_args(words)
    elif program == "python" and words[:3] == ["-m", "pip", "install"]:
        for word in words[3:]:
            if named := re.fullmatch(r"\.\[(.+)\]", word):
                assert set(named[1].split(",")) <= extras()
            elif word.endswith(".txt"):
                assert (ROOT / word).is_file()
    elif program == "python" and words[0] == "-m":
        module = words[1]
        assert find_spec(module) is not None, f"{command}: no such module"
        used = {w.partition("=")[0] for w in words[2:] if w.startswith("--")}
        if module.startswith("edge_lpr."):
            assert used <= options(module), f"{command}: --help does not name {used - options(module)}"
    else:
        assert program in ("pre-commit", "trtexec", "ffmpeg", "cat"), f"{command}: not known to this test"


@pytest.mark.parametrize("command", [s for s in COMMANDS_SHOWN if s.run], ids=str)
def test_commands_that_need_nothing_are_run(command: Shown, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    words = [str(ROOT / w) if "/" in w and (ROOT / w).exists() else w for w in command.words]
    assert words[0] == "edge-lpr"
    done = subprocess.run(
        [sys.executable, "-m", "edge_lpr", *words[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    skip_for_an_extra(done.stderr)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    for option, value in pairwise(words):
        if option in ("--save", "--crops"):
            assert (tmp_path / value).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    for path in re.findall(
        r"`((?:edge_lpr|export|calib|engines|finetune|benchmarks|samples)/[\w./-]*\w)`", text
    ):
        assert "NAME" in path or (ROOT / path).exists(), f"{page.name}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_modules_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`(edge_lpr(?:\.[\w.]+)?)`", page.read_text(encoding="utf-8")):
        module, _, attribute = name.rpartition(".")
        if module and attribute[:1].isupper():
            assert find_spec(module) is not None, f"{page.name}: {name}"
        else:
            assert find_spec(name) is not None, f"{page.name}: {name}"


def test_tests_that_are_named_exist() -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    for page in PAGES:
        named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= known, f"{page.name}: {named - known}"


def test_every_python_example_compiles_and_imports_what_exists() -> None:
    for page in PAGES:
        for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            compile(code, page.name, "exec")
            for line in code.splitlines():
                if line.startswith(("from edge_lpr", "import edge_lpr")):
                    exec(line, {})


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def examples() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for code in re.findall(rf"{re.escape(RUN)}\n```python\n(.*?)```", text, re.DOTALL):
            yield page.name, code


@pytest.mark.parametrize(("page", "code"), list(examples()))
def test_python_examples_that_need_nothing_are_run(page: str, code: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"


def test_what_the_page_on_extending_registers_can_be_chosen(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    code = "\n".join(code for page, code in examples() if page == "extending.md")
    command = ["samples/street.jpg", "--backend", "mine", "--greet", "hello"]
    code += f"\nfrom edge_lpr.cli import main\nraise SystemExit(main({command}))"
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hello 苏E7K52M" in done.stdout


def test_the_table_of_fields_is_the_outputs() -> None:
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)
    assert rows == [name for name, _, _ in FIELDS]
    for name, kind, meaning in FIELDS:
        assert f"| `{name}` | {kind} | {meaning} |" in text


def test_the_table_of_the_status_is_its_own() -> None:
    text = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE) == [name for name, _, _ in STATUS_FIELDS]
    for name, kind, meaning in STATUS_FIELDS:
        assert f"| `{name}` | {kind} | {meaning} |" in text


def test_the_tests_that_are_named_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 10
    for path, test in named:
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_the_quick_start_is_the_same_in_chinese() -> None:
    english, chinese = ((ROOT / n).read_text(encoding="utf-8") for n in ("README.md", "README.zh.md"))
    quick_start = english.split("\n## Figures\n")[0]
    ours, theirs = (re.findall(r"```(\w*)\n(.*?)```", t, re.DOTALL) for t in (quick_start, chinese))
    assert len(ours) >= 8
    assert theirs == ours


def test_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES
