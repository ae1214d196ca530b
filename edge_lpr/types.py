"""Names of the arrays and values that run through the whole kit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""uint8 H×W×3, blue, green and red, 0 to 255."""
Batch = NDArray[np.uint8]
"""uint8 N×H×W×3, images of one size as a model takes them."""
Mask = NDArray[np.uint8]
"""uint8 H×W coverage, 0 to 255."""
FloatMap = NDArray[np.float32]
"""float32 H×W, a probability of each pixel, 0 to 1."""
ByteMap = NDArray[np.uint8]
"""uint8 H×W, a probability of each pixel × 255."""
Quad = NDArray[np.float32]
"""float32 4×2, the corners top-left, top-right, bottom-right, bottom-left, x and y in pixels."""
Probs = NDArray[np.float32]
"""float32 T×C, at each of T CTC steps the probability of each class, 0 to 1; class 0 is the blank."""
LogProbs = NDArray[np.float32]
"""float32 T×C or L×C, natural logarithms of the probability of each class, at a step or of a character."""
Arrays = dict[str, NDArray[Any]]
"""Arrays by parameter name."""
Rng = np.random.Generator
Size = tuple[int, int]
"""Height and width, in pixels."""
Color = tuple[int, int, int]
"""Blue, green, red; 0 to 255."""
FloatColor = tuple[float, float, float]
"""Blue, green, red; 0 to 255."""
Part = Literal["det", "rec"]
"""The detector or the recognizer."""
PARTS: tuple[Part, ...] = ("det", "rec")
"""Both, in the order in which they run."""
EvaluationTask = Literal["det", "rec", "e2e"]
"""What accuracy is measured of: the detector, the recognizer, or both end to end."""
TASKS: tuple[EvaluationTask, ...] = ("det", "rec", "e2e")
Tick = Callable[[int], None]
"""Called with a number of items as they are done."""
