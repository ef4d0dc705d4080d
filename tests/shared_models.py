"""The third-party models and samples that tests may read, and reasons to skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ACCELSIM_SHARED", "../shared"))
INT8_MODELS = ("ic_resnet8_int8", "ic_resnet_large_int8", "kws_dscnn_int8", "ad_autoencoder_int8")


def model_path(name: str) -> Path:
    """``models/<name>.tflite``, or skip."""
    path = SHARED / "models" / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set ACCELSIM_SHARED to the folder with the third-party models")
    return path
