"""Cross-layer equalization beside AIMET's: the weights that each leaves, through one and the same quantizer.

python benchmarks/equalization.py     # needs $ACCELSIM_SHARED, $ACCELSIM_AIMET_PYTHON, onnxruntime, scikit-learn; a minute

Printed for each network and each way of equalizing it: the mean and the least SQNR of a layer's weights in dB, rounded to the nearest under
min-max ranges, and the SQNR of what the last layer with weights makes of the test images, activations in float. (Behind a last Softmax of two
classes there is one number, whose SQNR moves by decibels with nothing.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from accelsim.importers.onnx.file import OnnxModel  # noqa: E402
from accelsim.numerics import IntFormat  # noqa: E402
from accelsim.ptq import Settings, evaluate, read_float  # noqa: E402
from accelsim.ptq.equalization import Reach, reach_of, with_factors  # noqa: E402
from accelsim.ptq.network.parameters import with_weights  # noqa: E402
from accelsim.ptq.network.products import bias_of, channel_axis, products  # noqa: E402
from accelsim.ptq.parameters import along, decibels, nearest_codes, scales_of  # noqa: E402
from accelsim.ptq.pipeline.absorption import reached_bounds, without_idle_bounds  # noqa: E402
from benchmarks.ptq import NETWORKS, Case, by_aimet  # noqa: E402

WEIGHTS = (8, 4)
ROUNDS = (1, 2, 6)
"""Over all pairs of layers, beside as many as there is something to move for."""
Figures = tuple[float, float, float]


class Unguarded(Reach):
    """Without regard to what factors do to the ranges of activations and biases, but for the bounds of Clips."""

    def least_factors(self, name: str, bias: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Only those bounds; channels of nothing keep their factor."""
        guarded = super().least_factors(name, bias)
        bounded = self.highs[name] / self.bounds[name] if name in self.bounds else np.zeros_like(guarded)
        return np.where(guarded > 0, bounded, guarded)


def equalized(case: Case) -> Iterator[tuple[str, OnnxModel]]:
    """The network as it is, as AIMET leaves it, and as accelsim does, in several ways."""
    model, calibration = read_float(case.path), case.data()[0]
    yield "as it is", model
    with TemporaryDirectory() as name:
        made = by_aimet(case, {"equalize": True, "only": True}, Path(name))
        yield "AIMET's", read_float(made.rename(made.with_suffix(".onnx")))
    data = {model.inputs[0].name: calibration}
    model, _ = without_idle_bounds(model, reach_of(model, data, evaluator="onnxruntime"))
    found = reach_of(model, data, evaluator="onnxruntime")
    reach = replace(found, bounds=reached_bounds(model, found))
    yield "accelsim's", with_factors(model, reach)[0]
    for rounds in ROUNDS:
        yield f"accelsim's, {rounds} round{'s' if rounds > 1 else ''}", with_factors(model, reach, rounds=rounds)[0]
    free = Unguarded(**{field.name: getattr(reach, field.name) for field in fields(reach)})
    yield "accelsim's, activations not minded", with_factors(model, free)[0]


def figures(model: OnnxModel, case: Case) -> Figures:
    """The mean and the least of the layers' own SQNR, and that of the last layer's output."""
    settings, rounded, own = Settings(per_channel=case.per_channel), {}, []
    for node in products(model):
        real = model.constants[node.inputs[1]].astype(np.float32)
        axis = channel_axis(node, real.ndim) if case.per_channel else None
        column = along(scales_of(model, node, case.weights, settings), axis, real.ndim)
        made = (nearest_codes(real, column, IntFormat(case.weights)) * column).astype(np.float32)
        own.append(decibels(real, made - real))
        rounded[node.outputs[0]] = (made, bias_of(node, model.constants))
    name = products(model)[-1].outputs[0]
    before, after = (last(one, case, name) for one in (model, with_weights(model, rounded)))
    return float(np.mean(own)), min(own), decibels(before, after - before)


def last(model: OnnxModel, case: Case, name: str) -> NDArray[np.float64]:
    """Tensor ``name`` over the test images."""
    data = {model.inputs[0].name: case.data()[1]}
    return np.stack([made[name] for made in evaluate(model, data, evaluator="onnxruntime")]).astype(np.float64)


def measure() -> dict[str, dict[str, dict[str, Figures]]]:
    """By network, way and column."""
    found: dict[str, dict[str, dict[str, Figures]]] = {}
    for name in NETWORKS:
        for way, model in equalized(Case(name, 8, False)):
            for bits in WEIGHTS:
                for channels in (False, True):
                    case = Case(name, bits, channels)
                    found.setdefault(name, {}).setdefault(way, {})[title(case)] = figures(model, case)
    return found


def title(case: Case) -> str:
    return f"W{case.weights} {'channel' if case.per_channel else 'tensor'}"


def table(found: Mapping[str, Mapping[str, Mapping[str, Figures]]]) -> str:
    """Markdown."""
    heads = list(next(iter(next(iter(found.values())).values())))
    lines = [f"| network | equalized | {' | '.join(heads)} |", "|---" * 2 + "|---:" * len(heads) + "|"]
    for name, ways in found.items():
        for way, columns in ways.items():
            cells = " | ".join(f"{mean:.1f}, {least:.1f}: {end:.1f}" for mean, least, end in columns.values())
            lines.append(f"| `{name}` | {way} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(measure()), end="")
