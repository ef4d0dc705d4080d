"""The public names: what they are, where they live, and that asking for the package costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import accelsim

HEAVY = (
    "numba",
    "numpy",
    "matplotlib",
    "tflite",
    "flatbuffers",
    "pandas",
    "simpy",
    "rich",
    "pydantic",
    "ruamel.yaml",
    "click",
)


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running ``code``."""
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not modules_after("import accelsim") & set(HEAVY)


def test_help_needs_no_numbers() -> None:
    code = "from accelsim.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not modules_after(code) & (set(HEAVY) - {"click"})


@pytest.mark.parametrize("name", accelsim.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(accelsim, name)
    assert value is getattr(accelsim, name)
    assert name in dir(accelsim)
    if name != "__version__":
        assert value.__doc__


def test_names_are_sorted_once_and_few() -> None:
    assert list(accelsim.__all__) == sorted(set(accelsim.__all__))
    assert len(accelsim.__all__) <= 30


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from accelsim import *", names)
    assert set(accelsim.__all__) <= set(names)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'accelsim' has no attribute 'simulte'"):
        _ = accelsim.simulte


def test_version_is_the_installed_one_or_says_source() -> None:
    assert isinstance(accelsim.__version__, str)
    assert accelsim.__version__[0].isdigit()


def test_type_checkers_see_the_names_that_the_interpreter_finds() -> None:
    """Every name of ``__all__`` is imported under TYPE_CHECKING from the module where it is looked up."""
    import ast
    from pathlib import Path

    tree = ast.parse(Path(accelsim.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for name in set(accelsim.__all__) - {"__version__", "AccelsimError"}:
        assert imported[name] == accelsim._HOME[name]


def test_the_readme_sentence_runs() -> None:
    result = accelsim.simulate("alexnet_conv1_scalesim", arch="edge_16x16")
    assert isinstance(result, accelsim.Result)
    assert "alexnet_conv1_scalesim" in repr(result)
