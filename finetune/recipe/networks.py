"""The section `Architecture`: which network it describes, and which branch guides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from edge_lpr.architectures.registry import of_part
from edge_lpr.errors import SettingError, shown
from edge_lpr.finetune.recipe.node import Node, operators
from edge_lpr.types import Part

__all__ = ["NETWORKS", "Guide", "NetworkSettings", "describe", "read_network"]

_RSEFPN = {"name": "RSEFPN", "out_channels": 96, "shortcut": True}
_DB_HEAD = {"name": "DBHead", "k": 50}
_INTRA_LKPAN = {"name": "LKPAN", "out_channels": 256, "intracl": True}
_REFINED_HEAD = {"name": "PFHeadLocal", "k": 50, "mode": "large"}
_NECK_V4 = {"dims": 120, "depth": 2, "hidden_dims": 120, "kernel_size": [1, 3]}

NETWORKS: dict[str, dict[str, dict[str, Any]]] = {
    "ch_PP-OCRv3_det": {
        "Backbone": {"name": "MobileNetV3", "scale": 0.5, "model_name": "large", "disable_se": True},
        "Neck": _RSEFPN,
        "Head": _DB_HEAD,
    },
    "ch_PP-OCRv3_rec": {
        "Backbone": {
            "name": "MobileNetV1Enhance",
            "scale": 0.5,
            "last_conv_stride": [1, 2],
            "last_pool_type": "avg",
            "last_pool_kernel_size": [2, 2],
        },
        "CTCHead.Neck": {"dims": 64, "depth": 2, "hidden_dims": 120, "kernel_size": [3, 3]},
    },
    "PP-OCRv4_mobile_det": {
        "Backbone": {"name": "PPLCNetV3", "scale": 0.75, "det": True},
        "Neck": _RSEFPN,
        "Head": _DB_HEAD,
    },
    # PaddleOCR has no such network; its parts are called as its own would be.
    "slim_det": {
        "Backbone": {"name": "MobileNetV3Slim", "scale": 0.5},
        "Neck": {"name": "TopDownFPN", "out_channels": 32},
        "Head": {"name": "DBHead", "k": 50, "inner_channels": 16},
    },
    "PP-OCRv4_mobile_rec": {
        "Backbone": {"name": "PPLCNetV3", "scale": 0.95},
        "CTCHead.Neck": _NECK_V4,
    },
    "ch_PP-OCRv2_det": {
        "Backbone": {"name": "MobileNetV3", "scale": 0.5, "model_name": "large", "disable_se": True},
        "Neck": {"name": "DBFPN", "out_channels": 96},
        "Head": _DB_HEAD,
    },
    "ch_ppocr_server_v2.0_det": {
        "Backbone": {"name": "ResNet_vd", "layers": 18},
        "Neck": {"name": "DBFPN", "out_channels": 256},
        "Head": _DB_HEAD,
    },
    "ch_PP-OCRv3_det_teacher": {
        "Backbone": {"name": "ResNet_vd", "layers": 50},
        "Neck": {"name": "LKPAN", "out_channels": 256},
        "Head": {**_DB_HEAD, "kernel_list": [7, 2, 2]},
    },
    "PP-OCRv4_server_det": {
        "Backbone": {"name": "PPHGNet_small", "det": True},
        "Neck": _INTRA_LKPAN,
        "Head": _REFINED_HEAD,
    },
    "PP-OCRv5_server_det": {
        "Backbone": {"name": "PPHGNetV2_B4", "det": True},
        "Neck": _INTRA_LKPAN,
        "Head": _REFINED_HEAD,
    },
    "PP-OCRv4_server_rec": {"Backbone": {"name": "PPHGNet_small"}, "CTCHead.Neck": _NECK_V4},
    "PP-OCRv5_server_rec": {
        "Backbone": {"name": "PPHGNetV2_B4", "text_rec": True},
        "CTCHead.Neck": _NECK_V4,
    },
}
"""By the names of `edge_lpr.architectures`: what PaddleOCR's configs say of each network's parts."""
_CONFIGS = {
    "ch_PP-OCRv3_det": "ch_PP-OCRv3_det_student.yml",
    "ch_PP-OCRv3_rec": "ch_PP-OCRv3_rec.yml",
    "PP-OCRv4_mobile_det": "ch_PP-OCRv4_det_student.yml",
    "PP-OCRv4_mobile_rec": "ch_PP-OCRv4_rec.yml",
    "PP-OCRv4_server_det": "ch_PP-OCRv4_det_teacher.yml",
    "ch_PP-OCRv2_det": "ch_PP-OCRv2_det_student.yml",
}
"""PaddleOCR's configs of networks that other configs of it distil."""
# Keys that configs leave out where PaddleOCR's own default is what the network has.
_OPTIONAL = frozenset({"last_pool_kernel_size", "last_pool_type", "shortcut", "k", "kernel_size", "det"})
# PaddleOCR leaves these backbones' batch norms out of the regularizer.
UNDECAYED_NORMS = frozenset({"MobileNetV1Enhance", "PPLCNetV3", "PPHGNet_small", "PPHGNetV2_B4"})
_ANY_HEIGHT = frozenset({"PPLCNetV3", "PPHGNet_small", "PPHGNetV2_B4"})
"""Backbones that a recognizer is trained with at any height: all rows of their last map are averaged."""
_FC_DECAY = 0.0004


