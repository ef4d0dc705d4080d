"""ConvInteger and MatMulInteger with the float operators that scale their sums, and transposed convolutions in QDQ form."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.importers.onnx.models import Act, Net

OUTPUT_TYPES = {"int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


class IntegerNet(Net):
    """A :class:`Net` that may also have outputs of int32 sums."""

    def sums(
        self, x: Act, weights: np.ndarray[Any, Any], zeros: Any, *, op: str = "MatMulInteger", **attributes: Any
    ) -> str:
        """ConvInteger or MatMulInteger with random zero points; ``zeros`` of the weights, None for none."""
        name = f"s{len(self.nodes)}"
        inputs = [x.name, self.const(weights, self.weight_kind), self.const(x.zero, self.kind)]
        inputs += [] if zeros is None else [self.const(zeros, self.weight_kind)]
        self.node(op, inputs, name, **attributes)
        return name

    def random_weights(self, shape: tuple[int, ...], channels: int = 0) -> tuple[np.ndarray[Any, Any], Any]:
        """Codes of 6 bits around a zero point per tensor, or one for each of ``channels``."""
        low = 60 if self.weight_kind == "uint8" else -64
        zeros = self.rng.integers(low + 24, low + 40, channels or None)
        return self.rng.integers(low, low + 64, shape).astype(self.weight_kind), zeros

    def tail(
        self, sums: str, shape: tuple[int, ...], steps: tuple[tuple[str, Any], ...], *, scale: float | None = None
    ) -> Act:
        """Cast -> steps (operator, constant or None) -> QuantizeLinear."""
        name = f"{sums}_f{len(self.nodes)}"
        self.node("Cast", [sums], name, to=TensorProto.FLOAT)
        for op, constant in steps:
            after = f"{sums}_f{len(self.nodes)}"
            values = constant if isinstance(constant, tuple) else (constant,)
            more = [self.const(value, np.float32) for value in values if value is not None]
            self.node(op, [name, *more], after)
            name = after
        return self.quantized(name, self.act(shape, scale=scale))

    def with_outputs(self, **kinds: str) -> Any:
        """The model with further outputs of these element types."""
        model = self.model()
        for name, kind in kinds.items():
            model.graph.output.append(helper.make_tensor_value_info(name, OUTPUT_TYPES[kind], None))
        return model

    def transposed(
        self, x: Act, oc: int, kernel: tuple[int, int], *, groups: int = 1, per_channel: bool = False, bias: bool = False,
        **attributes: Any,
    ) -> str:  # fmt: skip
        """DequantizeLinear -> ConvTranspose; the name of its float result, scaled by :meth:`transposed_scale`."""
        name = f"u{len(self.nodes)}"
        codes, scales, zeros = self.weights((x.shape[1], oc // groups, *kernel), 1, per_channel)
        parameters = [scales, zeros] if per_channel else [scales[0], zeros[0]]
        names = [self.const(codes, codes.dtype), self.const(parameters[0], np.float32)]
        names.append(self.const(parameters[1], self.weight_kind))
        self.node("DequantizeLinear", names, f"{name}_w", **({"axis": 1} if per_channel else {}))
        inputs = [self.real(x), f"{name}_w"]
        if bias:
            values = self.rng.integers(-3000, 3000, oc).astype(np.int32)
            spread = np.tile(scales, groups) if per_channel else scales
            inputs.append(self.real_bias(x, spread, values, Act(name, (), 1.0, 0), per_channel))
        self.node("ConvTranspose", inputs, name, group=groups, **attributes)
        return name
