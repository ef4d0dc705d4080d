"""What a comparison found: plain numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A fault that would make ``explained`` of the ``differing`` numbers what they are; ``unseen`` counts those that it would change
    and that are golden all the same."""

    kind: str
    text: str
    explained: int
    differing: int
    unseen: int = 0

    def __str__(self) -> str:
        more = f", and would change {self.unseen:,} more that are golden" if self.unseen else ""
        return f"{self.text}: explains {self.explained:,} of {self.differing:,}{more}"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One number that is not the golden one: its place along the axes of its stream, and the tile operation it belongs to.

    ``accumulator`` is the golden sum behind a code, ``real`` what the code stands for before it was rounded, as a decimal.
    """

    index: tuple[int, ...]
    axes: tuple[str, ...]
    operation: int | None
    expected: int | float
    got: int | float
    accumulator: int | None = None
    real: str | None = None


@dataclass(frozen=True, kw_only=True)
class StreamComparison:
    """One stream of one layer; ``reasons`` the most likely first, each of what those before leave unexplained."""

    layer: str
    folder: str
    stream: str
    elements: int
    differing: int
    first: Difference | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VectorComparison:
    """All streams that were found, in the order of the network and of its data; ``missing`` layers had none."""

    network: str
    streams: tuple[StreamComparison, ...]
    missing: tuple[str, ...] = ()

    @property
    def first(self) -> StreamComparison | None:
        """The first stream that differs: what comes behind it may follow from it."""
        return next((stream for stream in self.streams if stream.differing), None)

    @property
    def matches(self) -> bool:
        """Whether every number found is the golden one."""
        return self.first is None

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"matches": self.matches, **asdict(self)}
