"""Configs with the structure of those that PaddleOCR ships, written in YAML's other ways."""

DET = """\
Global: {debug: false, use_gpu: true, epoch_num: 500, log_smooth_window: 20, print_batch_step: 10,
         save_model_dir: ./output/det/, save_epoch_step: 100, eval_batch_step: [0, 400],
         cal_metric_during_train: false, pretrained_model: pretrain/student, checkpoints: null,
         distributed: true,
         save_res_path: ./predicts.txt, d2s_train_image_shape: [3, -1, -1]}
Architecture:
  model_type: det
  algorithm: DB
  Transform:
  Backbone: {name: MobileNetV3, scale: 0.5, model_name: large, disable_se: True}
  Neck: {name: RSEFPN, out_channels: 96, shortcut: True}
  Head: {name: DBHead, k: 50, fix_nan: True}
Loss: {name: DBLoss, balance_loss: true, main_loss_type: DiceLoss, alpha: 5, beta: 10, ohem_ratio: 3}
Optimizer:
  name: Adam
  beta1: 0.9
  beta2: 0.999
  lr: {name: Cosine, learning_rate: 0.001, warmup_epoch: 2}
  regularizer: {name: L2, factor: 5.0e-05}
PostProcess: {name: DBPostProcess, thresh: 0.3, box_thresh: 0.6, max_candidates: 1000, unclip_ratio: 1.5}
Metric: {name: DetMetric, main_indicator: hmean}
Train:
  dataset:
    name: SimpleDataSet
    data_dir: ./train_data/
    label_file_list: [train/a.txt, train/b.txt]
    ratio_list: [1.0, 0.5]
    transforms:
    - DecodeImage: {img_mode: BGR, channel_first: false}
    - DetLabelEncode: null
    - IaaAugment:
        augmenter_args:
        - {'type': Fliplr, 'args': {'p': 0.5}}
        - {'type': Affine, 'args': {'rotate': [-10, 10]}}
        - {'type': Resize, 'args': {'size': [0.5, 3]}}
    - EastRandomCropData: {size: [960, 960], max_tries: 50, keep_ratio: true}
    - MakeBorderMap: {shrink_ratio: 0.4, thresh_min: 0.3, thresh_max: 0.7}
    - MakeShrinkMap: {shrink_ratio: 0.4, min_text_size: 8}
    - NormalizeImage: &norm
        {scale: 1./255., mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: 'hwc'}
    - ToCHWImage:
    - KeepKeys: {keep_keys: ['image', 'threshold_map', 'threshold_mask', 'shrink_map', 'shrink_mask']}
  loader: {shuffle: True, drop_last: False, batch_size_per_card: 8, num_workers: 4}
Eval:
  dataset:
    name: SimpleDataSet
    data_dir: ./train_data/
    label_file_list: val.txt
    transforms:
    - DecodeImage: {img_mode: BGR, channel_first: false}
    - DetLabelEncode:
    - DetResizeForTest:
    - NormalizeImage: *norm
    - ToCHWImage:
    - KeepKeys: {keep_keys: ['image', 'shape', 'polys', 'ignore_tags']}
  loader: {shuffle: False, drop_last: False, batch_size_per_card: 1, num_workers: 2}
"""

REC = """\
Global: {use_gpu: true, epoch_num: 500, save_model_dir: ./output/rec, eval_batch_step: [0, 2000],
         cal_metric_during_train: true, pretrained_model: , checkpoints: , character_dict_path: dict/keys.txt,
         max_text_length: &max_text_length 25, infer_mode: false, use_space_char: true}
Optimizer:
  name: Adam
  beta1: 0.9
  beta2: 0.999
  lr: {name: Cosine, learning_rate: 0.001, warmup_epoch: 5}
  regularizer: {name: L2, factor: 3.0e-05}
Architecture:
  model_type: rec
  algorithm: SVTR_LCNet
  Transform:
  Backbone: {name: MobileNetV1Enhance, scale: 0.5, last_conv_stride: [1, 2], last_pool_type: avg}
  Head:
    name: MultiHead
    head_list:
      - CTCHead:
          Neck: {name: svtr, dims: 64, depth: 2, hidden_dims: 120, use_guide: True}
          Head: {fc_decay: 0.00001}
      - SARHead: {enc_dim: 512, max_text_length: *max_text_length}
Loss:
  name: MultiLoss
  loss_config_list:
    - CTCLoss:
    - SARLoss:
PostProcess: {name: CTCLabelDecode}
Metric: {name: RecMetric, main_indicator: acc, ignore_space: False}
Train:
  dataset:
    name: SimpleDataSet
    data_dir: ./train_data/
    ext_op_transform_idx: 1
    label_file_list: [./train_data/train_list.txt]
    transforms:
    - DecodeImage: {img_mode: BGR, channel_first: false}
    - RecConAug: {prob: 0.5, ext_data_num: 2, image_shape: [48, 320, 3], max_text_length: *max_text_length}
    - RecAug:
    - MultiLabelEncode:
    - RecResizeImg: {image_shape: [3, 48, 320]}
    - KeepKeys: {keep_keys: [image, label_ctc, label_sar, length, valid_ratio]}
  loader: {shuffle: true, batch_size_per_card: 128, drop_last: true, num_workers: 4}
Eval:
  dataset:
    name: SimpleDataSet
    data_dir: ./train_data
    label_file_list: [./train_data/val_list.txt]
    transforms:
    - DecodeImage: {img_mode: BGR, channel_first: false}
    - MultiLabelEncode:
    - RecResizeImg: {image_shape: [3, 48, 320], eval_mode: True}
    - KeepKeys: {keep_keys: [image, label_ctc, label_sar, length, valid_ratio]}
  loader: {shuffle: false, drop_last: false, batch_size_per_card: 1, num_workers: 4}
"""