@dataclass(frozen=True)
class Guide:
    """The attention branch of PaddleOCR's `MultiHead` that guides the training and is in no export.

    Attributes:
        kind: "SAR" or "NRTR".
        dim: Channels within: `enc_dim` or `nrtr_dim`.
        max_text_length: Longer texts, less the marks of start and end, do not guide.
        attention: Channels of SAR's attention, `d_k`.
        encoder_dropout: Of SAR's encoder, `enc_drop_rnn`.
        dropout: Of SAR's prediction, `pred_dropout`.
        layers: Of NRTR's decoder, `num_decoder_layers`.
    """

    kind: Literal["SAR", "NRTR"]
    dim: int
    max_text_length: int = 25
    attention: int = 512
    encoder_dropout: float = 0.1
    dropout: float = 0.1
    layers: int = 4


@dataclass(frozen=True)
class NetworkSettings:
    """What the section says.

    Attributes:
        names: The architectures that it describes, by the names of `edge_lpr.architectures`.
        guide: The branch that guides a recognizer; None for CTC alone.
        use_guide: Whether the guide alone trains the backbone: CTC's gradient ends before it.
        fc_decay: The regularizer's factor of CTC's last layer.
        free_norms: Whether the backbone's norms are left out of the regularizer.
        any_height: Whether a recognizer can be trained with lines of several heights.
    """

    names: tuple[str, ...]
    guide: Guide | None = None
    use_guide: bool = False
    fc_decay: float | None = None
    free_norms: bool = False
    any_height: bool = False


def read_network(node: Node, part: Part) -> NetworkSettings:
    """Reads the section.

    Args:
        node: The section.
        part: What is trained.

    Raises:
        SettingError: It describes a network that is not supported.
    """
    if node.has("Models"):
        _refuse_distillation(node.child("Models"), part)
    node.only("model_type", part, f"but `finetune {part}` was asked for")
    node.only("name", "BaseModel", "not supported; give the config of a single network")
    algorithms = ("DB",) if part == "det" else ("SVTR_LCNet", "SVTR", "SVTR_HGNet", "CRNN")
    node.choice("algorithm", algorithms[0], algorithms)
    node.only("Transform", None, "not supported; the networks that there are have none: set it to null")
    backbone, head = node.child("Backbone"), node.child("Head")
    parts = {"Backbone": backbone}
    guide, fc_decay, use_guide = None, None, False
    if part == "det":
        parts |= {"Neck": node.child("Neck"), "Head": head}
        head.idle("fix_nan")
    else:
        head.only("name", "MultiHead", "expected MultiHead, whose head_list has CTCHead")
        for flag in ("use_pool", "use_pos"):
            head.only(flag, False, "not supported: no network that there is has it; take it out")
        ctc, guide = _read_heads(head)
        neck, fc = ctc.child("Neck"), ctc.child("Head")
        neck.only("name", "svtr")
        use_guide = neck.flag("use_guide", False)
        fc_decay = fc.number("fc_decay", _FC_DECAY, low=0.0)
        parts["CTCHead.Neck"] = neck
        fc.close()
        ctc.close()
        head.close()
        if use_guide and guide is None:
            neck.refuse(
                "use_guide", True, "but no branch guides: the backbone would learn nothing; set it to false"
            )
    backbone.idle("pretrained", "in_channels")
    node.idle("freeze_params", "return_all_feats", "pretrained")
    names = _match(parts, part)
    node.close()
    named = backbone.values.get("name")
    return NetworkSettings(names, guide, use_guide, fc_decay, named in UNDECAYED_NORMS, named in _ANY_HEIGHT)


