"""What every format's table of operators consists of: lowerings, and what people are told of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from accelsim.graph import Layer
from accelsim.importers.refusal import RefusalError

Function = TypeVar("Function", bound=Callable[..., Any], covariant=True)


@dataclass(frozen=True)
class Lowering(Generic[Function]):
    """How an operator becomes ``layers``, none where the host carries it out; ``formats`` and ``notes`` are for people."""

    function: Function
    layers: tuple[type[Layer], ...]
    formats: str
    notes: str = ""


@dataclass(frozen=True)
class OperatorSupport:
    """One operator that a format may hold: where it comes from, which formats of numbers, which layers it becomes."""

    operator: str
    source: str
    formats: str
    layer: str
    notes: str


def lowering_of(
    op: str, lowerings: Mapping[str, Lowering[Function]], refused: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> Lowering[Function]:
    """The lowering of operator ``op``; RefusalError says why it is ``refused``, or lists the accepted ones and the nearest."""
    if op not in lowerings:
        if op in refused:
            raise RefusalError(*refused[op])
        near = difflib.get_close_matches(op, lowerings, n=1)
        hint = f" (nearest: {near[0]})" if near else ""
        raise RefusalError("the operator is not supported", ", ".join(lowerings), hint)
    return lowerings[op]


def supported(source: str, lowerings: Mapping[str, Lowering[Any]]) -> tuple[OperatorSupport, ...]:
    """The rows of ``lowerings`` in a list of supported operators."""
    return tuple(
        OperatorSupport(
            op, source, rule.formats, " or ".join(kind.__name__ for kind in rule.layers) or "host", rule.notes
        )
        for op, rule in lowerings.items()
    )