_LCNET = "{name: PPLCNetV3, scale: 0.75, det: True}"
DET_MOBILE = (
    DET.replace("epoch_num: 500", "model_name: PP-OCRv5_mobile_det, epoch_num: &epoch_num 500")
    .replace("{name: MobileNetV3, scale: 0.5, model_name: large, disable_se: True}", _LCNET)
    .replace("    - IaaAugment:", "    - CopyPaste: null\n    - IaaAugment:")
    .replace("size: [960, 960]", "size: [640, 640]")
    .replace("thresh_max: 0.7}", "thresh_max: 0.7, total_epoch: *epoch_num}")
    .replace("min_text_size: 8}", "min_text_size: 8, total_epoch: *epoch_num}")
    + "profiler_options: null\n"
)
"""PP-OCRv4's and v5's mobile detectors."""

_GLOBAL_MOBILE = """\
Global: {use_gpu: true, epoch_num: 200, save_model_dir: ./output/rec_ppocr_v4, eval_batch_step: [0, 2000],
         calc_epoch_interval: 1, pretrained_model: , checkpoints: , character_dict_path: dict/keys.txt,
         max_text_length: &max_text_length 25, use_space_char: true, d2s_train_image_shape: [3, 48, 320]}
"""
_SCALES = """\
  sampler:
    name: MultiScaleSampler
    scales: [[320, 32], [320, 48], [320, 64]]
    first_bs: &bs 128
    fix_bs: false
    divided_factor: [8, 16]
    is_training: True
  loader: {shuffle: true, batch_size_per_card: *bs, drop_last: true, num_workers: 8}
"""
_TRAIN_LOADER = "  loader: {shuffle: true, batch_size_per_card: 128, drop_last: true, num_workers: 4}\n"
_ENCODE_EVAL = """\
    - MultiLabelEncode:
        {max_text_length: 100, character_dict_path: dict/keys.txt, use_space_char: True,
         gtc_encode: NRTRLabelEncode}
    - RecResizeImg: {image_shape: [3, 48, 320], eval_mode: True}
"""
REC_MOBILE = (
    (_GLOBAL_MOBILE + REC[REC.index("Optimizer:") :])
    .replace(
        "{name: MobileNetV1Enhance, scale: 0.5, last_conv_stride: [1, 2], last_pool_type: avg}",
        "{name: PPLCNetV3, scale: 0.95}",
    )
    .replace(
        "dims: 64, depth: 2, hidden_dims: 120", "dims: 120, depth: 2, hidden_dims: 120, kernel_size: [1, 3]"
    )
    .replace("SARHead: {enc_dim: 512", "NRTRHead: {nrtr_dim: 384")
    .replace("SARLoss", "NRTRLoss")
    .replace("main_indicator: acc, ignore_space: False", "main_indicator: acc")
    .replace("name: SimpleDataSet", "name: MultiScaleDataSet\n    ds_width: false", 1)
    .replace(
        "    - MultiLabelEncode:\n    - RecResizeImg: {image_shape: [3, 48, 320], eval_mode: True}\n",
        _ENCODE_EVAL,
    )
    .replace(
        "    - MultiLabelEncode:\n    - RecResizeImg: {image_shape: [3, 48, 320]}\n",
        "    - MultiLabelEncode: {gtc_encode: NRTRLabelEncode}\n",
    )
    .replace("label_sar", "label_gtc")
    .replace(_TRAIN_LOADER, _SCALES)
)
"""PP-OCRv4's and v5's mobile recognizers."""
