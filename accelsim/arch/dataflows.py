"""The dataflows by name: every question that the rest asks about one is a field, so that none can be declared half.

What a tile costs under each stands in :mod:`accelsim.hardware`, which refuses to load without an equation for every name here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from accelsim.errors import ConfigError

DataflowName = Literal["weight_stationary", "output_stationary", "input_stationary", "adder_tree"]
Operand = Literal["weights", "activations"]


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """How operands and sums move through the array (Sze et al. 2017, "Efficient Processing of Deep Neural Networks", section V).

    ``stationary``: the operand that is loaded into the array before it computes, "" where none is. ``passing``: the operands that
    go from MAC to MAC. ``sums_move``: whether partial sums do. ``broadcast``: whether all columns see one activation at once and
    sum its products in a tree over the rows. ``preloads``: whether ``array.weight_preload`` says when the stationary operand comes.
    ``overlaps``: whether a tile always enters while the one before it drains; else where the preload or the drain is overlapped.
    """

    stationary: Literal["weights", "inputs", ""]
    passing: tuple[Operand, ...]
    sums_move: bool
    broadcast: bool
    preloads: bool
    overlaps: bool

    def pipelines_tiles(self, preload: str, drain: str) -> bool:
        """Whether a compute tile enters the array while the one before drains."""
        return self.overlaps or (self.preloads and preload == "overlapped") or drain == "overlapped"


DATAFLOWS: Mapping[str, Dataflow] = MappingProxyType(
    {
        "weight_stationary": Dataflow(
            stationary="weights",
            passing=("activations",),
            sums_move=True,
            broadcast=False,
            preloads=True,
            overlaps=False,
        ),
        "output_stationary": Dataflow(
            stationary="",
            passing=("weights", "activations"),
            sums_move=False,
            broadcast=False,
            preloads=False,
            overlaps=False,
        ),
        "input_stationary": Dataflow(
            stationary="inputs", passing=("weights",), sums_move=True, broadcast=False, preloads=True, overlaps=False
        ),
        "adder_tree": Dataflow(
            stationary="weights",
            passing=("activations",),
            sums_move=False,
            broadcast=True,
            preloads=False,
            overlaps=True,
        ),
    }
)

if tuple(DATAFLOWS) != get_args(DataflowName):
    raise ConfigError(
        f"DataflowName lists {get_args(DataflowName)}, DATAFLOWS declares {tuple(DATAFLOWS)}; name each in both"
    )
