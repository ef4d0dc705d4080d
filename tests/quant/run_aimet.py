"""Runs in an environment of its own that holds aimet-onnx: what its quantizer makes of the cases of a file.

    python run_aimet.py cases.npz out.npz

Cases as in run_frameworks.py. AIMET's codes are 0 to 2^bits - 1, its ``offset`` the lowest code minus the zero point, ``real = delta *
(code + offset)``.
"""

from __future__ import annotations

import sys

import numpy as np
from aimet_onnx.common import libpymo


def encoding(scale: float, zero: int, bits: int, signed: bool) -> libpymo.TfEncoding:
    made = libpymo.TfEncoding()
    made.bw, made.delta, made.offset = bits, scale, (-(1 << (bits - 1)) if signed else 0) - zero
    made.min, made.max = scale * made.offset, scale * (made.offset + (1 << bits) - 1)
    return made


def quantized(
    x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int, signed: bool, channels: bool
) -> np.ndarray:
    """Each row by a quantizer of its own, or all by one with as many encodings."""
    encodings = [encoding(float(s), int(z), bits, signed) for s, z in zip(scale, zero, strict=True)]
    parts = [(x, (len(x), 1), encodings)] if channels else [(row, (), [e]) for row, e in zip(x, encodings, strict=True)]
    made = []
    for values, shape, held in parts:
        quantizer = libpymo.BlockTensorQuantizer(shape, bits, libpymo.QuantizationMode.QUANTIZATION_TF)
        quantizer.setEncodings(held)
        made.append(quantizer.quantizeDequantize(np.ascontiguousarray(values)))
    return made[0] if channels else np.stack(made)


def main(cases: str, out: str) -> None:
    made: dict[str, np.ndarray] = {}
    given = np.load(cases)
    for i in range(sum(name.startswith("x_") for name in given.files)):
        x, scale, zero = (given[f"{name}_{i}"] for name in ("x", "scale", "zero"))
        bits, signed = int(given[f"bits_{i}"]), bool(given[f"signed_{i}"])
        for name, channels in (("tensor", False), ("channels", True)):
            made[f"{name}_{i}"] = quantized(x, scale, zero, bits, signed, channels)
    np.savez(out, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
