"""Runs in an environment of its own that holds torch, brevitas and qonnx: what each makes of the cases of a file.

    python run_frameworks.py cases.npz out.npz

A case ``i`` is ``x_i`` (rows, n), ``scale_i`` and ``zero_i`` (rows,), ``bits_i`` and ``signed_i``; each row is quantized per tensor, and
all rows per channel.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp
from brevitas.core.quant import IntQuant
from qonnx.custom_op.general.intquant import int_quant

DTYPES = {torch.quint8: (8, False), torch.qint8: (8, True)}


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def per_tensor(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    rows = [
        torch.fake_quantize_per_tensor_affine(torch.tensor(row), float(s), int(z), *bounds(bits, signed)).numpy()
        for row, s, z in zip(x, scale, zero, strict=True)
    ]
    return np.stack(rows)


def per_channel(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    s, z = torch.tensor(scale.astype(np.float32)), torch.tensor(zero.astype(np.int32))
    return torch.fake_quantize_per_channel_affine(torch.tensor(x), s, z, 0, *bounds(bits, signed)).numpy()


def quantize_codes(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, kind: torch.dtype) -> np.ndarray:
    rows = [
        torch.quantize_per_tensor(torch.tensor(row.astype(np.float32)), float(s), int(z), kind).int_repr().numpy()
        for row, s, z in zip(x, scale, zero, strict=True)
    ]
    return np.stack(rows)


def brevitas(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    quant = IntQuant(False, signed, Identity(), RoundSte(), TensorClamp())
    columns = (torch.tensor(scale.astype(x.dtype)[:, None]), torch.tensor(zero.astype(x.dtype)[:, None]))
    with torch.no_grad():
        return quant(*columns, torch.tensor(float(bits), dtype=columns[0].dtype), torch.tensor(x)).numpy()


def qonnx(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    s, z = scale.astype(x.dtype)[:, None], zero.astype(x.dtype)[:, None]
    return int_quant(x, s, z, np.array(bits, x.dtype), signed, 0, "ROUND")


def main(cases: str, out: str) -> None:
    made: dict[str, np.ndarray] = {}
    given = np.load(cases)
    for i in range(sum(name.startswith("x_") for name in given.files)):
        x, scale, zero = (given[f"{name}_{i}"] for name in ("x", "scale", "zero"))
        bits, signed = int(given[f"bits_{i}"]), bool(given[f"signed_{i}"])
        for name, function in (
            ("pytorch", per_tensor), ("pytorch_channels", per_channel), ("brevitas", brevitas), ("qonnx", qonnx),
        ):  # fmt: skip
            made[f"{name}_{i}"] = function(x, scale, zero, bits, signed)
        for kind, form in DTYPES.items():
            if form == (bits, signed) and x.dtype == np.float32:
                made[f"pytorch-quantize_{i}"] = quantize_codes(x, scale, zero, kind)
    np.savez(out, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
