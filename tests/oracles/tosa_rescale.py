"""Runs in an environment of its own that holds ``tosa-tools`` (it pins numpy below 2.2): RESCALE by TOSA's reference model.

    python tosa_rescale.py in.npz out.npz

``in.npz``: int32 ``values`` (rows, channels), ``multiplier`` and ``shift`` (channels,), ``scale32`` and ``double`` as 0 or 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROGRAM = """
func.func @main(%values: tensor<{rows}x{channels}xi32>) -> tensor<{rows}x{channels}xi32> {{
  %m = "tosa.const"() {{values = dense<{multiplier}> : tensor<{channels}x{kind}>}} : () -> tensor<{channels}x{kind}>
  %s = "tosa.const"() {{values = dense<{shift}> : tensor<{channels}xi8>}} : () -> tensor<{channels}xi8>
  %z = "tosa.const"() {{values = dense<0> : tensor<1xi32>}} : () -> tensor<1xi32>
  %y = "tosa.rescale"(%values, %m, %s, %z, %z) {{
    scale32 = {scale32}, rounding_mode = #tosa.rounding_mode<{rounding}>, per_channel = true,
    input_unsigned = false, output_unsigned = false
  }} : (tensor<{rows}x{channels}xi32>, tensor<{channels}x{kind}>, tensor<{channels}xi8>, tensor<1xi32>, tensor<1xi32>)
    -> tensor<{rows}x{channels}xi32>
  return %y : tensor<{rows}x{channels}xi32>
}}
"""


def rescale(
    values: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, *, scale32: bool, double: bool
) -> np.ndarray:
    """RESCALE of (rows, channels) int32 values, one multiplier and shift per channel, no zero points, int32 out."""
    import tosa_reference_model

    text = PROGRAM.format(
        rows=values.shape[0],
        channels=values.shape[1],
        multiplier=multiplier.tolist(),
        shift=shift.tolist(),
        kind="i32" if scale32 else "i16",
        scale32="true" if scale32 else "false",
        rounding="DOUBLE_ROUND" if double else "SINGLE_ROUND",
    )
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "rescale.mlir"), Path(folder, "rescale.tosa")
        source.write_text(text)
        compiler = Path(sys.executable).parent / "tosa-opt"
        options = ["--tosa-serialize", f"--tosa-flatbuffer-filename={binary}"]
        subprocess.run([compiler, source, *options], check=True, capture_output=True)
        (result,), status = tosa_reference_model.run(binary.read_bytes(), [values.astype(np.int32)])
    if status != tosa_reference_model.GraphStatus.TOSA_VALID:
        raise RuntimeError(f"TOSA's reference model: {status}")
    return result


if __name__ == "__main__":
    given = np.load(sys.argv[1])
    scale32, double = bool(given["scale32"]), bool(given["double"])
    y = rescale(given["values"], given["multiplier"], given["shift"], scale32=scale32, double=double)
    np.savez(sys.argv[2], y=y)
