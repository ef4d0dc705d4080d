"""Requantization units described as short lists of integer stages: records, their text, the proof of widths, scheme and kernel."""

from accelsim.numerics.stages.reading import MOST_STAGES, StageList, stage_list
from accelsim.numerics.stages.scheme import (
    RAW_BIAS,
    STAGES_PREFIX,
    StagedScheme,
    operand_name,
    parsed_scheme,
    staged_scheme,
)
from accelsim.numerics.stages.stage import Kind, Operand, Stage
