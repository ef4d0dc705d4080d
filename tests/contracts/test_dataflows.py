"""Every dataflow keeps the contract of dataflows; fold by fold it takes what its equation says."""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.testing import DataflowContract

AXES = {
    "weight_stationary": ("reduction", "channels", "pixels"),
    "output_stationary": ("pixels", "channels", "reduction"),
    "input_stationary": ("reduction", "pixels", "channels"),
    "adder_tree": ("reduction", "channels", "pixels"),
}
"""What lies along the rows, along the columns, and in time."""


class Folds(DataflowContract):
    """Cycles of a tile counted fold by fold."""

    def walk(self, arch: Arch, **sizes: int) -> int:
        array = arch.array
        down, across, time = (sizes[name] for name in AXES[self.dataflow])
        folds = len(range(0, down, array.rows)) * len(range(0, across, array.cols))
        if self.dataflow == "adder_tree":
            return sum(time for _ in range(folds)) + array.pipeline_stages
        preload = 0 if self.dataflow == "output_stationary" else array.rows
        return sum(preload + time + array.rows - 1 + array.cols - 1 + array.pipeline_stages for _ in range(folds))


class TestWeightStationary(Folds):
    dataflow = "weight_stationary"


class TestOutputStationary(Folds):
    dataflow = "output_stationary"


class TestInputStationary(Folds):
    dataflow = "input_stationary"


class TestAdderTree(Folds):
    dataflow = "adder_tree"
