"""The JSON schema of a machine description, for editors and other tools."""

from __future__ import annotations

from typing import Any

from accelsim.arch.model import Arch


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the YAML files: keys, bounds, units, defaults."""
    schema = Arch.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "accelsim machine"}
