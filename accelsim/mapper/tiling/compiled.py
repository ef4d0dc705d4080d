"""Closed forms of tilings for compiled loops, and the choice among them."""

from accelsim.mapper.tiling._bus import DramSide
from accelsim.mapper.tiling._choice import (
    FIGURES,
    GROUPS,
    IC,
    KH,
    KW,
    OC,
    OH,
    ORDER,
    OW,
    SIZES,
    Best,
    Block,
    N,
    Problem,
    Space,
    choose_for,
    expected,
    holds,
    place_of,
    problem_for,
    seen_under,
)
from accelsim.mapper.tiling._cycles import NO_COMMANDS, ports_of, span_of
from accelsim.mapper.tiling._floors import reloads_of, weight_bytes, work_of
from accelsim.mapper.tiling._sums import Case, Energies, Seen, array_totals, energy_of, through_bus, traffic_of
from accelsim.mapper.tiling._weigh import gained, worth
