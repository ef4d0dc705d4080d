"""Variants on the command line: ``NAME: KEY=VALUE, KEY="VALUE, with a comma"``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import NamedTuple

import click

from accelsim.cli.shared.options import parse_edits
from accelsim.errors import ConfigError

_EXAMPLE = "for example --variant 'half bw: dram.bandwidth_bytes_per_s=1.6 GB/s'"

variant_option = click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="'NAME: KEY=VALUE, ...'",
    help="The base with some edits, e.g. 'half bw: dram.bandwidth_bytes_per_s=1.6 GB/s'; repeatable. KEY is a dotted path of the "
    "machine, or arch, model, mapping, objective, batch, weights.bits, layers.NAME.weights.bits. A VALUE that holds a comma or a quote "
    "stands in quotes, of the other kind: 'x: mapping=\"a, b.yaml\"'. Shows layer by layer what moved.",
)


class Asked(NamedTuple):
    """A variant's edits, by key, and as they were given."""

    edits: dict[str, str]
    text: str


def parse_variants(texts: Iterable[str]) -> dict[str, Asked]:
    """The variants of a command line by name; without one it is their text. ConfigError where one cannot be read or a name comes twice."""
    found: dict[str, Asked] = {}
    for text in texts:
        name, asked = _parsed(text)
        if name in found:
            raise ConfigError(f"--variant {name!r}: given twice; give each a name of its own")
        found[name] = asked
    return found


def _parsed(text: str) -> tuple[str, Asked]:
    before, colon, after = text.partition(":")
    named = colon and "=" not in before  # else it stands in a value, such as c:/machine.yaml
    name, edits = (before.strip(), after.strip()) if named else (text.strip(), text.strip())
    if not name or "=" not in edits:
        raise ConfigError(f"--variant {text!r}: expected NAME: KEY=VALUE, KEY=VALUE; {_EXAMPLE}")
    parsed = parse_edits(_parts(name, edits), option=f"--variant {name!r}:", example="array.rows=32")
    return name, Asked({key: value.strip() for key, value in parsed.items()}, edits)


def _parts(name: str, edits: str) -> list[str]:
    """What stands between the commas that are in no quotes, which are taken away."""
    words = shlex.shlex(edits, posix=True, punctuation_chars=False)
    words.whitespace, words.whitespace_split, words.commenters, words.escape = ",", True, "", ""
    try:
        return [word.strip() for word in words]
    except ValueError as error:
        raise ConfigError(
            f"--variant {name!r}: a quote in {edits!r} is not closed; put a value that holds one in quotes of the other kind"
        ) from error
