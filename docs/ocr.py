"""Networks that read text, of the wheel rapidocr-onnxruntime, and windows of a photographed page, of the wheel scikit-image.

pip install --no-deps --target DIR rapidocr-onnxruntime scikit-image, and DIR in $ACCELSIM_OCR; neither is a part of accelsim.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FOLDER = Path(os.environ.get("ACCELSIM_OCR", ""))
CLASSIFIER, RECOGNIZER, DETECTOR = "rapidocr_cls", "rapidocr_rec", "rapidocr_det"
SHAPES = {CLASSIFIER: (1, 3, 48, 192), RECOGNIZER: (1, 3, 48, 320), DETECTOR: (1, 3, 192, 384)}
"""What open axes of their inputs are taken to be; the packaged software runs lines of 48 pixels too."""
LINES = ((11, 35), (49, 65), (67, 83), (84, 101), (101, 120), (119, 137), (171, 191))
"""Rows of the page's lines of text."""


def network(name: str, folder: Path) -> Path:
    """The float network in ``folder``, its axes closed."""
    import onnx

    part = name.removeprefix("rapidocr_")
    (found,) = (FOLDER / "rapidocr_onnxruntime" / "models").glob(f"*_{part}_infer.onnx")
    model = onnx.load(found)
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, SHAPES[name], strict=True):
        axis.ClearField("dim_param")
        axis.dim_value = size
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def alphabet() -> list[str]:
    """What the recognizer's classes stand for; the first for none."""
    import onnx

    (found,) = (FOLDER / "rapidocr_onnxruntime" / "models").glob("*_rec_infer.onnx")
    known = next(entry.value for entry in onnx.load(found).metadata_props if entry.key == "character")
    return ["", *known.splitlines(), " "]


def page() -> NDArray[np.uint8]:
    """The photograph, grey."""
    from PIL import Image

    made: NDArray[np.uint8] = np.asarray(Image.open(FOLDER / "skimage" / "data" / "page.png").convert("L"))
    return made


def windows(count: int, height: int, width: int) -> Floats:
    """Windows of lines drawn from the page, (count, 1, 3, height, width), -1 to 1."""
    from PIL import Image

    random, whole, cut = np.random.default_rng(0), page(), []
    for i in range(count):
        top, end = LINES[i % len(LINES)]
        top, end = max(top - int(random.integers(0, 3)), 0), min(end + int(random.integers(0, 3)), len(whole))
        line = Image.fromarray(whole[top:end])
        line = line.resize((round(line.width * height / line.height), height), Image.Resampling.BILINEAR)
        left = int(random.integers(0, line.width - width + 1))
        cut.append(np.asarray(line, np.float32)[:, left : left + width])
    return np.repeat((np.stack(cut)[:, None, None] / np.float32(127.5) - 1), 3, axis=2)


def text_inputs(name: str, count: int) -> Floats:
    """Windows of lines; for the detector the page, moved by a few pixels each time."""
    if name != DETECTOR:
        return windows(count, *SHAPES[name][2:])
    random, (height, width) = np.random.default_rng(0), SHAPES[name][2:]
    whole = np.pad(page(), ((16, 16), (16, 16)), mode="edge").astype(np.float32)
    places = random.integers(0, 32, (count, 2)) % np.array([whole.shape[0] - height + 1, whole.shape[1] - width + 1])
    cut = np.stack([whole[row : row + height, column : column + width] for row, column in places])
    return np.repeat((cut[:, None, None] / np.float32(127.5) - 1), 3, axis=2)


def met(name: str, reference: NDArray[Any], made: NDArray[Any], labels: NDArray[Any] | None) -> str:
    """In words: of the classifier, labels met in float and now; of the recognizer, places and windows that read as in float."""
    if labels is not None:
        before, now = (float(np.mean(one.argmax(1) == labels)) for one in (reference, made))
        return f"{now:.1%} of the labels, float {before:.1%}"
    if name != RECOGNIZER:
        return ""
    classes = len(alphabet())
    same = reference.reshape(len(reference), -1, classes).argmax(-1) == made.reshape(len(made), -1, classes).argmax(-1)
    return f"{same.mean():.1%} of the places as in float, {same.all(axis=1).mean():.1%} of the windows in all of theirs"


def turned(x: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Every second window upside down, and which: the classifier's own labels."""
    labels = np.arange(len(x)) % 2
    made = np.where(labels[:, None, None, None, None] == 1, x[..., ::-1, ::-1], x)
    return np.ascontiguousarray(made), labels
