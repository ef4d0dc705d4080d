"""Machines from YAML files and from the presets that ship with accelsim."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from accelsim.arch._suggest import did_you_mean, listing
from accelsim.arch.document import read_document, read_text
from accelsim.arch.model import Arch
from accelsim.arch.validate import validated
from accelsim.errors import ConfigError
from accelsim.resources import DEFAULT_ARCH, resource_path

_LARGEST_FILE = 64 * 1024  # bytes; the longest preset has 4 KiB


def presets_dir() -> Path:
    """Folder of the machines that ship with accelsim."""
    return resource_path("arch_configs")


def preset_names() -> tuple[str, ...]:
    """Names of the machines that ship with accelsim, sorted."""
    return tuple(sorted(path.stem for path in presets_dir().glob("*.yaml")))


def load_arch(name_or_path: str | Path = DEFAULT_ARCH, *, edits: Mapping[str, object] | None = None) -> Arch:
    """The preset of that name, or the machine in a YAML file, with ``edits`` by dotted path as in :meth:`Arch.with_`.

    ConfigError says file, line, path, what was expected and what came.
    """
    name = str(name_or_path)
    if not name or "\0" in name:
        raise ConfigError(f"{name!r}: is neither a preset nor a file name; presets are {listing(preset_names())}")
    arch = _preset(name) if name in preset_names() else _read(Path(name))
    return arch.with_(edits) if edits else arch


@cache
def _preset(name: str) -> Arch:
    return _read(presets_dir() / f"{name}.yaml")


def _read(path: Path) -> Arch:
    document = read_document(_text(path), name=str(path))
    return validated(
        Arch, document.data, place=lambda where: f"{path}:{document.line(where)}: ", found=tuple(document.problems)
    )


def _text(path: Path) -> str:
    try:
        text = read_text(path, largest=_LARGEST_FILE, expected="a machine description in YAML")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(_missing(path), file=str(path), presets=preset_names()) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read: {reason}; expected a YAML file", file=str(path)) from error
    if "\0" in text:
        raise ConfigError(f"{path}: a binary file; expected a YAML file", file=str(path))
    return text


def _missing(path: Path) -> str:
    presets = preset_names()
    hint = did_you_mean(path.stem if path.suffix in (".yaml", ".yml") else str(path), presets)
    return f"{path}: no such file, nor a preset; presets are {listing(presets)}{hint}"


class Checked(BaseModel):
    """``cases`` compared with ``against``: errors of the cycles, (ours - theirs) / theirs, in percent: mean size, worst size, mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    against: str
    cases: int
    mean: float
    worst: float
    bias: float

    def __str__(self) -> str:
        return f"{self.against}: {self.cases} cases, mean error {self.mean} %, worst {self.worst} %"


@cache
def checked() -> Mapping[str, Checked]:
    """What presets were compared with, as a command measured it (``checked.yaml``)."""
    text = Path(__file__).with_name("checked.yaml").read_text(encoding="utf-8")
    return {name: Checked(**row) for name, row in YAML(typ="safe", pure=True).load(text).items()}
