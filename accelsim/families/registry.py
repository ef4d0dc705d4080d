"""The networks that are there, by name, and what makes a table or a Graph of one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from accelsim.errors import ConfigError, ModelError
from accelsim.families.decoders import Gpt2, Llama
from accelsim.families.mobilenets import MobileNetV1, MobileNetV2, MobileNetV3
from accelsim.families.network import PARAMETERS, Network, Value
from accelsim.families.resnets import BottleneckResNet, ResNet
from accelsim.families.transformers import Bert, Vit

if TYPE_CHECKING:
    from accelsim.graph import Graph


class Member(NamedTuple):
    """A network of a family: what it ``is``, its ``kind``, and values of its fields where they differ from the kind's."""

    what: str
    kind: type[Network]
    settings: Mapping[str, Value] = MappingProxyType({})

    @property
    def defaults(self) -> dict[str, Value]:
        """Its parameters and what they are where nothing is said."""
        own: dict[str, Any] = {field.name: field.default for field in fields(self.kind) if field.name in PARAMETERS}
        return {name: self.settings.get(name, value) for name, value in sorted(own.items())}


def _transformer(layers: int, width: int, heads: int, **others: Value) -> dict[str, Value]:
    return {"layers": layers, "width": width, "heads": heads, **others}


def _llama(layers: int, width: int, heads: int, *, kv_heads: int, inner: int, **others: Value) -> dict[str, Value]:
    return _transformer(layers, width, heads, kv_heads=kv_heads, feed_forward=inner, **others)


FAMILIES: Mapping[str, Member] = MappingProxyType(
    {
        "bert_base": Member("BERT-base, the encoder", Bert, _transformer(12, 768, 12)),
        "bert_large": Member("BERT-large, the encoder", Bert, _transformer(24, 1024, 16)),
        "gpt2_small": Member("GPT-2, 124 M", Gpt2, _transformer(12, 768, 12)),
        "gpt2_medium": Member("GPT-2, 355 M", Gpt2, _transformer(24, 1024, 16)),
        "gpt2_large": Member("GPT-2, 774 M", Gpt2, _transformer(36, 1280, 20)),
        "gpt2_xl": Member("GPT-2, 1.6 G", Gpt2, _transformer(48, 1600, 25)),
        "llama2_7b": Member("Llama 2, 6.7 G", Llama),
        "llama3_8b": Member(
            "Llama 3, 8 G", Llama, _llama(32, 4096, 32, kv_heads=8, inner=14336, vocabulary=128256, context=8192)
        ),
        "tinyllama_1b": Member("TinyLlama, 1.1 G", Llama, _llama(22, 2048, 32, kv_heads=4, inner=5632, context=2048)),
        "mobilenet_v1": Member("MobileNet", MobileNetV1),
        "mobilenet_v2": Member("MobileNetV2", MobileNetV2),
        "mobilenet_v3_large": Member("MobileNetV3-Large", MobileNetV3, {"size": "large"}),
        "mobilenet_v3_small": Member("MobileNetV3-Small", MobileNetV3, {"size": "small"}),
        "resnet18": Member("ResNet-18", ResNet, {"depth": 18}),
        "resnet34": Member("ResNet-34", ResNet, {"depth": 34}),
        "resnet50": Member("ResNet-50", BottleneckResNet, {"depth": 50}),
        "resnet101": Member("ResNet-101", BottleneckResNet, {"depth": 101}),
        "resnet152": Member("ResNet-152", BottleneckResNet, {"depth": 152}),
        "vit_tiny": Member("ViT-Ti", Vit, _transformer(12, 192, 3)),
        "vit_small": Member("ViT-S", Vit, _transformer(12, 384, 6)),
        "vit_base": Member("ViT-B", Vit, _transformer(12, 768, 12)),
        "vit_large": Member("ViT-L", Vit, _transformer(24, 1024, 16)),
    }
)
"""By name. Sizes: GPT-2 as its paper's table 2; Llama 2 7B arXiv:2302.13971 table 2; Llama 3 8B arXiv:2407.21783 table 3; TinyLlama
arXiv:2401.02385 table 2; ViT-Ti and ViT-S Touvron et al. 2021, table 1 (arXiv:2012.12877), the others their papers'."""


def network_named(name: str, **parameters: Value) -> Network:
    """The network ``name`` with these parameters in place of its own; ConfigError for what it has not, or cannot be."""
    if name not in FAMILIES:
        raise ConfigError(f"workload {name!r}: no such network; there are {', '.join(FAMILIES)}{_near(name, FAMILIES)}")
    member = FAMILIES[name]
    for unknown in parameters.keys() - member.defaults.keys():
        raise ConfigError(
            f"workload {name}: it has no parameter {unknown!r}; it has {', '.join(member.defaults)}{_near(unknown, member.defaults)}"
        )
    try:
        return member.kind(**{**member.settings, **parameters})  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(f"workload {name}: {error}", **error.data) from error


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def workload_text(name: str, **parameters: Value) -> str:
    """The layer table of a network in CSV, which :func:`accelsim.load_graph` reads; comments say how it was made.

    Raises what :func:`workload` raises.
    """
    network = network_named(name, **parameters)
    chosen = ((key, getattr(network, key)) for key in FAMILIES[name].defaults)
    options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in chosen if value is not None)
    return network.table().text(f"accelsim workload {name} {options}")


def workload(name: str, **parameters: Value) -> Graph:
    """The shape-only Graph of a network of a family: ``workload("gpt2_small", context=512, weight_bits=4)``.

    ``accelsim workload --list`` prints the networks and the parameters of each. Raises ConfigError for a network that is not there
    and for parameters that it has not, that no such network has, or that make it larger than a layer table can be.
    """
    from accelsim.importers.tables import graph_of_text

    text = workload_text(name, **parameters)
    try:
        return graph_of_text(text, name=name)
    except ModelError as error:
        raise ConfigError(
            f"workload {name}: too large for a layer table: {error.exceptions[0]}; choose a smaller one"
        ) from error
