"""The section `Loss`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.networks import Guide
from edge_lpr.finetune.recipe.node import Node, operators

__all__ = ["DBLossSettings", "RecLossSettings", "read_det_loss", "read_rec_loss"]


@dataclass(frozen=True)
class DBLossSettings:
    """DB's loss.

    Attributes:
        main_loss_type: Of the probability map: "DiceLoss" as PaddleOCR's configs have it, or "BCELoss", the
            balanced cross-entropy of the paper.
        alpha: Weight of the probability map's loss.
        beta: Weight of the threshold map's loss.
        ohem_ratio: Background pixels that count, per text pixel, of BCELoss.
    """

    main_loss_type: Literal["DiceLoss", "BCELoss"] = "DiceLoss"
    alpha: float = 5.0
    beta: float = 10.0
    ohem_ratio: float = 3.0


@dataclass(frozen=True)
class RecLossSettings:
    """CTC's loss, and the one of the branch that guides.

    Attributes:
        use_focal_loss: Whether CTC's loss of a text is weighted by (1 - e^-loss)².
        weight_1: Weight of CTC's loss.
        weight_2: Weight of the guide's.
        smoothing: Whether NRTR's labels are smoothed, by 0.1.
        guided: Whether the guide's loss is one of the two.
    """

    use_focal_loss: bool = False
    weight_1: float = 1.0
    weight_2: float = 1.0
    smoothing: bool = True
    guided: bool = False


def read_det_loss(node: Node) -> DBLossSettings:
    """Reads a detector's.

    Raises:
        SettingError: It is another loss, or a value is not supported.
    """
    node.only("name", "DBLoss")
    node.only("balance_loss", True, "not supported; set it to true")
    node.only("eps", 1e-6)
    loss = DBLossSettings(
        node.choice("main_loss_type", "DiceLoss", ("DiceLoss", "BCELoss")),
        node.number("alpha", 5.0, low=0.0),
        node.number("beta", 10.0, low=0.0),
        node.number("ohem_ratio", 3.0, low=0.0),
    )
    node.close()
    return loss


def read_rec_loss(node: Node, guide: Guide | None) -> RecLossSettings:
    """Reads a recognizer's.

    Args:
        node: The section.
        guide: The branch that `Architecture` has.

    Raises:
        SettingError: It is another loss, does not fit the heads, or a value is not supported.
    """
    if node.choice("name", "CTCLoss", ("CTCLoss", "MultiLoss")) == "CTCLoss":
        focal = node.flag("use_focal_loss", False)
        node.close()
        if guide is not None:
            _misfit(node, "CTCLoss", guide)
        return RecLossSettings(focal)
    weights = node.number("weight_1", 1.0, low=0.0), node.number("weight_2", 1.0, low=0.0)
    losses = dict(operators(node, "loss_config_list"))
    ctc = losses.pop("CTCLoss", None)
    if ctc is None:
        raise SettingError(f"{node.key('loss_config_list')} has no CTCLoss, which is what an export reads by")
    focal = ctc.flag("use_focal_loss", False)
    smoothing = True
    wanted = [] if guide is None else [f"{guide.kind}Loss"]
    if list(losses) != wanted:
        _misfit(node, ", ".join(["CTCLoss", *losses]), guide)
    for name, one in losses.items():
        if name == "NRTRLoss":
            smoothing = one.flag("smoothing", True)
        one.close()
    ctc.close()
    node.close()
    return RecLossSettings(focal, *weights, smoothing, guide is not None)


def _misfit(node: Node, found: str, guide: Guide | None) -> None:
    heads = "CTCHead alone" if guide is None else f"CTCHead and {guide.kind}Head"
    wanted = "CTCLoss alone" if guide is None else f"MultiLoss of CTCLoss and {guide.kind}Loss"
    raise SettingError(
        f"{node.path} has {found}, but Architecture.Head.head_list has {heads}: expected {wanted}"
    )
