"""The record of one simulation: frozen, versioned, serialisable."""

from accelsim.result.record import BOUNDS, LayerResult, Result, Total, ValueSummary
from accelsim.result.summary import summarize

__all__ = ["BOUNDS", "LayerResult", "Result", "Total", "ValueSummary", "summarize"]
