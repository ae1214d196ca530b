"""Real TensorRT bindings on a machine without TensorRT: importable, and described in stubs for mypy.

The wheels of the bindings hold no `.pyi`. But their extension module imports once the few C functions that it
links to exist, whatever they do, and then says by itself what it has: pybind11-stubgen writes that down. What
pybind11 cannot know of Python's side (that a call may return None, that a tuple passes for Dims) is put in.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HASHES = Path(__file__).resolve().parents[2] / "requirements" / "bindings.txt"
# Factories and plugin registries: what the extension takes from TensorRT's libraries, mangled or plain.
NEEDED_SYMBOL = re.compile(
    r"(create\w+_INTERNAL|get\w*(PluginRegistry|Version|Logger)|initLibNv\w+)$|_ZN11nvuffparser|_ZN14nvcaffeparser"
    r"|_ZN8nvinfer1"
)
# These give None where TensorRT fails; pybind11 sees a pointer.
MAY_BE_NONE = (
    "build_serialized_network|build_engine_with_config|deserialize_cuda_engine|create_execution_context"
    "|create_timing_cache"
)


@dataclass(frozen=True)
class Bindings:
    """The bindings of one version, unpacked.

    Attributes:
        requirement: What pip installs, "tensorrt-cu12-bindings==10.3.0".
        wheel: Folder with the wheel's packages.
        libraries: Folder with the libraries that stand in for TensorRT's.
        stubs: Folder with `tensorrt/__init__.pyi`.
    """

    requirement: str
    wheel: Path
    libraries: Path
    stubs: Path

    @property
    def version(self) -> str:
        """The version."""
        return self.requirement.partition("==")[2]

    def environment(self, *paths: Path) -> dict[str, str]:
        """Returns an environment in which the bindings can be imported, and Python modules in `paths`."""
        python_path = os.pathsep.join(str(path) for path in (self.wheel, *paths))
        return {**os.environ, "LD_LIBRARY_PATH": str(self.libraries), "PYTHONPATH": python_path}


def prepare(requirement: str, cache: Path) -> Bindings:
    """Downloads the bindings of one version and makes their stubs; does nothing where the cache has them.

    Args:
        requirement: What pip is to install.
        cache: Folder to keep it in.

    Raises:
        subprocess.CalledProcessError: pip, the compiler or pybind11-stubgen failed.
    """
    tag = f"py{sys.version_info[0]}{sys.version_info[1]}"
    folder = cache / f"{requirement.replace('==', '-')}-{tag}"
    made = Bindings(requirement, folder / "wheel", folder / "lib", folder / "stubs")
    stub = made.stubs / "tensorrt" / "__init__.pyi"
    if stub.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    pinned = folder / "requirement.txt"
    pinned.write_text(_pinned(requirement), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    _run([*pip, "--require-hashes", "--upgrade", "--target", str(made.wheel), "-r", str(pinned)])
    extension = next(made.wheel.glob("*/tensorrt*.so"))
    _stand_in(extension, made.libraries)
    module = f"{extension.parent.name}.{extension.name.partition('.')[0]}"
    raw = folder / "raw"
    generate = [sys.executable, "-m", "pybind11_stubgen", module, "-o", str(raw), "--ignore-all-errors"]
    _run(generate, made.environment())
    written = raw.joinpath(*module.split("."))
    choices = (written.with_suffix(".pyi"), written / "__init__.pyi")
    text = next(path for path in choices if path.exists()).read_text(encoding="utf-8")
    stub.parent.mkdir(parents=True, exist_ok=True)
    aside = stub.with_suffix(".tmp")
    aside.write_text(_complete(text), encoding="utf-8")
    aside.replace(stub)
    return made


def _pinned(requirement: str) -> str:
    """Returns a requirement with its hashes."""
    text = HASHES.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(requirement)}(?: \\\n.*)+", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{HASHES}: no {requirement}; make it anew: python tools/pin_hashes.py bindings")
    return found[0] + "\n"


def _run(command: list[str], environment: dict[str, str] | None = None, text: str = "") -> str:
    done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-4000:])
        done.check_returncode()
    return done.stdout


def _stand_in(extension: Path, folder: Path) -> None:
    """Compiles libraries with the names and functions that an extension wants; every function returns 0."""
    folder.mkdir(parents=True, exist_ok=True)
    dynamic = _run(["readelf", "-d", "-W", str(extension)])
    libraries = sorted(name for name in re.findall(r"NEEDED.*\[(.*?)\]", dynamic) if name.startswith("libnv"))
    rows = (line.split() for line in _run(["readelf", "--dyn-syms", "-W", str(extension)]).splitlines())
    wanted = {row[7] for row in rows if len(row) >= 8 and row[6] == "UND" and NEEDED_SYMBOL.match(row[7])}
    source = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in sorted(wanted))
    for library in libraries:
        # All functions in each: whichever is loaded first serves.
        command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{library}"]
        _run([*command, "-o", str(folder / library)], text=source)


def _complete(text: str) -> str:
    text = re.sub(r"(def \w+\()(.*)(\)\s*->)", lambda m: m[1] + _parameters(m[2]) + m[3], text)
    text = re.sub(r"\bcapsule\b", "typing.Any", text)
    # An enum that is defined after its first use, which pybind11 then cannot name.
    text = text.replace("def set_flag(self, flag: ...)", "def set_flag(self, flag: OnnxParserFlag)")
    # Module-level members of DataType that hide a builtin.
    text = re.sub(r"^bool: DataType.*$", "", text, flags=re.MULTILINE)
    text = re.sub(rf"(def (?:{MAY_BE_NONE})\(.*\) -> )(I\w+):", r"\1\2 | None:", text)
    members = {
        "IHostMemory": "def __buffer__(self, flags: int, /) -> memoryview: ...",
        "Dims": "def __iter__(self) -> typing.Iterator[int]: ...",
    }
    for name, member in members.items():
        text = re.sub(rf"^class {name}:\n", f"class {name}:\n    {member}\n", text, flags=re.MULTILINE)
    text += "\n__version__: str\n"
    return f"# mypy: ignore-errors\n{_without_docstrings(_parsable(text))}\n"


def _parameters(text: str) -> str:
    for name, accepted in (
        ("Dims", "Dims | typing.Sequence[int]"),
        ("DimsHW", "DimsHW | typing.Sequence[int]"),
        ("Weights", "Weights | numpy.ndarray"),
    ):
        text = re.sub(rf"(:\s*){name}(?=[,)=\s]|$)", rf"\1{accepted}", text)
    return re.sub(r"(: \w+) = None", r"\1 | None = None", text)


def _parsable(text: str) -> str:
    """Loosens signatures that are no Python: help texts which only look like some."""
    lines = text.split("\n")
    while True:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as e:
            at = (e.lineno or 1) - 1
            while not re.match(r"\s*def ", lines[at]):
                at -= 1
            match = re.match(r"(\s*)def (\w+)\((self)?", lines[at])
            own = "self, " if match and match[3] else ""
            name = f"{match[1]}def {match[2]}" if match else ""
            loose = f"{name}({own}*args: typing.Any, **kwargs: typing.Any) -> typing.Any:"
            if lines[at] == loose:
                raise
            lines[at] = loose
        else:
            return "\n".join(lines)


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Expr(ast.Constant(...))]
    return ast.unparse(tree)
