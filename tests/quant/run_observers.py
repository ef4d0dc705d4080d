"""Runs in an environment of its own that holds torch: ranges and parameters by the observers of torch.ao.

    python run_observers.py batches.npz out.npz

``x_i`` holds batches (count, n). For each: the moving average's and the plain extremes, and scale and zero point of each form.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from torch.ao.quantization import MinMaxObserver, MovingAverageMinMaxObserver, PerChannelMinMaxObserver


def main(batches: str, out: str) -> None:
    warnings.simplefilter("ignore")
    made: dict[str, np.ndarray] = {}
    given = np.load(batches)
    for name in given.files:
        i, x = name.removeprefix("x_"), torch.tensor(given[name])
        for kind, observer in (("minmax", MinMaxObserver()), ("moving", MovingAverageMinMaxObserver())):
            for batch in x:
                observer(batch)
            made[f"{kind}_{i}"] = np.array([observer.min_val, observer.max_val], np.float32)
        affine = MinMaxObserver(dtype=torch.quint8, qscheme=torch.per_tensor_affine, eps=0.0)
        affine(x)
        scale, zero = affine.calculate_qparams()
        made[f"affine_{i}"] = np.array([scale.item(), zero.item()], np.float64)
        channels = PerChannelMinMaxObserver(ch_axis=0)
        channels(x)
        made[f"channels_{i}"] = np.stack([channels.min_val.numpy(), channels.max_val.numpy()])
    np.savez(out, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
