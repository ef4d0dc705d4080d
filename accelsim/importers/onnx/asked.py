"""Nothing of a node goes unseen: attributes and inputs that its lowering did not look at are refused, unless they say nothing.

A lowering asks its node for what it needs. What it did not ask for by then may change the result in a way that nobody reads, and is
allowed only where it equals the default of ONNX's own operator schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from accelsim.importers.onnx.file.records import Attribute, OnnxNode
from accelsim.importers.refusal import RefusalError


@dataclass(frozen=True)
class Asked(Mapping[str, Attribute]):
    """The attributes of a node; the names that were looked up are kept in ``names``."""

    given: Mapping[str, Attribute]
    names: set[str]

    def __getitem__(self, name: str) -> Attribute:
        self.names.add(name)
        return self.given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def need_all_seen(node: OnnxNode, opset: int, *, attributes: set[str], inputs: set[int]) -> None:
    """RefusalError for an attribute that is not among ``attributes`` and not its default, and for an input not among ``inputs``."""
    for name, value in node.attributes.items():
        if name not in attributes:
            _need_default(node, opset, name, value)
    for position, name in enumerate(node.inputs):
        if name and position not in inputs:
            most = max(inputs, default=-1) + 1
            raise RefusalError(f"its input {position}, {name!r}, is not read", f"at most {most} inputs in this form")


def _need_default(node: OnnxNode, opset: int, name: str, value: Attribute) -> None:
    defaults = _defaults(node.op, node.domain, opset)
    if name not in defaults:
        known = f"the attributes {', '.join(sorted(defaults))}" if defaults else "no such attribute"
        raise RefusalError(f"it has an attribute {name}, which is not read", known)
    default = defaults[name]
    if default is None or not np.array_equal(np.asarray(value), np.asarray(default)):
        told = "none" if default is None else f"{default!r}"
        raise RefusalError(f"its attribute {name} is {value!r}", f"{told} in this form")


def schema_attributes(node: OnnxNode, opset: int) -> tuple[str, ...]:
    """Names of the attributes that ONNX's schema of the operator has."""
    return tuple(_defaults(node.op, node.domain, opset))


@cache
def _defaults(op: str, domain: str, opset: int) -> Mapping[str, Any]:
    """Attributes of an operator of ONNX's own, None for those without a default; of others none is known."""
    import onnx

    try:
        schema = onnx.defs.get_schema(op, opset, domain.removeprefix("ai.onnx"))
    except onnx.defs.SchemaError:
        return {}
    return {name: _value(onnx, attribute.default_value) for name, attribute in schema.attributes.items()}


def _value(onnx: Any, default: Any) -> Any:
    if not default.type:
        return None
    value = onnx.helper.get_attribute_value(default)
    return value.decode() if isinstance(value, bytes) else value
