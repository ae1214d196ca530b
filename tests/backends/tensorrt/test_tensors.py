from __future__ import annotations

import numpy as np

from edge_lpr.backends.tensorrt.profile import Profile
from edge_lpr.backends.tensorrt.tensors import Tensors


def test_the_tightest_profile_that_holds_a_shape() -> None:
    wide = Profile((1, 32, 32, 3), (8, 64, 64, 3), (8, 64, 64, 3))
    one = Profile((1, 64, 64, 3), (1, 64, 64, 3), (1, 64, 64, 3))
    tensors = Tensors("image", np.dtype(np.uint8), {"prob": np.dtype(np.float32)}, (wide, one))
    assert tensors.profile((1, 64, 64, 3)) == 1
    assert tensors.profile((2, 64, 64, 3)) == tensors.profile((1, 32, 64, 3)) == 0
    assert tensors.profile((9, 64, 64, 3)) is None
    assert tensors.profile((1, 64, 64)) is None
