"""What is to be built, and what is written of it; the builds themselves are test_protocol.py's, on a GPU."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.backends.tensorrt.engine_folder import find_engine, find_frame_engines
from edge_lpr.backends.tensorrt.engine_manifest import Machine, read_manifest
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.engines.build import build_jobs, make_manifest
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.engine_cache import entries
from edge_lpr.errors import BundleError, SettingError

ORIN = Machine("10.3.0", "Orin", "8.7", integrated=True, platform="aarch64")
SETTINGS = BuildSettings(batches=(1, 4), det_sizes=("1312x736",))


def with_all_precisions(bundle: Bundle) -> Bundle:
    """A bundle whose FP16 and INT8 files are the FP32 ones: nobody reads them here."""

    def grown(part: str) -> dict[str, object]:
        fp32 = bundle.model("det" if part == "det" else "rec", "fp32")
        extra = {"calibration": {"images": 200, "method": "percentile"}}
        return {p: replace(fp32, precision=p, extra=extra) for p in ("fp32", "fp16", "int8")}

    det = replace(bundle.det, precisions=grown("det"))  # type: ignore[arg-type]
    return replace(bundle, det=det, rec=replace(bundle.rec, precisions=grown("rec")))  # type: ignore[arg-type]


def test_both_models_in_every_precision_of_the_bundle(bundle: Bundle) -> None:
    full = with_all_precisions(bundle)
    assert [job.label for job in build_jobs(full, (), SETTINGS)] == [
        "det fp32",
        "rec fp32",
        "det fp16",
        "rec fp16",
        "det int8",
        "rec int8",
    ]
    assert [job.label for job in build_jobs(full, ("int8",), SETTINGS)] == ["det int8", "rec int8"]


def test_a_precision_that_the_bundle_lacks(bundle: Bundle) -> None:
    lacking = replace(bundle, det=replace(bundle.det, precisions={"fp32": bundle.model("det", "fp32")}))
    with pytest.raises(BundleError, match="no int8 model of 'det'"):
        list(build_jobs(lacking, ("int8",), SETTINGS))


def test_a_dla_takes_one_shape_and_fp16(bundle: Bundle) -> None:
    settings = BuildSettings(batches=(4,), det_sizes=("1312x736",), dla=0)
    full = with_all_precisions(bundle)
    (det, _) = build_jobs(full, ("fp16",), settings)
    assert det.profiles[0].min == det.profiles[0].max == (4, 736, 1312, 3)
    for precision in ("fp32", "int8"):
        with pytest.raises(SettingError, match=f"a DLA takes no {precision} model .*--precision fp16"):
            list(build_jobs(full, (precision,), settings))


def test_a_build_is_found_again_and_only_for_what_it_was(bundle: Bundle, tmp_path: Path) -> None:
    job = next(build_jobs(bundle, ("fp32",), SETTINGS))
    assert job.existing(tmp_path, ORIN) is None
    written = make_manifest(job, ORIN, tmp_path, b"a plan", 12.34)
    written.write(b"a plan")
    assert job.existing(tmp_path, ORIN) == written == read_manifest(written.path)
    assert find_engine(tmp_path, job.model, ORIN) == written
    other = next(build_jobs(bundle, ("fp32",), replace(SETTINGS, batches=(1,))))
    assert other.existing(tmp_path, ORIN) is None
    assert next(build_jobs(bundle, ("fp32",), replace(SETTINGS, tf32=True))).existing(tmp_path, ORIN) is None
    assert job.existing(tmp_path, replace(ORIN, tensorrt="10.4.0")) is None
    written.engine_path.write_bytes(b"a pla")
    assert job.existing(tmp_path, ORIN) is None


def test_what_a_manifest_keeps(bundle: Bundle, tmp_path: Path) -> None:
    job = next(build_jobs(with_all_precisions(bundle), ("int8",), SETTINGS))
    written = make_manifest(job, ORIN, tmp_path, b"a plan", 12.34)
    assert written.path.name.startswith(f"{load_bundle().name}.det.int8.orin.trt10.3.0.")
    assert written.model_sha256 == bundle.model("det", "fp32").sha256
    assert written.engine_sha256 == hashlib.sha256(b"a plan").hexdigest()
    assert len(written.calibration) == 64
    assert written.seconds == 12.3 and written.machine == ORIN
    assert written.flags == SETTINGS.flags()
    assert [p.max for p in written.profiles] == [(1, 736, 1312, 3), (4, 736, 1312, 3)]


def test_a_hostile_bundle_name_stays_in_the_folder(bundle: Bundle, tmp_path: Path) -> None:
    job = next(build_jobs(replace(bundle, name="../../etc/passwd"), ("fp32",), SETTINGS))
    made = make_manifest(job, ORIN, tmp_path, b"x", 1)
    assert made.path.parent == tmp_path and made.path.name.startswith("etc-passwd.det")


def test_each_frame_size_is_one_detector_more(bundle: Bundle) -> None:
    settings = replace(SETTINGS, frame_sizes=("1920x1080", "1280x950"))
    jobs = list(build_jobs(bundle, ("fp32",), settings))
    assert [job.label for job in jobs] == ["det fp32", "det fp32 1920x1080", "det fp32 1280x950", "rec fp32"]
    assert [p.max for p in jobs[1].profiles] == [(1, 1080, 1920, 3), (4, 1080, 1920, 3)]
    assert jobs[1].edges.frame == ((1080, 1920), (896, 1600))
    # The others are the very engines that they are without, and each is found for what it is.
    plain = list(build_jobs(bundle, ("fp32",), SETTINGS))
    assert [jobs[i].key(ORIN) for i in (0, 3)] == [job.key(ORIN) for job in plain]
    assert len({job.key(ORIN) for job in jobs}) == 4
    with pytest.raises(SettingError, match="a DLA resizes no frames"):
        BuildSettings(dla=0, batches=(1,), det_sizes=("1312x736",), frame_sizes=("1920x1080",))


def test_a_frames_engine_is_kept_apart_from_the_others(bundle: Bundle, tmp_path: Path) -> None:
    settings = replace(SETTINGS, frame_sizes=("1920x1080",))
    det, framed, _ = build_jobs(bundle, ("fp32",), settings)
    for job in (det, framed):
        make_manifest(job, ORIN, tmp_path, b"plan", 1.0).write(b"plan")
    assert find_engine(tmp_path, det.model, ORIN).frame is None
    found = find_frame_engines(tmp_path, det.model, ORIN)
    assert list(found) == [((1080, 1920), (896, 1600))]
    (manifest,) = found.values()
    assert read_manifest(manifest.path).frame == framed.edges.frame
    assert [entry.state for entry in entries(tmp_path, ORIN)] == ["valid", "valid"]
    # One that does not fit is no error: the host resizes.
    manifest.engine_path.write_bytes(b"cut")
    assert find_frame_engines(tmp_path, det.model, ORIN) == {}


def test_the_map_is_packed_unless_float_is_asked_for(bundle: Bundle) -> None:
    packed, plain = (
        next(iter(build_jobs(bundle, ("fp32",), replace(SETTINGS, float_map=float_map))))
        for float_map in (False, True)
    )
    assert packed.key(ORIN) != plain.key(ORIN)
    data = packed.model.read()
    assert plain.edges.added(data, "det") == data
    pytest.importorskip("onnx", reason=reason("onnx", "test"))
    import onnx

    outputs = onnx.load_from_string(packed.edges.added(data, "det")).graph.output
    assert [output.name for output in outputs] == ["prob_levels", "prob_above_0.3", "prob_total"]
