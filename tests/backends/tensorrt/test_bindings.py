from __future__ import annotations

import importlib.util

import pytest

from edge_lpr.backends.tensorrt.bindings import check_versions, import_tensorrt, version_tuple
from edge_lpr.errors import BackendError


@pytest.mark.parametrize(
    ("tensorrt", "numpy"),
    [("8.6.1", "1.26.4"), ("10.3.0", "1.26.4"), ("10.16.1.11", "2.4.0"), ("11.4.0.106", "2.4.0")],
)
def test_versions_that_go_together(tensorrt: str, numpy: str) -> None:
    check_versions(tensorrt, numpy)


@pytest.mark.parametrize(
    ("tensorrt", "numpy", "said"),
    [
        ("8.5.3", "1.26.4", "TensorRT 8.5.3 is too old"),
        ("8.6.1", "2.0.0", "misreads arrays of numpy 2.0.0: pip install 'numpy<2'"),
        ("10.15.1", "2.4.6", "misreads arrays of numpy 2.4.6"),
    ],
)
def test_versions_that_do_not(tensorrt: str, numpy: str, said: str) -> None:
    with pytest.raises(BackendError) as e:
        check_versions(tensorrt, numpy)
    assert said in str(e.value)


@pytest.mark.parametrize(
    ("version", "expected"), [("10.16.1.11", (10, 16)), ("8.6", (8, 6)), ("11", (11, 0)), ("odd", (0, 0))]
)
def test_version_tuple(version: str, expected: tuple[int, int]) -> None:
    assert version_tuple(version) == expected


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_no_tensorrt_says_where_it_comes_from() -> None:
    with pytest.raises(
        BackendError, match=r"is not installed: on a Jetson JetPack brings it .* pip install tensorrt"
    ):
        import_tensorrt()
