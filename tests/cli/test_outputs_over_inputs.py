"""No command writes over what it reads, nor two outputs into one file; each kind of input is tried."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_lpr.cli import COMMANDS, command_parser, main
from edge_lpr.signatures import new_key

pytest.importorskip("onnx", reason="the tiny bundle is made with onnx")

from helpers.ccpd import ONE, write_ccpd
from helpers.engine_manifests import H200
from helpers.tiny_bundle import write_bundle, write_data

RUN = ("best.pdparams", "keys.txt", "run.png")
OUTPUTS = {
    "read": {"--jsonl", "--csv", "--save", "--crops", "--status"},
    "evaluate": {"--json"},
    "compare": {"--out", "--json"},
    "calibrate": {"BUNDLE", "--cache"},
    "export": {"--out", "--report", "--pretrained"},
    "dataset": {"--out"},
    "finetune": {"--out"},
    "build": {"--out", "--triton"},
    "archive": {"--out"},
    # A new key takes the place of no file, and a signature lies beside its manifest.
    "sign": {"PATH", "--new-key"},
}
INPUTS = {
    "read": {"SOURCE", "--bundle", "--engines"},
    "doctor": {"DIR", "--bundle"},
    "evaluate": {"DATA", "--bundle", "--engines"},
    "compare": {"BUNDLE", "--data", "--engines"},
    "calibrate": {"--data"},
    "export": {"--det", "--rec", "--dict", "--charset", "--origin", "--images", "--verify", "--wheel"},
    "dataset": {"DIR"},
    "finetune": {"--pretrained", "--dict", "--ccpd", "--photos", "--val", "--font", "--config", "--teacher"},
    "build": {"BUNDLE"},
    "engines": {"DIR", "--dir", "--bundle"},
    "sign": {"--key"},
    "archive": {"SOURCE", "--bundle", "--engines"},
    "serve": {"FILE"},
}
# What is typed, and the file that is both read and written then; "A = B" makes A another name of B.
TRIED = [
    ("data/scenes/1.png --jsonl data/scenes/1.png", "data/scenes/1.png"),
    ("data/scenes --csv data/scenes/2.png", "data/scenes/2.png"),
    ("data/scenes --save data/scenes", "data/scenes/0.png"),
    ("data/scenes/1.png --status data/scenes/1.png", "data/scenes/1.png"),
    ("data/scenes/1.png --bundle b --status b/bundle.json", "b/bundle.json"),
    ("data/scenes/1.png --bundle b --jsonl b/bundle.json", "b/bundle.json"),
    ("data/scenes/1.png @cameras.txt --jsonl cameras.txt", "cameras.txt"),
    ("data/scenes/1.png gate=@cameras.txt --crops c --csv cameras.txt", "cameras.txt"),
    ("archive data/scenes --bundle b --out o", "o/_archive/plan.json = data/scenes/1.png"),
    ("archive @cameras.txt --bundle b --out o", "o/_archive/units.parquet = cameras.txt"),
    ("evaluate e2e data/plates.csv --bundle b --json data/plates.csv", "data/plates.csv"),
    ("evaluate rec data --bundle b --json data/crops/3.png", "data/crops/3.png"),
    ("evaluate det data --bundle b --json b/det.fp32.onnx", "b/det.fp32.onnx"),
    ("compare b --data data --json data/plates.csv", "data/plates.csv"),
    ("compare b --data data --out r", "r/report.html = data/plates.csv"),
    ("compare b --data data --out r", "r/size.png = data/scenes/0.png"),
    ("compare b --data data --out r", "r/report.json = b/bundle.json"),
    ("calibrate b --data data", "b/det.int8.onnx = data/scenes/3.png"),
    ("calibrate b --data data --cache c", "c/a.json = data/plates.csv"),
    ("export --det b/d.pdparams --rec r.pdparams --out b", "b/d.pdparams"),
    ("export --det d.pdparams --rec r.pdparams --dict k.txt --out b --report k.txt", "k.txt"),
    ("export --det d.pdparams --rec r.pdparams --charset k.txt --out b --report k.txt", "k.txt"),
    ("export --det d.pdparams --rec r.pdparams --origin k.txt --out b --report k.txt", "k.txt"),
    ("export --det d.pdparams --rec r.pdparams --out n", "n.parity.json = r.pdparams"),
    ("export --det m/inference.pdmodel --rec r.pdparams --out n --report m/inference.pdiparams",
     "m/inference.pdiparams"),
    ("export --det m --rec r.pdparams --out n --report m/inference.yml", "m/inference.yml"),
    ("export --det d.pdparams --rec r.pdparams --images data/scenes --out n --report data/scenes/1.png",
     "data/scenes/1.png"),
    ("export --verify b --report b/bundle.json", "b/bundle.json"),
    ("export --pretrained p --wheel w.whl", "p/det.pdparams = w.whl"),
    ("dataset ccpd ccpd --out out", f"out/crops/ccpd_base/{ONE} = ccpd/ccpd_base/{ONE}"),
    ("dataset ccpd ccpd --out out", f"out/skipped.txt = ccpd/ccpd_base/{ONE}"),
    ("finetune det --render --pretrained run/best.pdparams --out run", "run/best.pdparams"),
    ("finetune rec --render --pretrained d.pdparams --dict run/keys.txt --out run", "run/keys.txt"),
    ("finetune det --render --pretrained d.pdparams --config run/config.yml --out run", "run/config.yml"),
    ("finetune rec --render --pretrained d.pdparams --font run/run.png --out run", "run/run.png"),
    ("finetune det --render --pretrained d.pdparams --teacher run/best --out run", "run/best.pdparams"),
    ("finetune det --ccpd data --pretrained d.pdparams --out run", "run/run.png = data/scenes/7.png"),
    ("finetune det --render --val data --pretrained d.pdparams --out run",
     "run/charset.txt = data/plates.csv"),
    ("finetune det --render --photos data --pretrained d.pdparams --out run",
     "run/history.json = data/plates.csv"),
    ("build b --out e", "the manifest = b/bundle.json"),
    ("sign b --key k.key", "b/bundle.json.minisig = k.key"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bundle(Path("b"))
    write_data(Path("data"))
    write_ccpd(Path("ccpd"))
    Path("cameras.txt").write_text("http://127.0.0.1:1/live\n")
    for name in ("k.txt", "d.pdparams", "r.pdparams", "w.whl", "b/d.pdparams", "m/inference.pdmodel"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("A\nB\n")
    if importlib.util.find_spec("cryptography"):
        new_key(Path("k.key"))
    for name in ("m/inference.pdiparams", "m/inference.yml", *(f"run/{n}" for n in RUN)):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("A\nB\n")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("typed", "both"), TRIED, ids=[f"{typed} ({both})" for typed, both in TRIED])
def test_what_is_read_is_not_written_over(
    typed: str, both: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(typed)
    if words[0] in COMMANDS:
        skip_without_extra(words[0])
    if words[0] == "build":
        from edge_lpr.backends.tensorrt.api import TensorRT
        from edge_lpr.bundle.manifest import load_bundle
        from edge_lpr.engines.build import build_jobs
        from edge_lpr.engines.build_settings import BuildSettings

        monkeypatch.setattr(TensorRT, "open", lambda device: SimpleNamespace(machine=H200))
        job = next(iter(build_jobs(load_bundle("b"), (), BuildSettings())))
        both = both.replace("the manifest", str(job.path(Path("e"), H200)))
    if "--config" in words:
        assert main(["finetune", words[1], "--print-config"]) == 0
        Path("run/config.yml").write_text(capsys.readouterr().out)
    written, _, read = both.partition(" = ")
    if read:
        Path(written).parent.mkdir(parents=True, exist_ok=True)
        Path(written).unlink(missing_ok=True)
        Path(written).hardlink_to(read)
    before = contents(folder)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"{Path(written)}: would overwrite " in err, err
    assert ", which is read; give another name" in err and contents(folder) == before


def test_the_status_is_no_other_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("o").write_text("older")
    assert main(["data/scenes/1.png", "--bundle", "b", "--jsonl", "o", "--status", "./o"]) == 2
    assert "--status and --jsonl are the same" in capsys.readouterr().err and Path("o").read_text() == "older"


def test_two_outputs_of_one_command_are_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skip_without_extra("compare")
    assert main(["compare", "b", "--data", "data", "--out", "r", "--json", "./r/report.json"]) == 2
    assert "--out and --json are the same" in capsys.readouterr().err and not Path("r").exists()


def test_a_run_is_not_trained_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skip_without_extra("finetune")
    Path("run/latest.state").write_text("hours of work")
    assert main(["finetune", "det", "--render", "--pretrained", "d.pdparams", "--out", "run"]) == 2
    assert "run: holds a run already (latest.state); go on with it with --resume" in capsys.readouterr().err
    assert Path("run/latest.state").read_text() == "hours of work"


@pytest.mark.parametrize("name", ["read", *COMMANDS])
def test_every_file_that_an_option_names_is_known_here(name: str) -> None:
    skip_without_extra(name)
    files = {"FILE", "DIR", "PLACE", "PATH", "DATA", "BUNDLE", "SOURCE", "plate|FILE"}
    named = {
        (action.option_strings or [action.metavar])[0]
        for action in command_parser(name)._actions
        if action.metavar in files
    }
    known = OUTPUTS.get(name, set()) | INPUTS.get(name, set())
    assert named <= known, f"{name} {named - known}: read or written? see that it goes through check_outputs"
    assert OUTPUTS.get(name, set()) <= named
    assert not OUTPUTS.get(name) or any(typed.split()[0] == name or name == "read" for typed, _ in TRIED)


def skip_without_extra(name: str) -> None:
    if name in COMMANDS:
        try:
            import_module(COMMANDS[name].module)
            needed = {
                "scale": "pyarrow",
                "finetune": "torch",
                "calib": "jinja2",
                "export": "onnx",
                "sign": "cryptography",
            }
            if COMMANDS[name].extra in needed:
                import_module(needed[COMMANDS[name].extra])
        except ModuleNotFoundError as e:
            pytest.skip(f"needs {e.name}, of the extra {COMMANDS[name].extra!r}")


def test_standard_output_is_no_input_and_no_status(folder: Path) -> None:
    command = [sys.executable, "-m", "edge_lpr", "data/scenes/1.png", "--bundle", "b", "--quiet"]
    picture, there = Path("data/scenes/1.png"), Path("data/scenes/1.png").read_bytes()
    for words, file, said in (
        (["--jsonl", "-"], picture, "which is read"),
        (["--jsonl", "/dev/stdout", "--status", "o"], Path("o"), "are the same"),
    ):
        with file.open("ab") as out:
            done = subprocess.run(
                [*command, *words], stdout=out, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert picture.read_bytes() == there and Path("o").read_bytes() == b""
