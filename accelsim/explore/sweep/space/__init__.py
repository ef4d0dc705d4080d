"""What a sweep goes through: axes, samples and constraints, and from the number of a point to its edits."""

from accelsim.explore.sweep.space.axes import TABLE, Axis, read_axis
from accelsim.explore.sweep.space.columns import DTYPES, Column, Columns, Kind, column_of, kind_of, result_columns
from accelsim.explore.sweep.space.constraints import Constraint, read_constraint
from accelsim.explore.sweep.space.points import Points, points_of
from accelsim.explore.sweep.space.sampling import Sample, read_sample
from accelsim.explore.sweep.space.space import WORKLOAD, Space, read_space
from accelsim.explore.sweep.space.workloads import (
    check_workloads,
    data_files,
    expanded,
    labelled_inputs,
    model_digest,
    paths_of,
)
