"""What a table file may hold, before its figures are read: strict, so that nothing is silently ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

Number = StrictInt | StrictFloat
Text = Annotated[str, Field(min_length=1)]
Law = Literal["constant", "linear", "quadratic", "product", "power", "polynomial"]
FillRule = Literal["same_node", "stillmaker_baas", "off_chip"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class UncertaintyFile(_Section):
    """``factor`` f: between value / f and value x f; ``low``, ``high``: factors; ``range``: two values with unit."""

    factor: Number | None = None
    low: Number | None = None
    high: Number | None = None
    range: list[Any] | None = None


class TermFile(_Section):
    """One term of a polynomial."""

    value: Any
    powers: dict[str, Number] = Field(default_factory=dict)


class EntryFile(_Section):
    """One entry."""

    component: Text
    action: str
    value: Any = None
    law: Law
    at: dict[str, Number] = Field(default_factory=dict)
    exponents: dict[str, Number] = Field(default_factory=dict)
    terms: list[TermFile] = Field(default_factory=list)
    uncertainty: UncertaintyFile | None
    source: Text
    node_nm: Number | None = None
    voltage_v: Number | None = None


class PartFile(_Section):
    """One part of a compound."""

    component: Text
    action: str
    times: str | Number = 1
    size: dict[str, str | Number] = Field(default_factory=dict)
    optional: bool = False


class CompoundFile(_Section):
    """A component made of others."""

    component: Text
    action: str
    parts: list[PartFile]
    source: str = ""


class FillFile(_Section):
    """Which gap another table fills, and by which rule."""

    component: Text
    from_: Annotated[Text, Field(alias="from")]
    rule: FillRule
    entry: str | None = None


class FrequencyFile(_Section):
    """Alpha-power law of the attainable clock; ``clock``: the one attained at the table's own voltage, with unit."""

    alpha: Annotated[Number, Field(ge=1, le=2)]
    threshold_v: Annotated[Number, Field(gt=0)]
    clock: Text | None = None
    source: Text


class TableFile(_Section):
    """A whole table; ``components`` are names of its own, which no machine asks for."""

    name: Text
    version: StrictInt
    source: Text
    node_nm: Annotated[Number, Field(gt=0)] | None
    voltage_v: Annotated[Number, Field(gt=0)] | None
    components: list[Text] = Field(default_factory=list)
    entries: list[EntryFile] = Field(default_factory=list)
    compounds: list[CompoundFile] = Field(default_factory=list)
    fill: list[FillFile] = Field(default_factory=list)
    frequency: FrequencyFile | None = None
    not_modelled: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
