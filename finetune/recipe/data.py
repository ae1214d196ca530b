"""The sections `Train` and `Eval`: label files, operators on images, and how batches are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.networks import Guide
from edge_lpr.finetune.recipe.node import Node, operators
from edge_lpr.finetune.recipe.scales import MultiScale, read_sampler, side
from edge_lpr.finetune.synthesis.copy_paste import CopyPaste
from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment
from edge_lpr.finetune.synthesis.rec_augment import RecAug

__all__ = [
    "ConcatSettings",
    "DetData",
    "LabelSource",
    "RecData",
    "TargetSettings",
    "read_det_data",
    "read_eval_limit",
    "read_rec_data",
    "read_rec_eval",
]

_DATASETS = ("SimpleDataSet", "TextDetDataset", "TextRecDataset", "MultiScaleDataSet", "MSTextRecDataset")
_OTHER_SET = "not supported; write the labels as a text file and take SimpleDataSet"
_TAKE_OUT = "not supported; take it out of the transforms, as with -o {path}=false"
# What a step needs of workers: more than a machine has cores they are of no use.
_MAX_WORKERS = 64
STILL = IaaAugment(0.0, (0.0, 0.0), (1.0, 1.0))
"""What leaves scenes as they are."""


@dataclass(frozen=True)
class LabelSource:
    """Label files.

    Attributes:
        files: Label files, or folders of labelled images.
        ratios: Of each, the share of its labels that an epoch shows; one for each file.
        data_dir: What paths in label files are relative to; None for each file's own folder.
        shuffle: Whether an epoch shows the images in random order.
        drop_last: Whether an epoch leaves out the images that fill no batch.
    """

    files: tuple[str, ...] = ()
    ratios: tuple[float, ...] = ()
    data_dir: str | None = None
    shuffle: bool = True
    drop_last: bool = False


@dataclass(frozen=True)
class TargetSettings:
    """DB's targets: MakeBorderMap and MakeShrinkMap.

    Attributes:
        shrink_ratio: How far texts are shrunk, as in the paper's formula.
        thresh_min: Threshold far from a text's border.
        thresh_max: Threshold on it.
        min_text_size: Texts whose shorter side has fewer pixels do not count.
        total_epoch: Over so many epochs the ratio grows by 0.2; None where it stays.
    """

    shrink_ratio: float = 0.4
    thresh_min: float = 0.3
    thresh_max: float = 0.7
    min_text_size: float = 8.0
    total_epoch: int | None = None

    def ratio(self, epoch: int) -> float:
        """Returns the ratio of an epoch, the first of which is 1."""
        return self.shrink_ratio + (0.2 * epoch / self.total_epoch if self.total_epoch else 0.0)


@dataclass(frozen=True)
class ConcatSettings:
    """RecConAug.

    Attributes:
        prob: Share of the lines that others are appended to.
        ext_data_num: How many at most.
        width: Of the input that they have to fit into, in pixels.
        height: Of it.
        max_text_length: Of the joined text.
    """

    prob: float = 0.5
    ext_data_num: int = 2
    width: int = 320
    height: int = 48
    max_text_length: int = 25


@dataclass(frozen=True)
class DetData:
    """What a detector is trained on.

    Attributes:
        source: The labels.
        batch: Scenes per step.
        workers: Processes that make batches.
        width: Of a scene, in pixels.
        height: Of it.
        view: IaaAugment.
        crop: EastRandomCropData.
        paste: CopyPaste; None where it is not one of the operators.
        targets: MakeBorderMap and MakeShrinkMap.
    """

    source: LabelSource
    batch: int
    workers: int
    width: int
    height: int
    view: IaaAugment
    crop: EastRandomCropData
    paste: CopyPaste | None
    targets: TargetSettings


@dataclass(frozen=True)
class RecData:
    """What a recognizer is trained on.

    Attributes:
        source: The labels.
        batch: Lines per step; the first of several sizes has as many.
        workers: Processes that make batches.
        width: Of the input, in pixels; of several sizes, the one that is measured in.
        height: Of it.
        padding: Whether a line keeps its proportions and is filled up, or fills the input.
        concat: RecConAug; None where lines stay alone.
        augment: RecAug; None where they stay as they are.
        sampler: Of several sizes; None for one.
    """

    source: LabelSource
    batch: int
    workers: int
    width: int
    height: int
    padding: bool
    concat: ConcatSettings | None
    augment: RecAug | None
    sampler: MultiScale | None = None


def read_det_data(node: Node) -> DetData:
    """Reads a detector's section `Train`.

    Raises:
        SettingError: A data set, an operator or a value is not supported.
    """
    dataset = node.child("dataset")
    found: dict[str, Any] = {"view": STILL, "paste": None}
    targets: dict[str, Any] = {}

    def crop(op: Node) -> None:
        found["width"], found["height"] = _size(op, "size", 2)
        op.only("keep_ratio", True, "not supported; set it to true")
        found["crop"] = EastRandomCropData(
            op.whole("max_tries", 50, low=1, high=100_000),
            op.number("min_crop_side_ratio", 0.1, low=0, high=1),
        )

    def border(op: Node) -> None:
        targets["thresh_min"] = op.number("thresh_min", 0.3, low=0, high=1)
        targets["thresh_max"] = op.number("thresh_max", 0.7, low=0, high=1)
        _shrinking(op, targets)

    def shrink(op: Node) -> None:
        targets["min_text_size"] = op.number("min_text_size", 8, low=0)
        _shrinking(op, targets)

    def paste(op: Node) -> None:
        found["paste"] = CopyPaste(
            op.number("objects_paste_ratio", 0.2, low=0, high=1), op.flag("limit_paste", True)
        )

    known = {
        **_DECODE,
        "DetLabelEncode": _as_it_is,
        "CopyPaste": paste,
        "IaaAugment": lambda op: found.update(view=_iaa_augment(op)),
        "EastRandomCropData": crop,
        "MakeBorderMap": border,
        "MakeShrinkMap": shrink,
        "NormalizeImage": _normalize,
        "ToCHWImage": _as_it_is,
    }
    _read_operators(dataset, known)
    for name in ("EastRandomCropData", "MakeBorderMap", "MakeShrinkMap"):
        _need(dataset, name)
    source, batch, workers = _read_set(node, dataset)
    return DetData(source, batch, workers, targets=TargetSettings(**targets), **found)


def read_rec_data(node: Node, guide: Guide | None, height: int | None) -> RecData:
    """Reads a recognizer's section `Train`.

    Args:
        node: The section.
        guide: The branch that guides, whose labels are encoded, too.
        height: Of the network's input, in pixels; of several sizes, lines are measured in the one of it.

    Raises:
        SettingError: A data set, an operator or a value is not supported.
    """
    dataset = node.child("dataset")
    found: dict[str, Any] = {"concat": None, "augment": None}
    size: dict[str, Any] = {}

    def concat(op: Node) -> None:
        height, width, channels = _size(op, "image_shape", 3)
        if channels != 3:
            op.refuse("image_shape", op.values.get("image_shape"), "expected [height, width, 3]")
        found["concat"] = ConcatSettings(
            op.number("prob", 0.5, low=0, high=1),
            op.whole("ext_data_num", 2, low=0, high=100),
            width,
            height,
            op.whole("max_text_length", 25, low=1, high=1000),
        )

    def augment(op: Node) -> None:
        names = {"tia": "tia_prob", "crop": "crop_prob", "blur": "blur_prob", "hsv_aug": "hsv_aug_prob"}
        names |= {"jitter": "jitter_prob", "noise": "noise_prob", "reverse": "reverse_prob"}
        found["augment"] = RecAug(**{n: op.number(key, 0.4, low=0, high=1) for n, key in names.items()})

    def learnt(op: Node) -> None:
        op.only("eval_mode", False, "which pads each line to its own width; set it to false")
        size.update(_resize(op))

    known = {
        **_DECODE,
        "RecConAug": concat,
        "RecAug": augment,
        "RecResizeImg": learnt,
        **_encoders(guide),
    }
    _read_operators(dataset, known)
    if node.has("sampler"):
        sampler = read_sampler(node.child("sampler"))
        one = next((scale for scale in sampler.scales if scale.height == height), sampler.scales[0])
        size |= {"padding": True, "width": one.width, "height": one.height}
        found["sampler"] = sampler if len(sampler.scales) > 1 else None
        size["batch"] = sampler.scales[0].batch
    node.raw("sampler", remember=False)
    if "width" not in size:
        _need(dataset, "RecResizeImg")
    batch = size.pop("batch", None)
    source, loaded, workers = _read_set(node, dataset)
    return RecData(source, batch or loaded, workers, **size, **found)


def read_eval_limit(node: Node) -> tuple[LabelSource, dict[str, Any]]:
    """Reads a detector's section `Eval`.

    Returns:
        The labels; and `det_limit_side_len` and `det_limit_type`, by which images are resized.

    Raises:
        SettingError: A data set, an operator or a value is not supported.
    """
    dataset, limit = node.child("dataset"), {"det_limit_side_len": 736, "det_limit_type": "min"}

    def resize(op: Node) -> None:
        for key in ("image_shape", "resize_long", "keep_ratio"):
            op.only(key, None, "not supported; take limit_side_len and limit_type")
        limit["det_limit_side_len"] = op.whole("limit_side_len", 736, low=32, high=8192)
        limit["det_limit_type"] = op.choice("limit_type", "min", ("min", "max"))

    known = {
        **_DECODE,
        "DetLabelEncode": _as_it_is,
        "DetResizeForTest": resize,
        "NormalizeImage": _normalize,
        "ToCHWImage": _as_it_is,
    }
    _read_operators(dataset, known)
    return _read_eval(node, dataset), limit


def read_rec_eval(node: Node, data: RecData, guide: Guide | None) -> LabelSource:
    """Reads a recognizer's section `Eval`.

    Raises:
        SettingError: A data set, an operator or a value is not supported.
    """
    dataset = node.child("dataset")

    def resize(op: Node) -> None:
        # A line that is wider than the input for its height would be measured at its own width.
        op.idle("eval_mode")
        size = _resize(op)
        if (size["width"], size["height"], size["padding"]) != (data.width, data.height, data.padding):
            raise SettingError(
                f"{op.path} is {size['width']}×{size['height']}, padding {size['padding']}, but lines are "
                f"measured as they are learnt, {data.width}×{data.height}, padding {data.padding}: set both"
            )

    _read_operators(dataset, {**_DECODE, "RecResizeImg": resize, **_encoders(guide)})
    return _read_eval(node, dataset)


def _read_operators(dataset: Node, known: Mapping[str, Callable[[Node], None]]) -> None:
    for name, op in operators(dataset, "transforms"):
        if name not in known:
            raise SettingError(f"{op.path}: {_TAKE_OUT.format(path=op.path)}; supported: {', '.join(known)}")
        known[name](op)
        op.close()


def _need(dataset: Node, name: str) -> None:
    if name not in [one for one, _ in operators(dataset, "transforms")]:
        raise SettingError(f"{dataset.key('transforms')} has no {name}, which says what is to be learnt from")


def _read_set(node: Node, dataset: Node) -> tuple[LabelSource, int, int]:
    """Reads labels and loader of a section `Train`."""
    loader = node.child("loader")
    batch = loader.whole("batch_size_per_card", 8, low=1, high=4096)
    workers = loader.whole("num_workers", 1, low=0, high=_MAX_WORKERS)
    order = {"shuffle": loader.flag("shuffle", True), "drop_last": loader.flag("drop_last", False)}
    loader.idle("use_shared_memory")
    loader.close()
    source = _read_labels(dataset, **order)
    node.close()
    return source, batch, workers


def _read_eval(node: Node, dataset: Node) -> LabelSource:
    node.child("loader").rest_is_idle()
    source = _read_labels(dataset, shuffle=False, drop_last=False)
    node.close()
    return source


def _read_labels(dataset: Node, *, shuffle: bool, drop_last: bool) -> LabelSource:
    dataset.choice("name", "SimpleDataSet", _DATASETS, _OTHER_SET)
    dataset.only("ds_width", False, "not supported; set it to false")
    dataset.only("delimiter", "\t", "labels are separated by a tab")
    dataset.idle("ext_op_transform_idx")
    files = tuple(dataset.texts("label_file_list", remember=False))
    ratios = dataset.raw("ratio_list", 1.0)
    values = ratios if isinstance(ratios, list) else [ratios] * len(files)
    if len(values) != len(files) or not all(
        isinstance(r, int | float) and not isinstance(r, bool) and 0 <= r <= 1 for r in values
    ):
        dataset.refuse(
            "ratio_list", ratios, f"expected a number from 0 to 1 for each of {len(files)} label files"
        )
    source = LabelSource(
        files, tuple(map(float, values)), dataset.text("data_dir", remember=False), shuffle, drop_last
    )
    dataset.close()
    return source


def _resize(op: Node) -> dict[str, Any]:
    channels, height, width = _size(op, "image_shape", 3)
    if channels != 3:
        op.refuse("image_shape", op.values.get("image_shape"), "expected [3, height, width]")
    op.only("infer_mode", False, "not supported; set it to false")
    op.idle("character_dict_path")
    return {"width": width, "height": height, "padding": op.flag("padding", True)}


def _size(op: Node, name: str, count: int) -> list[int]:
    values = op.raw(name)
    if not isinstance(values, list) or len(values) != count:
        op.refuse(name, values, f"expected a list of {count} sides in pixels")
    return [side(op, name, value) for value in values]


def _shrinking(op: Node, targets: dict[str, Any]) -> None:
    """Reads what MakeBorderMap and MakeShrinkMap both say: here it is one thing."""
    said = {"shrink_ratio": op.number("shrink_ratio", 0.4, low=0.01, high=0.99)}
    said["total_epoch"] = op.whole("total_epoch", 0, low=0) or None  # type: ignore[assignment]
    for name, value in said.items():
        if targets.setdefault(name, value) != value:
            op.refuse(name, value, f"expected the same in MakeBorderMap and MakeShrinkMap ({targets[name]})")


def _iaa_augment(op: Node) -> IaaAugment:
    given = op.raw("augmenter_args", remember=False)
    if given is None:
        return IaaAugment()
    view: dict[str, Any] = {"flip": 0.0, "rotate": (0.0, 0.0), "resize": (1.0, 1.0)}
    items = given if isinstance(given, list) else [given]
    names = {"Fliplr": "flip", "Affine": "rotate", "Resize": "resize"}
    kinds = [item.get("type") if isinstance(item, dict) else item for item in items]
    if kinds != [name for name in names if name in kinds]:
        op.refuse("augmenter_args", kinds, f"supported, in this order: {', '.join(names)}")
    for kind, item in zip(kinds, items, strict=True):
        args = Node(item.get("args"), f"{op.key('augmenter_args')}.{kind}", op.told)
        if kind == "Fliplr":
            view["flip"] = args.number("p", 0.5, low=0, high=1)
        elif kind == "Affine":
            view["rotate"] = tuple(args.numbers("rotate", (0.0, 0.0), 2))
        else:
            view["resize"] = tuple(args.numbers("size", (1.0, 1.0), 2))
        args.close()
    return IaaAugment(**view)


def _decode(op: Node) -> None:
    op.only("img_mode", "BGR", "the networks are trained on BGR")
    op.only("channel_first", False)


def _normalize(op: Node) -> None:
    # Architectures know what is subtracted and divided by; other numbers would not be theirs.
    op.only("scale", 1 / 255, "expected 1./255.")
    for name, value in (("mean", [0.485, 0.456, 0.406]), ("std", [0.229, 0.224, 0.225])):
        op.only(name, value, f"the network is trained with {value}")
    op.only("order", "hwc")


def _as_it_is(_op: Node) -> None:
    """What is always done."""


def _keep_keys(op: Node) -> None:
    op.raw("keep_keys", remember=False)


_DECODE: dict[str, Callable[[Node], None]] = {"DecodeImage": _decode, "KeepKeys": _keep_keys}


def _encoders(guide: Guide | None) -> dict[str, Callable[[Node], None]]:
    def multi(op: Node) -> None:
        encode = op.text("gtc_encode") or "SARLabelEncode"
        if guide is not None and encode != f"{guide.kind}LabelEncode":
            op.refuse(
                "gtc_encode",
                op.values.get("gtc_encode"),
                f"expected {'null' if guide.kind == 'SAR' else 'NRTRLabelEncode'} for {guide.kind}Head",
            )
        # The dictionary is the one of Global.
        op.idle("max_text_length", "character_dict_path", "use_space_char")

    return {"MultiLabelEncode": multi, "CTCLabelEncode": multi}
