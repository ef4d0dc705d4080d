"""YAML text to nested data with the line of every entry; hostile or broken text ends in a ConfigError."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from accelsim.arch.validate import Path, Problem, short
from accelsim.errors import ConfigError
from accelsim.units import MAX_NUMBER

_DEEPEST = 8  # levels; a machine has three
_MOST_NODES = 10_000  # aliases are followed, so that a small text may unfold into a large tree
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))


@dataclass
class Document:
    """What a YAML text holds, the line of each path, and what is wrong before any schema is asked."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Line of the entry at ``path``, or of the nearest section around it."""
        return self.lines.get(self.known(path), 1)

    def known(self, path: Path) -> Path:
        """``path``, or that of the nearest section around it that the text holds."""
        while path and path not in self.lines:
            path = path[:-1]
        return path


def read_text(path: File, *, largest: int, expected: str, kind: str = "a YAML file") -> str:
    """The text of a file of ``largest`` bytes at most, which is ``kind`` and ``expected`` to hold that; OSError where it is not read.

    ConfigError names the line of bytes that are no UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ConfigError(f"{path}: larger than {largest} bytes; expected {expected}", file=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; expected {kind}", file=str(path)) from error


MACHINE = "a machine description: a mapping of name, clock_hz, array, ..."


def read_document(text: str, *, name: str, expected: str = MACHINE) -> Document:
    """The entries of ``text``; ``name`` is the file in messages. ConfigError where it is no YAML, or no mapping."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
        return _read(root, yaml, name, expected)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(f"{line}: not YAML: {error.problem or error.context}", file=name) from error
    except YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}", file=name) from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply; expected {expected}", file=name) from error


def _read(root: Node | None, yaml: YAML, name: str, expected: str) -> Document:
    if root is None or (isinstance(root, ScalarNode) and not root.value):
        raise ConfigError(f"{name}: is empty; expected {expected}", file=name)
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else short(root.value)
        raise ConfigError(f"{name}:{_line(root)}: expected {expected}, got {kind}", file=name)
    document = Document(lines={(): _line(root)})
    document.data = _Reader(yaml, document, name).mapping(root, ())
    return document


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """Builds plain data from YAML nodes within a budget of nodes and levels."""

    def __init__(self, yaml: YAML, document: Document, name: str) -> None:
        self.constructor, self.document, self.name = yaml.constructor, document, name
        self.nodes_left = _MOST_NODES

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            here = (*path, key)
            if key in data:
                first = self.document.lines[here]
                problem = Problem(here, f"duplicate key; the first is in line {first}, keep one of them")
                self.document.problems.append(problem)
                self.document.lines[here] = _line(key_node)
                continue
            self.document.lines[here] = _line(key_node)
            data[key] = self.value(value_node, here)
        return data

    def value(self, node: Node, path: Path) -> Any:
        self.nodes_left -= 1
        if self.nodes_left < 0 or len(path) > _DEEPEST:
            raise ConfigError(f"{self.name}:{_line(node)}: nested too deeply or too large", file=self.name)
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.item(item, (*path, str(i))) for i, item in enumerate(node.value)]
        return self.scalar(node)

    def item(self, node: Node, path: Path) -> Any:
        self.document.lines[path] = _line(node)
        return self.value(node, path)

    def scalar(self, node: Node) -> Any:
        """A number, truth value, null or text; dates and unknown tags stay texts."""
        if node.tag not in _PLAIN_TAGS:
            return node.value
        place = f"{self.name}:{_line(node)}"
        try:
            value = self.constructor.construct_object(node)
        except (ValueError, KeyError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise ConfigError(f"{place}: {short(node.value)} is not a YAML {kind}", file=self.name) from error
        if isinstance(value, int) and abs(value) > MAX_NUMBER:  # nothing that reads it could calculate with it
            raise ConfigError(f"{place}: {short(node.value)} is out of range; expected fewer digits", file=self.name)
        return value
