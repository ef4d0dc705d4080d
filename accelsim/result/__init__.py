"""The record of one simulation: frozen, versioned, serialisable."""

from accelsim.result.record import BOUNDS, AreaSummary, EnergySummary, LayerResult, Result, Total, ValueSummary
from accelsim.result.summary import NOT_KEPT, bound_of, summarize
