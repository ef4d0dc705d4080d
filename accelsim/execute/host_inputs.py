"""Arrays that a user holds, real numbers or codes, as the codes of a network's inputs; or random codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.graph import Graph, HostPort, Tensor
from accelsim.quant import quantize

Arrays = Mapping[str, NDArray[Any]]


def gather_inputs(graph: Graph, inputs: Arrays | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """One array per network input, shape (inferences, *tensor shape), as integer codes; InputError names what does not fit.

    Integers are codes already, floats become codes by the scale and zero point that the model file gives the input.
    """
    given = _named(graph, inputs)
    ports = graph.inputs
    if not ports:
        raise InputError(f"graph {graph.name!r} has no inputs")
    if graph.shape_only:
        raise InputError(f"graph {graph.name!r} carries shapes only; it takes no input values")
    expected = [port.host_name for port in ports]
    unknown = set(given) - {name for port in ports for name in (port.tensor, port.host_name)}
    if unknown:
        raise InputError(f"inputs {sorted(unknown)} are not inputs of the network; it has {expected}")
    batches = {port.tensor: _batch(graph, port, given, expected) for port in ports}
    counts = {name: len(batch) for name, batch in batches.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"inputs hold different numbers of inferences: {counts}")
    return batches


def input_notes(graph: Graph, inputs: Arrays | NDArray[Any]) -> tuple[str, ...]:
    """A sentence per input of integers for which :func:`gather_inputs` quantizes the real numbers given."""
    given = _named(graph, inputs)
    held = ((port, _given(port, given)) for port in graph.inputs if not port.real)
    real = (port for port, values in held if values is not None and np.asarray(values).dtype.kind == "f")
    return tuple(_quantized(port.host_name, graph.tensors[port.tensor]) for port in real)


def _quantized(name: str, tensor: Tensor) -> str:
    scale = "" if tensor.scale is None else f"scale {tensor.scale:.6g} and zero point {tensor.zero_point}"
    return f"input {name!r} holds real numbers: quantized to {tensor.format} with the model file's {scale}"


def random_inputs(graph: Graph, *, count: int, seed: int) -> dict[str, NDArray[Any]]:
    """``count`` inferences as :func:`gather_inputs` gives them, every code of an input's format as likely as any other."""
    random = np.random.default_rng(seed)
    return {port.tensor: _random(random, graph.tensors[port.tensor], count) for port in graph.inputs}


def _random(random: np.random.Generator, tensor: Tensor, count: int) -> NDArray[Any]:
    fmt, shape = tensor.format, (count, *tensor.shape)
    codes = (
        random.integers(0, 2, shape) * 2 - 1 if fmt.bipolar else random.integers(fmt.min, fmt.max, shape, endpoint=True)
    )
    return codes.astype(fmt.dtype)


def _named(graph: Graph, inputs: Arrays | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays by name; ``input`` is the network's only one."""
    given = dict(inputs) if isinstance(inputs, Mapping) else {"input": np.asarray(inputs)}
    given = {name: values for name, values in given.items() if name not in graph.unread_inputs}
    ports = graph.inputs
    if "input" in given and len(ports) == 1 and not {ports[0].tensor, ports[0].host_name} & set(given):
        given[ports[0].host_name] = given.pop("input")
    return given


def _given(port: HostPort, given: Arrays) -> NDArray[Any] | None:
    return given.get(port.host_name, given.get(port.tensor))


def _batch(graph: Graph, port: HostPort, given: Arrays, expected: list[str]) -> NDArray[Any]:
    values = _given(port, given)
    if values is None:
        raise InputError(
            f"input {port.host_name!r} is missing; the network's inputs are {expected}, got {sorted(given)}"
        )
    tensor = graph.tensors[port.tensor]
    values = tensor.from_host(_with_inferences(np.asarray(values), tensor.host_shape, port.host_name))
    if values.dtype.kind == "f":
        if tensor.scale is None:
            raise InputError(
                f"input {port.host_name!r}: expected {tensor.format} codes, got {values.dtype}, and the model file gives no scale "
                "and zero point to make codes with; quantize the inputs as for the network's training, and give integers"
            )
        return quantize(
            values, scale=tensor.scale, zero_point=tensor.zero_point, fmt=tensor.format, rounding=port.rounding
        )
    if values.dtype.kind not in "iu":
        raise InputError(f"input {port.host_name!r}: expected {tensor.format} codes, got {values.dtype}")
    if not tensor.format.holds(values):
        raise InputError(
            f"input {port.host_name!r}: values {int(values.min())}..{int(values.max())} leave {tensor.format} "
            f"({tensor.format.min}..{tensor.format.max})"
        )
    return values.astype(tensor.format.dtype)


def _with_inferences(values: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """(inferences, *shape): one inference, with or without a leading axis of 1, or several along a new axis or that one."""
    if values.shape == shape:
        return values[None]
    if shape[:1] == (1,) and values.shape == shape[1:]:
        return values[None, None]
    if values.shape[1:] == shape and len(values):
        return values
    if shape[:1] == (1,) and values.shape[1:] == shape[1:] and len(values):
        return values[:, None]
    raise InputError(f"input {name!r}: expected shape {shape} or N inferences of it, got {values.shape}")
