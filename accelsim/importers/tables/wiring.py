"""Which row of a layer table reads what which row made: the column ``inputs``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.errors import ModelError
from accelsim.graph import Layer, Tensor

OUTSIDE = "-"
"""In the column ``inputs``: an operand that no row made."""
Made = tuple[Layer, tuple[Tensor, ...]]
"""A layer and the tensors that belong to its row alone."""


class Wiring:
    """Which row made what, so far; ``results`` by the name of the row, None for one that is refused."""

    def __init__(self) -> None:
        self.results: dict[str, Tensor | None] = {}

    def add(self, where: str, names: list[str], made: Made) -> Made:
        """The layer of the row at ``where`` and its own tensors, each operand at its producer's result.

        ModelError where a name is no earlier row's, where there are more names than operands, or where the sizes differ.
        """
        layer, tensors = made
        joined = _joined(where, names, layer, tensors, self.results) if names else made
        self.results.setdefault(layer.name, tensors[-1])
        return joined

    def refused(self, name: str) -> None:
        """The row ``name`` made nothing; what reads it is taken as if it read an operand from outside."""
        self.results.setdefault(name, None)


def _joined(
    where: str, names: list[str], layer: Layer, tensors: tuple[Tensor, ...], results: Mapping[str, Tensor | None]
) -> Made:
    *operands, output = tensors
    if len(names) > len(operands):
        raise _error(where, f"at most {len(operands)} names, the operands of {layer.operator}", " ".join(names))
    read = [
        own if name == OUTSIDE else _result(where, name, own, results)
        for own, name in zip(operands, names + [OUTSIDE] * (len(operands) - len(names)), strict=True)
    ]
    new = tuple(own for own, tensor in zip(operands, read, strict=True) if tensor is own)
    return replace(layer, inputs=tuple(tensor.name for tensor in read)), (*new, output)


def _result(where: str, name: str, own: Tensor, results: Mapping[str, Tensor | None]) -> Tensor:
    """What the row ``name`` made, if it can be read as ``own`` is."""
    if name not in results:
        raise _error(where, f"names of rows above, or {OUTSIDE!r} for an operand from outside", name)
    made = results[name]
    if made is None:
        return own
    if (made.elements, made.format) != (own.elements, own.format):
        expected = f"a result of {own.elements} elements of {own.format.bits} bits, as this row reads"
        raise _error(where, expected, f"{name}, which makes {made.elements} of {made.format.bits} bits")
    return made


def _error(where: str, expected: str, got: str) -> ModelError:
    return ModelError(f"{where}: column 'inputs': expected {expected}, got {got}", column="inputs")
