"""The contract of an importer: a Graph that accounts for every operator of its file, or a refusal that names one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from accelsim.errors import ModelError
from accelsim.execute import WholeReader
from accelsim.graph import Graph, Outcome
from accelsim.importers import load_graph
from accelsim.testing.contract import Contract
from accelsim.testing.networks import random_input


class ImporterContract(Contract):
    """Of ``load`` on ``accepted`` and ``refused`` files."""

    def load(self, path: Path) -> Graph:
        """The importer under test."""
        return load_graph(path)

    def accepted(self) -> Iterable[Path]:
        """Model files that become Graphs."""
        raise NotImplementedError(f"{type(self).__name__}: override accepted")

    def refused(self) -> Iterable[tuple[Path, str]]:
        """Model files that are refused, each with the name of the operator that the message must hold."""
        return ()

    def test_every_operator_has_one_outcome_and_every_layer_one_operator(self) -> None:
        """The account of the file, in its order; a table of shapes has none. A Graph that was made has verified itself."""
        for path in self.accepted():
            graph = self.load(path)
            names = [layer.name for layer in graph.layers]
            indices = [operator.index for operator in graph.source]
            self.expect(names, f"{path.name}: no layers")
            if graph.shape_only and not graph.source:
                continue
            self.expect(indices == list(range(len(indices))), f"{path.name}: operators {indices} leave some out")
            owned = [name for x in graph.source if x.outcome is Outcome.LAYER for name in x.layers]
            self.expect(
                sorted(owned) == sorted(names),
                f"{path.name}: layers {set(owned) ^ set(names)} of no operator, or of two",
            )
            strange = [
                x
                for x in graph.source
                if not set(x.layers) <= set(names) or (x.outcome is Outcome.FUSED) > bool(x.layers)
            ]
            self.expect(not strange, f"{path.name}: {strange} became a part of no layer")

    def test_codes_stay_in_their_formats(self) -> None:
        """One random inference of every Graph that has values."""
        for path in self.accepted():
            graph = self.load(path)
            if not graph.shape_only:
                values = WholeReader(graph).run(random_input(np.random.default_rng(0), graph), keep="all")
                left = [name for name, codes in values.items() if not graph.tensors[name].format.holds(codes)]
                self.expect(not left, f"{path.name}: tensors {left} leave their formats")

    def test_every_refusal_names_the_operator(self) -> None:
        """And is a ModelError."""
        for path, operator in self.refused():
            try:
                self.load(path)
            except ModelError as error:
                self.expect(operator in str(error), f"{path.name}: refused without {operator!r}: {error}")
            else:
                self.expect(False, f"{path.name}: accepted; it holds {operator}")

    def test_a_damaged_file_is_refused_or_read(self) -> None:
        """A file cut short, or with a byte changed, never ends in another error."""
        for path in self.accepted():
            content = path.read_bytes()
            for seed, rng in self.draws():
                at = int(rng.integers(len(content)))
                damaged = content[:at] if seed % 2 else content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
                with tempfile.TemporaryDirectory() as folder:
                    copy = Path(folder) / path.name
                    copy.write_bytes(damaged)
                    try:
                        self.load(copy)
                    except ModelError as error:
                        self.expect(str(error), f"{path.name}: an error without a message")
