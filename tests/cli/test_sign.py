"""`edge-lpr sign` and --verify-key: what is not signed, or changed, is one line before a model is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.engine_manifests import ORIN, PLAN, manifest, model

pytest.importorskip("cryptography", reason="needs what the extra 'sign' installs")

from edge_lpr import PlateReader
from edge_lpr.backends import open_models
from edge_lpr.backends.base import BACKENDS
from edge_lpr.backends.tensorrt.engine_folder import find_engine
from edge_lpr.backends.tensorrt.engine_manifest import read_manifest
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.bundle.writer import NewModel, add_precisions
from edge_lpr.cli import main
from edge_lpr.engines.engine_cache import entries
from edge_lpr.errors import BackendError, SignatureError
from edge_lpr.signatures import load_public_key, new_key

SAMPLE = Path(__file__).parents[2] / "samples" / "street.jpg"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a key, another key, and a signed copy of the bundle in the package."""
    monkeypatch.chdir(tmp_path)
    new_key(tmp_path / "release.key")
    new_key(tmp_path / "other.key")
    shutil.copytree(bundled(), tmp_path / "bundle")
    assert main(["sign", "bundle", "--key", "release.key"]) == 0
    return tmp_path


def refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and told.out == ""


def test_a_new_key_signs_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sign", "--new-key", "release.key"]) == 0
    public = capsys.readouterr().out.splitlines()[1].split()[0]
    shutil.copytree(bundled(), "bundle")
    assert main(["sign", "bundle", "--key", "release.key"]) == 0
    assert main(["sign", "bundle", "--verify-key", "release.pub"]) == 0
    assert main(["sign", "bundle", "--verify-key", public]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "signed  bundle/bundle.json.minisig", *["good    bundle/bundle.json"] * 2,
    ]  # fmt: skip


