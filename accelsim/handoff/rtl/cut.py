"""A network of one layer, whose inputs are the tensors that it reads in a larger one."""

from __future__ import annotations

from accelsim.arch import did_you_mean
from accelsim.errors import ConfigError
from accelsim.graph import Graph, HostPort, MacLayer


def first_layer(graph: Graph) -> str:
    """Name of the first layer that the array runs; ConfigError where it runs none."""
    for layer in graph.layers:
        if isinstance(layer, MacLayer):
            return layer.name
    raise ConfigError(f"{graph.name!r}: the array runs none of its layers, so there is nothing for its RTL to do")


def one_layer(graph: Graph, name: str) -> Graph:
    """The layer called ``name`` alone; ConfigError where it is not there or the array does not run it."""
    layer = next((layer for layer in graph.layers if layer.name == name), None)
    if layer is None:
        raise ConfigError(
            f"layer {name!r}: {graph.name!r} has no such layer{did_you_mean(name, [one.name for one in graph.layers])}",
            layer=name,
        )
    if not isinstance(layer, MacLayer):
        raise ConfigError(
            f"layer {name!r}: the vector unit runs {layer.operator}, the array does not; take a layer such as {first_layer(graph)!r}",
            layer=name,
        )
    entries = dict.fromkeys(layer.inputs)
    return Graph(
        name=graph.name,
        arithmetic=graph.arithmetic,
        tensors={tensor: graph.tensors[tensor] for tensor in (*entries, layer.output)},
        layers=(layer,),
        inputs=tuple(HostPort(tensor, tensor) for tensor in entries),
        outputs=(HostPort(layer.output, layer.output),),
        shape_only=graph.shape_only,
    )
