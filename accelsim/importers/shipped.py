"""Workloads that come with the package, and the data that ship with them: test inputs with labels, calibration inputs."""

from __future__ import annotations

from pathlib import Path

from accelsim.resources import resource_path


def packaged_models() -> dict[str, Path]:
    """Workloads that come with the package, by name: ``resnet50``, ``digits_cnn`` ..."""
    root = resource_path("workloads")
    tables = {path.stem: path for path in sorted(root.glob("*.csv"))}
    models = {path.stem: path for path in sorted((*root.glob("*/*.tflite"), *root.glob("*/*.onnx")))}
    short = {stem.removesuffix("_int8"): path for stem, path in models.items() if stem.endswith("_int8")}
    return {**tables, **short, **models}


def inputs_beside(path: Path) -> Path | None:
    """The test inputs in the folder of a model: its own, or int8 codes, which mean nothing to models of other widths."""
    own = path.with_name(f"{path.stem}_test.npz")
    if own.is_file():
        return own
    return next(iter(sorted(path.parent.glob("*_test.npz"))), None) if path.stem.endswith("_int8") else None


def shipped_inputs(model: str) -> Path | None:
    """The test inputs that ship with the packaged workload called ``model``; None for a file, or where none ship."""
    if Path(model).exists():
        return None
    found = packaged_models().get(model)
    return None if found is None else inputs_beside(found)


def inputs_file(given: str) -> str:
    """The file of inputs that is meant: a path, or the name of a packaged workload for the test inputs that ship with it."""
    return str(shipped_inputs(given) or given)


def shipped_calibration(path: Path) -> Path:
    """Where the calibration data of a packaged float network are."""
    return path.with_name(f"{path.stem}_calib.npz")
