"""Benches that read the vectors: package data, and of each layer the constants that they include."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from accelsim.handoff.vectors.layer import ExportedLayer
from accelsim.handoff.vectors.manifest import POLICIES
from accelsim.handoff.vectors.streams import FileFormat
from accelsim.numerics import Overflow, Requant

FOLDER = "bench"
_ALWAYS = ("README.md", "Makefile", "toy_mac.sv")
_READS: Mapping[str, FileFormat] = {"layer_bench.cpp": "hex", "layer_tb.sv": "hex", "layer_cocotb.py.txt": "npy"}
"""Benches, and what each must find; a file of Python is kept as text, so that nothing here takes it for a module."""
_HEADERS = ("layer.h", "layer.svh")


def write_benches(root: Path, formats: tuple[FileFormat, ...]) -> None:
    """Those whose files were written."""
    source, target = files(__name__.rpartition(".")[0]) / "benches", root / FOLDER
    target.mkdir()
    for name in (*_ALWAYS, *(name for name, fmt in _READS.items() if fmt in formats)):
        text = (source / name).read_text(encoding="utf-8")
        (target / name.removesuffix(".txt")).write_text(text, encoding="utf-8", newline="\n")


def bench_files(formats: tuple[FileFormat, ...]) -> tuple[str, ...]:
    """Paths of what :func:`write_benches` writes."""
    chosen = (*_ALWAYS, *(name.removesuffix(".txt") for name, fmt in _READS.items() if fmt in formats))
    return tuple(f"{FOLDER}/{name}" for name in chosen)


def write_constants(root: Path, exported: ExportedLayer) -> None:
    """``layer.h`` and ``layer.svh`` of a layer."""
    constants, folder = _constants(exported), exported.folder
    head = [
        f"// Layer {exported.layer.name!r}: what the benches of ../{FOLDER} include.".encode(
            "ascii", "replace"
        ).decode()
    ]
    c = [*head, "#pragma once", f'#define FOLDER "{folder}"', *(f"#define {k} {v}" for k, v in constants.items())]
    sv = [*head, f'    localparam FOLDER = "{folder}";', *(f"    localparam {k} = {v};" for k, v in constants.items())]
    for name, lines in zip(_HEADERS, (c, sv), strict=True):
        (root / folder / name).write_text("\n".join([*lines, ""]), encoding="ascii", newline="\n")


def constant_files(exported: ExportedLayer) -> tuple[str, ...]:
    """Paths of what :func:`write_constants` writes."""
    return tuple(f"{exported.folder}/{name}" for name in _HEADERS)


def _constants(exported: ExportedLayer) -> dict[str, int]:
    layer, g, requant = exported.layer, exported.layer.geometry, exported.layer.requant
    n, rows, columns, channels = exported.image_shape
    form, scaled = exported.form, isinstance(requant, Requant)
    return {
        "N": n, "OH": g.oh, "OW": g.ow, "OC": g.oc, "KH": g.kh, "KW": g.kw, "AH": rows, "AW": columns, "IC": channels,
        "IC_PER_GROUP": g.ic_per_group, "OC_PER_GROUP": g.oc_per_group, "STRIDE_H": g.stride_h, "STRIDE_W": g.stride_w,
        "DILATION_H": g.dilation_h, "DILATION_W": g.dilation_w, "W_BITS": exported.weight_format.bits,
        "W_SIGNED": int(exported.weight_format.signed), "X_BITS": exported.input_format.bits,
        "X_SIGNED": int(exported.input_format.signed), "B_BITS": exported.bias_format.bits, "ACC_BITS": exported.accumulator.bits,
        "Y_BITS": exported.output_format.bits, "Y_SIGNED": int(exported.output_format.signed),
        "POLICY": POLICIES[Overflow(exported.program.arch.accumulator.overflow)], "X_ZERO": layer.input_zero_point,
        "Y_ZERO": requant.zero_point if scaled else 0,  # type: ignore[union-attr]
        "CLAMP_MIN": requant.clamp_min if requant else 0, "CLAMP_MAX": requant.clamp_max if requant else 0,
        "HAS_FORM": int(form is not None), "FORMS": 1 if form is None else len(form.factor),
    }  # fmt: skip
