"""Losses of the two fine-tunings: DB's three-part loss for detection, CTC for recognition.

Source of DB's: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (2020),
equation 7, with the weights of PP-OCRv3's configuration (alpha 5, beta 10, three negatives per positive).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edge_lpr.finetune.recipe.losses import DBLossSettings

__all__ = ["balanced_bce", "ctc_loss", "db_loss", "dice_loss", "masked_l1", "mean_of_hardest"]

_EPS = 1e-6
PAPER = DBLossSettings("BCELoss")


def balanced_bce(prob: Tensor, target: Tensor, mask: Tensor, negative_ratio: float = 3.0) -> Tensor:
    """Binary cross-entropy over all text pixels and the hardest of the others (online hard example mining).

    Args:
        prob: float32 N×H×W, 0 to 1.
        target: float32 N×H×W, 1 where the shrunk text is, else 0.
        mask: float32 N×H×W, 0 where a pixel is not to count.
        negative_ratio: At most so many background pixels per text pixel count; 1,000 where there is no text,
            so that images without a plate teach as well.

    Returns:
        Mean over the pixels that count.
    """
    loss = F.binary_cross_entropy(prob.clamp(_EPS, 1 - _EPS), target, reduction="none")
    return mean_of_hardest(loss, target > 0.5, mask > 0.5, negative_ratio)


def mean_of_hardest(loss: Tensor, positive: Tensor, counted: Tensor, negative_ratio: float) -> Tensor:
    """Returns the mean of a loss over all positive pixels and the hardest of the others.

    Args:
        loss: float32 N×H×W.
        positive: bool N×H×W.
        counted: bool N×H×W, which pixels count.
        negative_ratio: At most so many others per positive pixel; 1,000 where there is none.
    """
    negative = ~positive & counted
    positive = positive & counted
    positives = int(positive.sum())
    negatives = min(int(negative.sum()), max(int(positives * negative_ratio), 1000))
    hardest = loss[negative].topk(negatives).values.sum()
    return (loss[positive].sum() + hardest) / (positives + negatives + _EPS)


def dice_loss(binary: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """One minus the Dice coefficient of the approximate binary map and the shrunk text.

    Args:
        binary: float32 N×H×W, 0 to 1.
        target: float32 N×H×W, 0 or 1.
        mask: float32 N×H×W, 0 where a pixel is not to count.

    Returns:
        0 (same) to 1 (disjoint), over the whole batch.
    """
    overlap = (binary * target * mask).sum()
    return 1.0 - 2.0 * overlap / ((binary * mask).sum() + (target * mask).sum() + _EPS)


def masked_l1(threshold: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the threshold map inside the borders of texts.

    Args:
        threshold: float32 N×H×W.
        target: float32 N×H×W, 0.3 to 0.7.
        mask: float32 N×H×W, 1 inside a text's border region.
    """
    return ((threshold - target).abs() * mask).sum() / (mask.sum() + _EPS)


def db_loss(
    maps: Tensor,
    shrink: Tensor,
    shrink_mask: Tensor,
    border: Tensor,
    border_mask: Tensor,
    *,
    settings: DBLossSettings = PAPER,
    refined: bool = False,
) -> tuple[Tensor, dict[str, float]]:
    """DB's loss: `alpha`·(probability map) + `beta`·(threshold map) + (binary map).

    Args:
        maps: float32 N×3×H×W as a detector returns when training.
        shrink: float32 N×H×W target of the probability and the binary map.
        shrink_mask: float32 N×H×W, 0 on texts too small or illegible to count.
        border: float32 N×H×W target of the threshold map.
        border_mask: float32 N×H×W, where that target holds.
        settings: Weights, and which loss the probability map has: the paper's balanced cross-entropy, or
            the Dice loss of PaddleOCR's configs.
        refined: Whether the probability map is `PFHeadLocal`'s refined one. The binary map is made of the map
            before, and that one's part, once more and as a probability map, is PaddleOCR's `loss_cbn`.

    Returns:
        The loss, and its weighted parts by name.
    """
    prob, threshold, binary = maps.unbind(1)

    def main(found: Tensor) -> Tensor:
        if settings.main_loss_type == "BCELoss":
            return balanced_bce(found, shrink, shrink_mask, settings.ohem_ratio)
        # PaddleOCR balances a mean, which leaves it as it is; but where no text is, nothing is learnt.
        return dice_loss(found, shrink, shrink_mask) * ((shrink * shrink_mask).sum() >= 1)

    parts = {
        "shrink": settings.alpha * main(prob),
        "threshold": settings.beta * masked_l1(threshold, border, border_mask),
        "binary": dice_loss(binary, shrink, shrink_mask),
    }
    if refined:
        parts["unrefined"] = main(binary)
    return torch.stack(list(parts.values())).sum(), {k: float(v.detach()) for k, v in parts.items()}


def ctc_loss(
    logits: Tensor, targets: Tensor, lengths: Tensor, *, per_character: bool = True, focal: bool = False
) -> Tensor:
    """Connectionist temporal classification, blank 0, mean over the batch.

    A text that cannot be aligned (more characters and doubles than columns) counts as 0, not as infinity.

    Args:
        logits: float32 N×T×C.
        targets: int64 N×L class indices, padded at the end.
        lengths: int64 N, how many of each row count; 0 for "no text here".
        per_character: Whether the loss of a text is divided by its length, which PaddleOCR does not.
        focal: Whether it is weighted by (1 - e^-loss)², PaddleOCR's `use_focal_loss`.
    """
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    columns = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.long)
    if per_character and not focal:
        return F.ctc_loss(log_probs, targets, columns, lengths, zero_infinity=True)
    loss = F.ctc_loss(log_probs, targets, columns, lengths, reduction="none", zero_infinity=True)
    if focal:
        loss = loss * (1 - torch.exp(-loss)) ** 2
    return (loss / lengths.clamp(min=1) if per_character else loss).mean()
