"""The model bundle: a folder with ONNX files and a `bundle.json` that says what they take."""

from edge_lpr.bundle.manifest import Bundle, DetSpec, RecSpec, load_bundle
from edge_lpr.bundle.model_file import ModelFile

__all__ = ["Bundle", "DetSpec", "ModelFile", "RecSpec", "load_bundle"]
