"""Where the packaged presets and workloads are, and which preset stands for a machine that nobody names."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

from accelsim.errors import ConfigError

Kind = Literal["arch_configs", "workloads"]
DEFAULT_ARCH = "edge_16x16"
"""The preset that is meant where no machine is given."""


def resource_path(kind: Kind) -> Path:
    """Folder ``kind`` in the installed package or, in a checkout, beside it; ConfigError where neither exists."""
    package = Path(str(resources.files("accelsim")))
    for folder in (package / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"{kind}: expected a folder in or beside {package}, found none; install accelsim again", kind=kind
    )
