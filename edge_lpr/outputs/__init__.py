"""Where results go: one file per output, each of which registers itself.

Each can be used by itself::

    from edge_lpr import PlateReader
    from edge_lpr.outputs import CsvOutput, results
    from edge_lpr.pipeline.reading import read_sources

    with PlateReader() as reader, CsvOutput("plates.csv") as out:
        for frame_result in read_sources(reader, "street.mp4"):
            out.write(frame_result, results(frame_result))

A further output is one module of this package: a class based on `Output`, and a call of
`OUTPUTS.register` with its name, its rank and its option. The command then has that option, and nothing else
has to know of it.
"""

from __future__ import annotations

from edge_lpr.outputs.annotated import AnnotatedOutput
from edge_lpr.outputs.base import ALONE, OUTPUTS, STDOUT, Output, OutputKind, RunInfo
from edge_lpr.outputs.crops import CropOutput
from edge_lpr.outputs.csv import CsvOutput
from edge_lpr.outputs.jsonl import JsonlOutput
from edge_lpr.outputs.lines import LinesOutput
from edge_lpr.outputs.records import FIELDS, Result, results, to_record
from edge_lpr.outputs.run import RunOutputs

__all__ = [
    "ALONE",
    "FIELDS",
    "OUTPUTS",
    "STDOUT",
    "AnnotatedOutput",
    "CropOutput",
    "CsvOutput",
    "JsonlOutput",
    "LinesOutput",
    "Output",
    "OutputKind",
    "Result",
    "RunInfo",
    "RunOutputs",
    "results",
    "to_record",
]
