"""PaddleOCR's YAML, read as it is: files of the structure of those that it ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.ppocr_configs import DET, DET_MOBILE, REC, REC_MOBILE

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.config import TrainConfig, read_config
from edge_lpr.finetune.recipe.data import ConcatSettings, LabelSource, TargetSettings
from edge_lpr.finetune.recipe.document import (
    default_document,
    override,
    parse_document,
    write_document,
)
from edge_lpr.finetune.recipe.losses import DBLossSettings, RecLossSettings
from edge_lpr.finetune.recipe.networks import Guide, describe, read_network
from edge_lpr.finetune.recipe.node import Node, Told
from edge_lpr.finetune.recipe.own import OwnSettings
from edge_lpr.finetune.synthesis.copy_paste import CopyPaste
from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment
from edge_lpr.finetune.synthesis.rec_augment import RecAug
from edge_lpr.types import Part

OPERATORS = "Train.dataset.transforms"


def read(text: str, *given: str) -> TrainConfig:
    document = parse_document(text, "c.yml")
    override(document, given)
    return read_config(document, "det" if "model_type: det" in text else "rec", "c.yml")


def test_a_detector() -> None:
    config = read(DET)
    assert config.network.names == ("ch_PP-OCRv3_det",)
    assert config.loss == DBLossSettings("DiceLoss", 5, 10, 3)
    data = config.det
    assert (data.batch, data.workers, data.width, data.height) == (8, 4, 960, 960)
    assert (data.view, data.crop) == (IaaAugment(0.5, (-10, 10), (0.5, 3)), EastRandomCropData(50, 0.1))
    assert data.targets == TargetSettings(0.4, 0.3, 0.7, 8)
    assert data.source == LabelSource(("train/a.txt", "train/b.txt"), (1.0, 0.5), "./train_data/")
    assert config.validation == LabelSource(("val.txt",), (1.0,), "./train_data/", shuffle=False)
    schedule = config.optimizer.schedule
    assert (schedule.name, schedule.learning_rate, schedule.warmup_epoch) == ("Cosine", 0.001, 2)
    assert (config.optimizer.regularizer, config.optimizer.factor) == ("L2", 5e-5)
    assert (config.epochs, config.first_evaluation, config.evaluate_every) == (500, 0, 400)
    assert config.postprocess.det_limit_side_len == 736
    assert config.own == OwnSettings()
    assert config.paths.out == Path("output/det")
    assert config.paths.pretrained == Path("pretrain/student.pdparams")


def test_a_recognizer_with_its_guide() -> None:
    config = read(REC)
    assert config.network.names == ("ch_PP-OCRv3_rec",)
    assert (config.network.guide, config.network.use_guide) == (Guide("SAR", 512, 25), True)
    assert (config.network.fc_decay, config.network.free_norms) == (1e-5, True)
    assert config.loss == RecLossSettings(guided=True)
    data = config.rec
    assert (data.batch, data.width, data.height, data.padding) == (128, 320, 48, True)
    assert (data.concat, data.augment) == (ConcatSettings(0.5, 2, 320, 48, 25), RecAug())
    assert data.source.drop_last
    assert config.metric == "accuracy"
    assert config.paths.dictionary == Path("dict/keys.txt")


def test_the_mobile_recognizer_of_v4_and_v5() -> None:
    config = read(REC_MOBILE)
    assert config.network.names == ("PP-OCRv4_mobile_rec",)
    assert config.network.guide == Guide("NRTR", 384, 25)
    assert "Eval.dataset.transforms.RecResizeImg.eval_mode" in config.idle


def test_the_mobile_detector_of_v4_and_v5() -> None:
    config = read(DET_MOBILE)
    assert config.network.names == ("PP-OCRv4_mobile_det",)
    assert config.det.paste == CopyPaste(0.2)
    # Texts are shrunk less, the longer the training.
    assert [config.det.targets.ratio(epoch) for epoch in (0, 250, 500)] == pytest.approx([0.4, 0.5, 0.6])


def test_keys_without_effect_are_all_named() -> None:
    for text, some in ((DET, "use_gpu"), (REC, "max_text_length")):
        config = read(
            text, "Global.unheard_of=1", "Train.loader.use_shared_memory=true", "profiler_options=x=1"
        )
        assert {"Global.unheard_of", f"Global.{some}", "Train.loader.use_shared_memory"} < set(config.idle)
        assert "profiler_options" in config.idle
        # Each key of the file either has an effect, or is a path, or is named.
        told = {*config.effective, *config.idle}
        for section, values in parse_document(text, "x").items():
            for key in values if section in ("Global", "Optimizer", "Loss", "Metric", "PostProcess") else ():
                name = f"{section}.{key}"
                paths = ("pretrained_model", "save_model_dir", "character_dict_path", "checkpoints")
                done = ("name", "balance_loss", "is_filter", "loss_config_list")
                assert key in paths + done or any(
                    one == name or one.startswith(f"{name}.") for one in told
                ), name


@pytest.mark.parametrize(
    ("given", "effect"),
    [
        ("Global.epoch_num=100", lambda c: c.epochs == 100),
        ("Global.eval_batch_step=250", lambda c: (c.first_evaluation, c.evaluate_every) == (0, 250)),
        (
            "Global.eval_batch_step=[100,50]",
            lambda c: [s for s in range(1, 201) if c.is_measured(s)] == [150, 200],
        ),
        ("Optimizer.lr.learning_rate=5e-4", lambda c: c.optimizer.schedule.learning_rate == 5e-4),
        ("Optimizer.regularizer.factor=1e-5", lambda c: c.optimizer.factor == 1e-5),
        ("Optimizer.regularizer.name=L1", lambda c: c.optimizer.regularizer == "L1"),
        ("Optimizer.regularizer=null", lambda c: c.optimizer.regularizer is None),
        ("Optimizer.clip_norm=3", lambda c: c.optimizer.clip_norm == 3),
        ("Global.pretrained_model=w.pdparams", lambda c: c.paths.pretrained == Path("w.pdparams")),
        (
            f"{OPERATORS}.EastRandomCropData.size=[640,320]",
            lambda c: (c.det.width, c.det.height) == (640, 320),
        ),
        (f"{OPERATORS}.IaaAugment=false", lambda c: c.det.view == IaaAugment(0, (0, 0), (1, 1))),
        (f"{OPERATORS}.2.IaaAugment=null", lambda c: c.det.view == IaaAugment()),
        ("Loss.main_loss_type=BCELoss", lambda c: c.loss.main_loss_type == "BCELoss"),
        ("Train.dataset.ratio_list=0.25", lambda c: c.data.source.ratios == (0.25, 0.25)),
        ("Metric.main_indicator=recall", lambda c: c.metric == "recall"),
        ("PostProcess.unclip_ratio=2.0", lambda c: c.postprocess.unclip_ratio == 2),
        ("EdgeLPR.ema=0.9", lambda c: c.own.ema == 0.9),
    ],
)
def test_overrides(given: str, effect: Callable[[Any], bool]) -> None:
    short = ["EdgeLPR.steps_per_epoch=1", "Global.epoch_num=200"] if "100,50" in given else []
    assert effect(read(DET, *short, given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "Optimizer.lr.learnin_rate=1",
            r"Optimizer\.lr\.learnin_rate \(1\) is not supported; .*did you mean learning_rate",
        ),
        (
            "Optimizer.lr.learning_rate=fast",
            r"Optimizer\.lr\.learning_rate is 'fast', expected a number from 1e-12",
        ),
        (
            "Optimizer.lr.name=MultiStep",
            r"lr\.name is 'MultiStep', PaddleOCR calls it MultiStepDecay; supported",
        ),
        ("Optimizer.lr.name=cosine", r"lr\.name is 'cosine', supported: Const, .*\(did you mean Cosine"),
        ("Optimizer.name=Lamb", r"Optimizer\.name is 'Lamb', supported: Momentum, Adam"),
        ("Optimizer.name=Momentum", r"Optimizer\.momentum is missing"),
        ("Optimizer.regularizer.name=L3", r"Optimizer\.regularizer\.name is 'L3', supported: L2, L1"),
        ("Global.epoch_num=many", r"Global\.epoch_num is 'many', expected an integer"),
        ("Global.epoch_num=true", r"Global\.epoch_num is True, expected an integer"),
        ("Global.epoch_num=0", r"Global\.epoch_num is 0, expected an integer ≥ 1"),
        ("Global.use_amp=true", r"Global\.amp_dtype is 'float16', only bfloat16 is supported"),
        (
            "Global.checkpoints=out/latest",
            r"Global\.checkpoints is 'out/latest', .*give its weights as pretrained_model",
        ),
        ("Global.pretrained_model=https://x/y.pdparams", r"an address, from which nothing is fetched"),
        ("Global.eval_batch_step=[1,2,3]", r"Global\.eval_batch_step is \[1, 2, 3\], expected"),
        ("Architecture.model_type=rec", r"model_type is 'rec', but `finetune det`"),
        (
            "Architecture.Backbone.scale=0.35",
            r"Backbone\.scale is 0\.35, but ch_PP-OCRv3_det has 0\.5; supported are",
        ),
        ("Architecture.Backbone.name=ResNet_ve", r"Backbone\.name is 'ResNet_ve', but ch_PP-OCRv3_det has"),
        ("Architecture.Head.mode=small", r"Head\.mode \('small'\) is not supported"),
        (
            "Architecture.Models={Teacher: {}, Student: {}}",
            r"Architecture\.Models: a distillation of Teacher, Student, which is not supported; train one "
            r"network alone, with the config of its student: .*; with --teacher it learns",
        ),
        (
            "Architecture.Transform={name: TPS}",
            r"Transform is \{'name': 'TPS'\}, not supported; .* set it to null",
        ),
        ("Loss.balance_loss=false", r"Loss\.balance_loss is False, not supported; set it to true"),
        ("Loss.name=EASTLoss", r"Loss\.name is 'EASTLoss', expected 'DBLoss'"),
        (
            "Metric.main_indicator=fps",
            r"Metric\.main_indicator is 'fps', supported: hmean, precision, recall",
        ),
        ("PostProcess.box_type=poly", r"PostProcess\.box_type is 'poly', not supported; .* set it to quad"),
        ("PostProcess.thresh=2", r"PostProcess\.thresh is 2, expected a number from 0 to 1"),
        ("Train.dataset.name=LMDBDataSet", r"Train\.dataset\.name is 'LMDBDataSet', .*take SimpleDataSet"),
        (
            "Train.dataset.ratio_list=[1.0]",
            r"ratio_list is \[1\.0\], expected a number from 0 to 1 for each of 2",
        ),
        ("Train.loader.collate_fn=X", r"Train\.loader\.collate_fn \('X'\) is not supported"),
        (
            f"{OPERATORS}.1={{RandomCropImgMask: null}}",
            r"RandomCropImgMask: not supported; take it out .*RandomCropImgMask=false",
        ),
        (
            f"{OPERATORS}.EastRandomCropData.keep_ratio=false",
            r"keep_ratio is False, not supported; set it to true",
        ),
        (
            f"{OPERATORS}.EastRandomCropData.size=[900,96]",
            r"size: width is 900, expected a multiple of 32 from 96",
        ),
        (f"{OPERATORS}.EastRandomCropData=false", r"transforms has no EastRandomCropData"),
        (
            f"{OPERATORS}.NormalizeImage.mean=[0.5,0.5,0.5]",
            r"NormalizeImage\.mean is \[0\.5, 0\.5, 0\.5\], the network",
        ),
        (
            f"{OPERATORS}.MakeShrinkMap.shrink_ratio=0.6",
            r"expected the same in MakeBorderMap and MakeShrinkMap",
        ),
        (
            f"{OPERATORS}.DetResizeForTest=null",
            r"transforms has no 'DetResizeForTest'; it has DecodeImage, Det",
        ),
        (
            "Eval.dataset.transforms.DetResizeForTest={image_shape: [736, 1280]}",
            r"take limit_side_len and limit_type",
        ),
        ("EdgeLPR.emma=0.9", r"EdgeLPR\.emma \(0\.9\) is not supported; take it out \(did you mean ema\?\)"),
        ("EdgeLPR.ema=1", r"EdgeLPR\.ema is 1, expected a number from 0 to"),
        ("EdgeLPR.frozen_blocks=17", r"EdgeLPR\.frozen_blocks is 17, must be an integer from 0 to 16"),
        ("EdgeLPR.final_learning_rate=0.5", r"EdgeLPR\.final_learning_rate is 0\.5, expected at most 0\.001"),
        (
            "EdgeLPR.camera=true",
            r"EdgeLPR\.camera stands in place of IaaAugment: take it out, .*IaaAugment=false",
        ),
        ("EdgeLPR=5", r"EdgeLPR is 5, expected a section"),
        ("Global.x.y.z=1", None),
        (f"{OPERATORS}.KeepKeys.keep_keys.0.x=1", r"keep_keys\.0 is 'image', which has no keys of its own"),
        (f"{OPERATORS}.KeepKeys.keep_keys.9=1", r"keep_keys has no '9'; it has 0, 1, 2, 3, 4"),
        ("Global=5", r"Global is 5, expected a section"),
        ("Train.dataset.transforms=5", r"Train\.dataset\.transforms is 5, expected a list of operators"),
        ("Train.dataset.transforms=[5]", r"expected a list whose items have one key"),
        ("Train.dataset.label_file_list=[5]", r"label_file_list is \[5\], expected a list of texts"),
        ("Architecture=null", r"Architecture\.Backbone\.name is missing; supported are ch_PP-OCRv3_det, "),
        (
            "Global.epoch_num.x=1",
            r"Global\.epoch_num\.x: Global\.epoch_num is 500, which has no keys of its own",
        ),
        ("Global.epoch_num", r"-o 'Global\.epoch_num': expected KEY=VALUE"),
        ("Global.epoch_num=[", r"-o 'Global\.epoch_num=\[': the value is not valid YAML"),
    ],
)
def test_what_is_not_supported_is_one_line_that_says_what_is(given: str, message: str | None) -> None:
    if message is None:
        read(DET, given)
        return
    with pytest.raises(SettingError, match=message) as error:
        read(DET, given)
    assert "\n" not in str(error.value)


REC_HEADS = "Architecture.Head.head_list"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["Loss.loss_config_list=[CTCLoss: null]"],
            r"Loss has CTCLoss, but .* has CTCHead and SARHead: expected",
        ),
        (["Loss={name: CTCLoss}"], r"Loss has CTCLoss, but .*expected MultiLoss of CTCLoss and SARLoss"),
        ([f"{REC_HEADS}.SARHead=false"], r"use_guide is True, but no branch guides"),
        ([f"{REC_HEADS}.SARHead.enc_gru=true"], r"SARHead\.enc_gru is True, not supported; set it to false"),
        ([f"{REC_HEADS}.1={{SRNHead: null}}"], r"head_list has SRNHead; supported are SARHead and NRTRHead"),
        ([f"{REC_HEADS}.1={{NRTRHead: {{nrtr_dim: 100}}}}"], r"nrtr_dim is 100, expected a multiple of 32"),
        ([f"{OPERATORS}.MultiLabelEncode.gtc_encode=NRTRLabelEncode"], r"expected null for SARHead"),
        (
            [f"{s}.dataset.transforms.RecResizeImg.image_shape=[3,32,320]" for s in ("Train", "Eval")],
            r"RecResizeImg\.image_shape: height is 32, expected 48",
        ),
        ([f"{OPERATORS}.RecResizeImg.image_shape=[3,48,160]"], r"Eval.*RecResizeImg is 320×48, .*set both"),
        (
            [f"{s}.dataset.transforms.RecResizeImg.image_shape=[3,48,150]" for s in ("Train", "Eval")],
            r"width is 150, expected a multiple of 8 from 64",
        ),
        (
            ["Metric.main_indicator=norm_edit_dis"],
            r"Metric\.main_indicator is 'norm_edit_dis', supported: acc",
        ),
        (["Metric.is_filter=true"], r"Metric\.is_filter is True, not supported"),
        (
            ["PostProcess.name=SARLabelDecode"],
            r"PostProcess\.name is 'SARLabelDecode', expected 'CTCLabelDecode'",
        ),
    ],
)
def test_of_a_recognizer(given: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message) as error:
        read(REC, *given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [DET, REC_MOBILE], ids=["det", "rec"])
def test_a_distillation_names_the_config_of_its_student(text: str) -> None:
    document = parse_document(text, "c.yml")
    part: Part = "det" if text is DET else "rec"
    student = {**document["Architecture"], "freeze_params": False, "return_all_feats": True}
    document["Architecture"] = {
        "model_type": part,
        "name": "DistillationModel",
        "Models": {"Student": student},
    }
    told = r"ch_PP-OCRv3_det_student\.yml \(Student is ch_PP-OCRv3_det\)"
    told = told if part == "det" else r"ch_PP-OCRv4_rec\.yml \(Student is PP-OCRv4_mobile_rec\)"
    with pytest.raises(SettingError, match=f"a distillation of Student, .* alone, with {told}: of"):
        read_config(document, part, "c.yml")


def test_weights_by_every_name_that_paddleocr_has_for_them(tmp_path: Path) -> None:
    file = tmp_path / "out" / "best_accuracy.pdparams"
    file.parent.mkdir()
    for name in ("best_accuracy", "latest"):
        (file.parent / f"{name}.pdparams").touch()
    for given in (file, file.with_suffix(""), file.parent):
        config = read(DET, f"Global.pretrained_model={given}", f"EdgeLPR.teacher={given}")
        assert (config.paths.pretrained, config.paths.teacher) == (file, file)


def test_another_guide() -> None:
    head = f"{REC_HEADS}.1={{NRTRHead: {{nrtr_dim: 384, max_text_length: 25}}}}"
    given = [head, "Loss.loss_config_list=[CTCLoss: null, NRTRLoss: {smoothing: false}]", "Loss.weight_2=0.5"]
    given += [
        f"{s}.dataset.transforms.MultiLabelEncode={{gtc_encode: NRTRLabelEncode}}" for s in ("Train", "Eval")
    ]
    config = read(REC, *given)
    assert config.network.guide == Guide("NRTR", 384, 25, layers=4)
    assert config.loss == RecLossSettings(weight_2=0.5, smoothing=False, guided=True)


def test_epochs_are_as_long_as_in_paddleocr() -> None:
    config = read(REC, "Global.epoch_num=3")
    assert config.epoch_steps == 0
    assert config.sized(300).steps == 3 * 2  # drop_last
    assert read(REC, "Global.epoch_num=3", "Train.loader.drop_last=false").sized(300).steps == 3 * 3
    with pytest.raises(SettingError, match="100 labelled images fill no batch of 128"):
        config.sized(100)
    with pytest.raises(SettingError, match=r"EdgeLPR\.steps_per_epoch is 0, expected a number of steps"):
        config.sized(0)
    assert read(REC, "EdgeLPR.steps_per_epoch=7").sized(0).steps == 500 * 7


@pytest.mark.parametrize("part", ["det", "rec"])
def test_the_recipes_that_ship_state_everything(part: str) -> None:
    document = default_document(part)
    config = read_config(document, part, "x")  # type: ignore[arg-type]
    assert config.idle == []
    assert config.optimizer.schedule.learning_rate == 5e-4
    # What a user prints and changes hides nothing of our own.
    assert {*OwnSettings.names(), "photos", "font", "teacher"} == set(document["EdgeLPR"])
    assert parse_document(write_document(document), "again") == document


def test_what_is_no_config_is_one_line() -> None:
    for text, message in (
        ("", "x: holds nothing, expected sections"),
        ("- 1", "x: holds list, expected sections"),
        ("a: [", "x: not valid YAML"),
        ("a: &a [*a]", "x: not valid YAML"),
        ("a: !!python/object:os.system {}", "x: not valid YAML"),
    ):
        with pytest.raises(SettingError, match=message) as error:
            parse_document(text, "x")
        assert "\n" not in str(error.value)
    with pytest.raises(SettingError, match="part is 'cls', expected det or rec"):
        read_config({}, "cls", "x")  # type: ignore[arg-type]


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(
        SettingError, match=r"w\.pdparams: weights of ch_PP-OCRv3_rec, but Architecture describes ch"
    ):
        read(DET).check(ARCHITECTURES["ch_PP-OCRv3_rec"], "w.pdparams")


def test_every_network_that_can_be_trained_is_known_by_its_section() -> None:
    described = [(a, section) for a in ARCHITECTURES if (section := describe(a.name)) is not None]
    assert {a.name for a, _ in described} >= {"ch_PP-OCRv3_det", "ch_PP-OCRv3_rec", "PP-OCRv4_mobile_rec"}
    for architecture, section in described:
        found = read_network(Node(section, "Architecture", Told()), architecture.part)
        assert architecture.name in found.names
