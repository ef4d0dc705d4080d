"""A model file with sizes for what it leaves open: a path that says them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())
NONE: Mapping[str, tuple[int, ...]] = MappingProxyType({})


class SizedPath(_Base):
    """The path of a model file, with the shapes of its graph inputs by name; a part of it, or a path made of it, has none."""

    shapes: Mapping[str, tuple[int, ...]] = NONE

    def __eq__(self, other: object) -> bool:
        """Files of other sizes are other models."""
        return bool(super().__eq__(other)) and isinstance(other, Path) and self.shapes == shapes_of(other)

    __hash__ = _Base.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return sized, (str(self), dict(self.shapes))


def sized(path: str | Path, shapes: Mapping[str, tuple[int, ...]]) -> SizedPath:
    """``path``, whose graph inputs have ``shapes``."""
    made = SizedPath(path)
    made.shapes = MappingProxyType(dict(shapes))
    return made


def shapes_of(path: str | Path) -> Mapping[str, tuple[int, ...]]:
    """What :func:`sized` said of ``path``."""
    return path.shapes if isinstance(path, SizedPath) else NONE


def as_path(model: str | Path) -> Path:
    """As a path, which keeps the shapes that it may say."""
    return model if isinstance(model, Path) else Path(model)