def test_a_signed_bundle_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra 'cpu' installs")
    with PlateReader("bundle", verify_key="release.pub") as reader:
        assert reader.bundle.verify_key == load_public_key("release.pub")
    main(["doctor", "--bundle", "bundle", "--verify-key", "release.pub", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["bundle"]["found"].endswith("signed by the key given") and checks["trial"]["state"] == "ok"


COMMANDS = (["none.mp4"], ["evaluate", "rec", "none"], ["build", "--dry-run"], ["sign"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_what_is_not_as_signed_is_one_line_in_every_command(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "plates.csv").write_text("file,text\n", encoding="utf-8")
    (folder / "none.mp4").write_bytes(b"\0")
    (folder / "none").mkdir()
    (folder / "none" / "rec.txt").write_text("a.png\t京A12345\n", encoding="utf-8")
    shutil.copy(SAMPLE, folder / "none" / "a.png")
    bundle = ["bundle"] if command[0] in ("build", "sign") else ["--bundle", "bundle"]
    whole = [*command, *bundle, "--verify-key", "release.pub"]
    refused([*whole[:-1], "other.pub"], "made with the key", capsys)
    refused([*whole[:-1], "plates.csv"], "plates.csv: not a public key", capsys)
    signature = (folder / "bundle" / "bundle.json.minisig").read_bytes()
    (folder / "bundle" / "bundle.json.minisig").unlink()
    refused(whole, "bundle/bundle.json: not signed (no bundle.json.minisig beside it)", capsys)
    (folder / "bundle" / "bundle.json.minisig").write_bytes(signature)
    # What it holds is no JSON any more: the signature is looked at first.
    (folder / "bundle" / "bundle.json").write_bytes(b"{")
    refused(
        whole, "bundle/bundle.json: not what was signed: it was changed, or the signature is forged", capsys
    )


@pytest.mark.parametrize("change", ["model", "model and manifest", "model, manifest and signature"])
def test_a_changed_model_is_refused(change: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import hashlib

    path = folder / "bundle" / "det.fp32.onnx"
    path.write_bytes(data := path.read_bytes()[:-1] + b"\x01")
    said = "sha256"
    if "manifest" in change:
        raw = json.loads((folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))
        raw["det"]["precisions"]["fp32"]["sha256"] = hashlib.sha256(data).hexdigest()
        (folder / "bundle" / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
        said = "not what was signed"
    if "signature" in change:
        assert main(["sign", "bundle", "--key", "other.key"]) == 0
        said = "made with the key"
    (folder / "a.mp4").write_bytes(b"\0")
    refused(["a.mp4", "--bundle", "bundle", "--verify-key", "release.pub"], said, capsys)


def test_a_bundle_that_is_changed_loses_its_signature(folder: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    add_precisions(bundle, {("det", "fp16"): NewModel(b"new", {})}, {})
    with pytest.raises(SignatureError, match="not signed"):
        load_bundle(folder / "bundle", load_public_key("release.pub"))


def test_what_is_damaged_is_not_signed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bundle" / "rec.int8.onnx").write_bytes(b"x")
    refused(["sign", "bundle", "--key", "release.key"], "rec.int8.onnx: 1 bytes", capsys)
    refused(["sign", "--key", "release.key"], "what? give a bundle's folder", capsys)
    refused(["sign", "bundle"], "one of the arguments --key --verify-key --new-key is required", capsys)
    refused(["sign", "release.key", "--key", "release.key"], "neither a bundle's folder", capsys)
    (folder / "empty").mkdir()
    refused(["sign", "empty", "--key", "release.key"], "empty: neither a bundle nor engines in it", capsys)


def test_engines_are_signed_and_asked_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, of, engines = load_public_key("release.pub"), model(folder), folder / "engines"
    made = [manifest(engines, of, path=engines / f"{n}.json", created=f"2026-0{n}-01") for n in (1, 2)]
    for one in made:
        one.write(PLAN)
    with pytest.raises(SignatureError, match=r"1.json: not signed .* \(and 1 more\)$"):
        find_engine(engines, of, ORIN, key)
    assert main(["sign", "engines/1.engine", "--key", "release.key"]) == 0
    found = find_engine(engines, of, ORIN, key)
    assert found.path.name == "1.json" and found.verified and found.read_engine() == PLAN
    assert find_engine(engines, of, ORIN).path.name == "2.json"  # where nobody asks, the newest
    refused(["sign", "engines", "--verify-key", "release.pub"], "2.json: not signed", capsys)
    assert main(["sign", "engines", "--key", "release.key"]) == 0
    assert main(["sign", "engines", "--verify-key", "release.pub"]) == 0
    (engines / "2.engine").write_bytes(b"another"[: len(PLAN)])
    with pytest.raises(SignatureError, match="not the file that its manifest describes"):
        find_engine(engines, of, ORIN, key).read_engine()
    (engines / "2.json").write_text((engines / "2.json").read_text().replace('"seconds": 2', '"seconds": 3'))
    with pytest.raises(SignatureError, match=r"2.json: not what was signed"):
        read_manifest(engines / "2.json", key)
    assert find_engine(engines, of, ORIN, key).path.name == "1.json"


def test_an_engine_that_is_built_again_loses_its_signature(folder: Path) -> None:
    one = manifest(folder / "engines", model(folder))
    one.write(PLAN)
    assert main(["sign", "engines", "--key", "release.key"]) == 0
    assert [len(entry.files()) for entry in entries(folder / "engines", None)] == [3]
    one.write(PLAN)
    with pytest.raises(SignatureError, match="not signed"):
        read_manifest(one.path, load_public_key("release.pub"))


def test_auto_does_not_go_round_an_engine_that_is_not_signed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def fail(error: type[Exception]) -> None:
        def opener(bundle: object, precision: str, options: object) -> None:
            raise error("refused")

        kind = replace(BACKENDS["tensorrt"], open=opener, absence=lambda: "")
        monkeypatch.setitem(BACKENDS._choices, "tensorrt", kind)

    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra 'cpu' installs")
    bundle = load_bundle(folder / "bundle")
    fail(BackendError)
    open_models(bundle).close()
    fail(SignatureError)
    with pytest.raises(SignatureError, match="refused"):
        open_models(bundle)