def _refuse_distillation(models: Node, part: Part) -> NoReturn:
    """Says which config trains the student of a distillation by itself."""
    name = next((one for one in ("Student", *models.values) if models.has(one)), "Student")
    config = "the config of its student"
    with suppress(SettingError):
        network = read_network(models.child(name), part).names[0]
        alone = _CONFIGS.get(
            network, f"what edge-lpr finetune {part} --network {network} --print-config writes"
        )
        config = f"{alone} ({name} is {network})"
    more = "; with --teacher it learns from another detector, too" if part == "det" else ""
    raise SettingError(
        f"{models.path}: a distillation of {', '.join(models.values)}, which is not supported; train one "
        f"network alone, with {config}: of a distillation's checkpoint the branch Student is taken{more}"
    )


def describe(name: str) -> dict[str, Any] | None:
    """Returns the section of an architecture, trained without a guide; None for one that is not described."""
    parts = NETWORKS.get(name)
    if parts is None:
        return None
    shared = {"Transform": None, "Backbone": dict(parts["Backbone"])}
    if "CTCHead.Neck" not in parts:
        return {
            "model_type": "det",
            "algorithm": "DB",
            **shared,
            "Neck": dict(parts["Neck"]),
            "Head": dict(parts["Head"]),
        }
    neck = {"name": "svtr", **parts["CTCHead.Neck"], "use_guide": False}
    ctc = {"CTCHead": {"Neck": neck, "Head": {"fc_decay": 3.0e-05}}}
    head = {"name": "MultiHead", "head_list": [ctc]}
    return {"model_type": "rec", "algorithm": "SVTR_LCNet", **shared, "Head": head}


def _match(parts: Mapping[str, Node], part: Part) -> tuple[str, ...]:
    """Finds the architectures that a section describes; where there is none, says what differs."""
    known = {a.name: NETWORKS[a.name] for a in of_part(part) if a.name in NETWORKS}
    differing = {name: list(_differences(parts, wanted)) for name, wanted in known.items()}
    found = tuple(name for name, others in differing.items() if not others)
    if not found:
        backbone = parts["Backbone"]
        if not backbone.has("name"):
            raise SettingError(f"{backbone.key('name')} is missing; supported are {', '.join(known)}")
        named = backbone.values["name"]
        closest = min(
            differing, key=lambda name: (known[name]["Backbone"]["name"] != named, len(differing[name]))
        )
        key, value, expected = differing[closest][0]
        raise SettingError(
            f"{key} is {shown(value)}, but {closest} has {shown(expected)}; supported are {', '.join(known)}"
        )
    for name, node in parts.items():
        for key in known[found[0]][name]:
            node.raw(key)
        node.close()
    return found


def _differences(
    parts: Mapping[str, Node], wanted: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, object, object]]:
    for name, expected in wanted.items():
        node = parts[name]
        for key, value in expected.items():
            found = node.values.get(key)
            if found != value and not (found is None and key in _OPTIONAL):
                yield node.key(key), found, value


def _read_heads(head: Node) -> tuple[Node, Guide | None]:
    heads = dict(operators(head, "head_list"))
    if next(iter(heads), None) != "CTCHead" or len(heads) > 2:
        raise SettingError(
            f"{head.key('head_list')} has {', '.join(heads) or 'nothing'}, expected CTCHead, alone or with "
            "SARHead or NRTRHead after it"
        )
    ctc = heads.pop("CTCHead")
    for name, node in heads.items():
        length = {"max_text_length": node.whole("max_text_length", 25, low=3, high=1000)}
        if name == "SARHead":
            for flag in ("enc_bi_rnn", "enc_gru", "dec_bi_rnn", "dec_gru"):
                node.only(flag, False, "not supported; set it to false")
            node.only("dec_drop_rnn", 0.0)
            node.only("pred_concat", True)
            guide = Guide(
                "SAR",
                node.whole("enc_dim", 512, low=1, high=8192),
                **length,
                attention=node.whole("d_k", 512, low=1, high=8192),
                encoder_dropout=node.number("enc_drop_rnn", 0.1, low=0, high=0.999),
                dropout=node.number("pred_dropout", 0.1, low=0, high=0.999),
            )
        elif name == "NRTRHead":
            dim = node.whole("nrtr_dim", 256, low=32, high=8192)
            if dim % 32:
                node.refuse("nrtr_dim", dim, "expected a multiple of 32")
            guide = Guide("NRTR", dim, **length, layers=node.whole("num_decoder_layers", 4, low=1, high=64))
        else:
            raise SettingError(
                f"{head.key('head_list')} has {name}; supported are SARHead and NRTRHead, or CTCHead alone"
            )
        node.close()
        return ctc, guide
    return ctc, None
