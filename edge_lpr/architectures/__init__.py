"""PaddleOCR's networks, each written once as data, and what builds them in Paddle and PyTorch.

`tables/` holds one file a network: its layers, and what else is to be known of it. `spec` is the language
of these files; `layers`, `backbones`, `necks` and `heads` are blocks in it; `registry` finds the tables and
tells of which one a checkpoint is. `weights` lists a network's parameters, `paddle_builder` and
`torch_builder` (with `torch_ops`) make modules of it; only these import their framework.

A further network is one more file in `tables/`, and the blocks that are not there yet.
"""
