"""Running float and fake-quantized networks: by onnx's reference evaluator, or by ONNX Runtime where it is installed.

The reference evaluator comes with onnx, which accelsim needs anyway, and gives the same numbers on every machine; ONNX Runtime is
faster. ``Quant`` and ``BipolarQuant`` of QONNX, which neither has, are given to the reference evaluator as operators of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, ConfigError, InputError, ModelError
from accelsim.importers import one_line
from accelsim.importers.onnx.file import QONNX_DOMAIN, OnnxModel, broken_rule
from accelsim.numerics import IntFormat
from accelsim.ptq.network.proto import float_proto
from accelsim.quant import fake_quant_as

EVALUATORS = ("onnx", "onnxruntime")
"""onnx's reference evaluator, and ONNX Runtime."""
Arrays = Mapping[str, NDArray[Any]]


def evaluate(model: OnnxModel, inputs: Arrays, *, evaluator: str = "onnx") -> Iterator[dict[str, NDArray[np.float32]]]:
    """Every activation of the float network, one inference after the other.

    ``inputs`` by name (``input`` for the only one), inferences along the leading axis. Raises InputError for arrays that are
    missing, of another shape, or not finite, ConfigError where the evaluator is not installed.
    """
    names = [name for node in model.nodes for name in node.outputs if name]
    batches = gather(model, inputs)
    made = _evaluated(float_proto(model), batches, names, evaluator)
    shapes = {value.name: batch for value, batch in zip(model.inputs, batches.values(), strict=True)}
    for i, tensors in enumerate(made):
        yield tensors | {name: batch[i] for name, batch in shapes.items()}


def evaluate_model(
    model: Any, inputs: Arrays, *, evaluator: str = "onnx", names: Sequence[str] = ()
) -> dict[str, NDArray[np.float32]]:
    """Outputs, or the tensors ``names``, of a ModelProto, float, QDQ or QONNX, inferences along a new leading axis.

    ``inputs`` are float arrays by name, of shape (inferences, *shape of the input).
    """
    wanted = list(names) or [value.name for value in model.graph.output]
    made = list(_evaluated(model, inputs, wanted, evaluator))
    return {name: np.stack([tensors[name] for tensors in made]) for name in wanted}


def fastest_evaluator(name: str = "auto") -> str:
    """``auto`` as ONNX Runtime where it is installed, as onnx's reference evaluator elsewhere; other names as they are."""
    if name != "auto":
        return name
    return "onnxruntime" if find_spec("onnxruntime") else "onnx"


def runner(
    model: Any, names: Sequence[str], *, evaluator: str, optimized: bool = False
) -> Callable[[Arrays], dict[str, NDArray[Any]]]:
    """What runs a ModelProto once and gives the tensors ``names``, prepared for many runs.

    ``optimized`` lets ONNX Runtime fuse operators, for networks in float32 alone. Raises ConfigError for an evaluator that is
    unknown or not installed; ModelError, then and when it is called, for a network that it cannot run.
    """
    if evaluator not in EVALUATORS:
        raise ConfigError(f"evaluator {evaluator!r}: expected one of {', '.join(EVALUATORS)}")
    with _refused(evaluator, model):
        run = _reference(model, names) if evaluator == "onnx" else _runtime(model, names, optimized)

    def guarded(feeds: Arrays) -> dict[str, NDArray[Any]]:
        with _refused(evaluator, model):
            made: dict[str, NDArray[Any]] = run(feeds)
            return made

    return guarded


def gather(model: OnnxModel, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
    """One float32 array per graph input, shape (inferences, *shape); InputError names what does not fit."""
    given = dict(inputs)
    expected = [value.name for value in model.inputs]
    if "input" in given and len(expected) == 1 and expected[0] not in given:
        given[expected[0]] = given.pop("input")
    if sorted(given) != sorted(expected):
        raise InputError(f"calibration data: the network's inputs are {expected}, got {sorted(given)}")
    batches = {value.name: _batch(value.name, value.shape, given[value.name]) for value in model.inputs}
    counts = {name: len(batch) for name, batch in batches.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"calibration data: inputs hold different numbers of inferences: {counts}")
    return batches


def _batch(name: str, shape: tuple[int, ...], values: NDArray[Any]) -> NDArray[np.float32]:
    where = f"calibration data: input {name!r}"
    if values.dtype.kind != "f":
        raise InputError(f"{where} is {values.dtype}; expected real numbers, as the float network takes them")
    if values.shape == shape:
        values = values[None]
    elif shape[:1] == (1,) and values.ndim == len(shape) and values.shape[1:] == shape[1:]:
        values = values[:, None]
    if values.shape[1:] != shape or not len(values):
        raise InputError(f"{where} has shape {values.shape}; expected {shape} or N inferences of it")
    if not np.isfinite(values).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{where} holds {values[index]} at index {index}; expected finite numbers", index=index)
    return values.astype(np.float32)


def _evaluated(model: Any, inputs: Arrays, names: Sequence[str], evaluator: str) -> Iterator[dict[str, NDArray[Any]]]:
    run = runner(model, names, evaluator=evaluator)
    for i in range(len(next(iter(inputs.values())))):
        yield run({name: batch[i] for name, batch in inputs.items()})


@contextmanager
def _refused(evaluator: str, model: Any) -> Iterator[None]:
    """What the evaluator cannot run becomes a ModelError; both raise whatever their operators raise."""
    try:
        yield
    except AccelsimError:
        raise
    except Exception as error:
        other = next(name for name in EVALUATORS if name != evaluator)
        reason = broken_rule(model) or one_line(error)
        raise ModelError(
            f"the evaluator {evaluator} cannot run the network: {reason}; mend that operator in the float model, or try {other}"
        ) from error


def _reference(model: Any, names: Sequence[str]) -> Any:
    from onnx.reference import ReferenceEvaluator

    runner: Any = ReferenceEvaluator(model, new_ops=_qonnx_operators())

    def run(feeds: Arrays) -> dict[str, NDArray[Any]]:
        return {
            name: np.asarray(value) for name, value in zip(names, runner.run(list(names), dict(feeds)), strict=True)
        }

    return run


def _runtime(model: Any, names: Sequence[str], optimized: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("evaluator onnxruntime: it is not installed; pip install onnxruntime, or use onnx") from error
    import onnx

    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    have = {value.name for value in wider.graph.output}
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in have)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        # It computes in integers of its own, which on x86 without VNNI saturate (onnxruntime issue 16105).
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(wider.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(feeds: Arrays) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(list(names), dict(feeds)), strict=True))

    return run


def _qonnx_operators() -> list[Any]:
    """Quant and BipolarQuant as onnx's reference evaluator takes operators."""
    from onnx.reference.op_run import OpRun

    class Quant(OpRun):
        """Fake quantization by the rule of qonnx, rounding half to even."""

        op_domain = QONNX_DOMAIN

        def _run(self, x: Any, scale: Any, zeropt: Any, bits: Any, **attributes: Any) -> tuple[Any]:
            fmt = IntFormat(int(bits), signed=bool(attributes["signed"]))
            zero = zeropt.astype(np.int64)
            return (fake_quant_as(x, framework="qonnx", scale=scale, zero_point=zero, fmt=fmt).astype(np.float32),)

    class BipolarQuant(OpRun):
        """``scale`` where x is 0 or more, ``-scale`` elsewhere."""

        op_domain = QONNX_DOMAIN

        def _run(self, x: Any, scale: Any) -> tuple[Any]:
            return (np.where(x >= 0, scale, -scale).astype(np.float32),)

    return [Quant, BipolarQuant]
