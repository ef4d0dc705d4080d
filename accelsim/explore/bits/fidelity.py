"""How far the integers of a network are from its floating point: the reference, and the distance from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import InputError
from accelsim.execute import WholeReader, accumulator_formats, gather_inputs
from accelsim.graph import Graph
from accelsim.labels import answers
from accelsim.quant import dequantize

if TYPE_CHECKING:
    from accelsim.ptq import Calibrated
    from accelsim.ptq.pipeline import Prepared

Arrays = Mapping[str, NDArray[Any]]
Doubles = NDArray[np.float64]
PROBED = 32
"""Inputs over which the noise of an output is measured."""
_SQUASHED = ("Softmax", "Sigmoid")
"""Functions that hide how far their input is off; the noise is measured before them."""


def scored(calibrated: Calibrated | Prepared) -> tuple[str, ...]:
    """The tensors whose noise counts: the outputs, or what a last Softmax or Sigmoid reads."""
    makers = {name: node for node in calibrated.network.nodes for name in node.outputs}
    found = []
    for name in calibrated.network.outputs:
        maker = makers.get(name)
        found.append(maker.inputs[0] if maker is not None and maker.op in _SQUASHED else name)
    return tuple(found)


def float_answers(calibrated: Calibrated | Prepared, inputs: Arrays, *, evaluator: str) -> NDArray[np.int64]:
    """The index of the largest output of the float network for each of ``inputs``; InputError where it has several outputs."""
    from accelsim.ptq import evaluate

    network = calibrated.network
    if len(network.outputs) != 1:
        raise InputError(
            f"{network.path}: agreement of the largest output needs a network with one output, this has {len(network.outputs)}"
        )
    made = [tensors[network.outputs[0]].reshape(-1) for tensors in evaluate(network, inputs, evaluator=evaluator)]
    return answers(np.stack(made))


@dataclass(frozen=True, eq=False)
class Reference:
    """What the float network makes of ``inputs``: ``tensors`` by name, inferences along the first axis, flat."""

    inputs: Arrays
    tensors: Mapping[str, Doubles]

    @classmethod
    def of(cls, calibrated: Calibrated | Prepared, inputs: Arrays, *, evaluator: str) -> Reference:
        """Over the first :data:`PROBED` of ``inputs``."""
        from accelsim.ptq import evaluate

        few = {name: np.asarray(values)[:PROBED] for name, values in inputs.items()}
        names, made = scored(calibrated), dict[str, list[Doubles]]()
        for tensors in evaluate(calibrated.network, few, evaluator=evaluator):
            for name in names:
                made.setdefault(name, []).append(tensors[name].astype(np.float64).reshape(-1))
        return cls(few, {name: np.stack(rows) for name, rows in made.items()})

    def noise(self, graph: Graph, arch: Arch) -> float:
        """The power of what the integers of ``graph`` on ``arch`` are off by, over that of the float tensors: 1 / SQNR, the mean of outputs.

        Sums that could leave their accumulator count as wrapped around.
        """
        reader = WholeReader(graph, accumulators=accumulator_formats(graph, arch), inferences=PROBED)
        values = reader.run_batch(gather_inputs(graph, self.inputs), keep="all")
        return float(np.mean([self._ratio(graph, values, name) for name in self.tensors]))

    def _ratio(self, graph: Graph, values: Arrays, name: str) -> float:
        held = next(x for x in (name, f"{name}/codes", f"{name}/quantized") if x in values)
        tensor, expected = graph.tensors[held], self.tensors[name]
        codes = np.stack([tensor.to_host(one) for one in values[held]]).reshape(expected.shape)
        assert tensor.scale is not None
        error = dequantize(codes, scale=tensor.scale, zero_point=tensor.zero_point).astype(np.float64) - expected
        return float(np.square(error).sum() / max(np.square(expected).sum(), np.finfo(np.float64).tiny))
