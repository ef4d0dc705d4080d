"""The packaged mappers keep the contract of mappers: the default one, the exact search, a mapping file, and tiles of a single element."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.arch import Arch
from accelsim.graph import Graph
from accelsim.mapper import map_graph, read_mappings, search_graph, write_mappings
from accelsim.program import MacMapping
from accelsim.testing import MapperContract
from tests.generate import Rng, random_graph


class TestDefaultMapper(MapperContract):
    seeds = range(100, 125)

    def graph(self, rng: Rng) -> Graph:
        return random_graph(rng)


class TestSearch(MapperContract):
    seeds = range(4)

    def map(self, graph: Graph, arch: Arch):
        return search_graph(graph, arch=arch, objective="cycles", seconds=600)  # what compiling takes decides nothing

    def graph(self, rng: Rng) -> Graph:
        return random_graph(rng, most_layers=2)


class TestMappingFile(MapperContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.file = tmp_path / "mapping.yaml"

    def map(self, graph: Graph, arch: Arch):
        self.file.write_text(write_mappings(map_graph(graph, arch=arch), graph=graph))
        read = read_mappings(self.file, graph=graph)
        return tuple(read.get(layer.name) for layer in graph.layers)


class Forgetful(MapperContract):
    """Breaks the contract: tiles that no layer has, of layers each on its own."""

    def arch(self, rng: Rng, graph: Graph) -> Arch:
        kinds = ("activations", "elementwise", "pools")
        return super().arch(rng, graph).with_({f"vector.fuse_{kind}": False for kind in kinds})

    def map(self, graph: Graph, arch: Arch):
        return (MacMapping(oh=10**6, ow=1, oc=1, ic=1, kh=1, kw=1),) * len(graph.layers)


def test_a_mapper_that_breaks_the_contract_fails_it() -> None:
    with pytest.raises(Exception, match="tile size oh must be 1 to"):
        Forgetful().check()
