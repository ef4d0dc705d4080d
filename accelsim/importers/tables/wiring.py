"""Which row of a layer table reads what which row made: the column ``inputs``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from accelsim.errors import ModelError
from accelsim.graph import Layer, Tensor

OUTSIDE = "-"
"""In the column ``inputs``: an operand that no row made."""
Made = tuple[Layer, tuple[Tensor, ...]]
"""A layer and the tensors that belong to its row alone."""


def wired(rows: Iterable[tuple[str, str, Made]]) -> Iterator[tuple[str, Made]]:
    """(file:line, layer and its own tensors) of (file:line, ``inputs``, layer and tensors), each operand at its producer's result.

    ModelError where a name is no earlier row's, where there are more names than operands, or where the sizes differ.
    """
    results: dict[str, Tensor] = {}
    for where, names, (layer, tensors) in rows:
        yield where, _joined(where, names.split(), layer, tensors, results)
        results.setdefault(layer.name, tensors[-1])


def _joined(
    where: str, names: list[str], layer: Layer, tensors: tuple[Tensor, ...], results: dict[str, Tensor]
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


def _result(where: str, name: str, own: Tensor, results: dict[str, Tensor]) -> Tensor:
    """What the row ``name`` made, if it can be read as ``own`` is."""
    if name not in results:
        raise _error(where, f"names of rows above, or {OUTSIDE!r} for an operand from outside", name)
    made = results[name]
    if (made.elements, made.format) != (own.elements, own.format):
        expected = f"a result of {own.elements} elements of {own.format.bits} bits, as this row reads"
        raise _error(where, expected, f"{name}, which makes {made.elements} of {made.format.bits} bits")
    return made


def _error(where: str, expected: str, got: str) -> ModelError:
    return ModelError(f"{where}: column 'inputs': expected {expected}, got {got}", column="inputs")
