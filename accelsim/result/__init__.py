"""The record of one simulation: frozen, versioned, serialisable."""

from accelsim.result.front import Front, fronts_json
from accelsim.result.notes import decisions
from accelsim.result.notes import notes as notes_of
from accelsim.result.overview import Broken, Distribution, Effect, Level, Overview, WorkloadOverview
from accelsim.result.record import BOUNDS, AreaSummary, Bound, EnergySummary, LayerResult, Result, Total, ValueSummary
from accelsim.result.relief import LEAST_GAIN, Change, Relief, Reliefs
from accelsim.result.sensitivity import FIGURES, Figures, Knob, Point, Sensitivity
from accelsim.result.summary import NOT_KEPT, bound_of, network_bound, package_version, summarize
