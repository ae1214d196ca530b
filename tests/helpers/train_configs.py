"""Settings of a training in a test: the recipe that ships, with some values in place of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_lpr.finetune.recipe.config import TrainConfig

OPERATORS = "Train.dataset.transforms"
# What has a key of its own in the section EdgeLPR is not listed.
KEYS = {
    "batch": "Train.loader.batch_size_per_card",
    "workers": "Train.loader.num_workers",
    "learning_rate": "Optimizer.lr.learning_rate",
    "evaluate_every": "Global.eval_batch_step",
    "concat_share": f"{OPERATORS}.RecConAug.prob",
    "seed": "Global.seed",
}


def train_config(part: str, **changes: Any) -> TrainConfig:
    """Returns settings of a run that renders, unless `render` is False, and makes its batches by itself.

    Args:
        part: "det" or "rec".
        changes: `steps`, `width`, `height`, `network` (an architecture's name); names of `KEYS`; keys joined
            by dots; or keys of EdgeLPR.
    """
    from edge_lpr.finetune.recipe.config import read_config
    from edge_lpr.finetune.recipe.document import change, default_document
    from edge_lpr.finetune.recipe.networks import describe

    document = default_document(part)
    if network := changes.pop("network", None):
        document["Architecture"] = describe(network)
    width, height = changes.pop("width", None), changes.pop("height", None)
    given: dict[str, Any] = {"render": True, "workers": 0, "final_learning_rate": 0.0, **changes}
    if "steps" in given:
        given |= {"Global.epoch_num": 1, "steps_per_epoch": given.pop("steps")}
    if width or height:
        width, height = width or 160, height or 48
        if part == "det":
            given[f"{OPERATORS}.EastRandomCropData.size"] = [width, height]
            given["Eval.dataset.transforms.DetResizeForTest.limit_side_len"] = height
        else:
            given |= {
                f"{s}.dataset.transforms.RecResizeImg.image_shape": [3, height, width]
                for s in ("Train", "Eval")
            }
            given[f"{OPERATORS}.RecConAug.image_shape"] = [height, width, 3]
    if given.get("camera"):
        given[f"{OPERATORS}.{'RecAug' if part == 'rec' else 'IaaAugment'}"] = False
    for name, value in given.items():
        change(document, KEYS.get(name, name if "." in name else f"EdgeLPR.{name}"), value)
    return read_config(document, part, "test")  # type: ignore[arg-type]
