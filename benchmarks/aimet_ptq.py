"""Runs in an environment of its own that holds aimet-onnx: its quantization of one float network, in the settings of a file.

    python aimet_ptq.py float.onnx data.npz settings.json out.npz

``data.npz`` holds ``calibration`` and ``test``, (inferences, *shape). ``settings.json``: weights, acts (bits), per_channel, equalize,
adaround (iterations, 0 for none), scheme. ``out.npz`` gets ``made``, the fake-quantized output over ``test``. With ``only`` equalized,
``out.npz`` is the equalized float network, an ONNX file whatever its name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from aimet_onnx import QuantizationSimModel, apply_adaround, int4, int8
from aimet_onnx.common.quantsim_config.utils import get_path_for_per_channel_config, get_path_for_per_tensor_config
from aimet_onnx.cross_layer_equalization import equalize_model

TYPES = {4: int4, 8: int8}


def main(network: str, data: str, settings: str, out: str) -> None:
    chosen = json.loads(Path(settings).read_text(encoding="utf-8"))
    model, given = onnx.load(network), np.load(data)
    port = model.graph.input[0].name
    calibration = [{port: x} for x in given["calibration"]]
    if chosen["equalize"]:
        equalize_model(model)
    if chosen.get("only"):
        Path(out).write_bytes(model.SerializeToString())
        return
    sim = QuantizationSimModel(
        model,
        param_type=TYPES[chosen["weights"]],
        activation_type=TYPES[chosen["acts"]],
        quant_scheme=chosen["scheme"],
        config_file=(get_path_for_per_channel_config if chosen["per_channel"] else get_path_for_per_tensor_config)(),
    )
    if chosen["adaround"]:
        apply_adaround(sim, calibration, num_iterations=chosen["adaround"])
    sim.compute_encodings(calibration)
    made = np.stack([sim.session.run(None, {port: x})[0] for x in given["test"]])
    np.savez(out, made=made)


if __name__ == "__main__":
    main(*sys.argv[1:])
