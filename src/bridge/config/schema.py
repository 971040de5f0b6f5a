"""JSON Schemas of the YAML files, for completion and checks in an editor; generated from the structs, never edited."""

import json
from typing import Any

import msgspec

from bridge.config.meter import MeterFile
from bridge.config.site import SiteFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def meter_schema() -> Schema:
    """Return the schema of a meter file: one that extends another says only what differs."""
    schema = mapping_schema(MeterFile, "A meter model (mappings/meters/*.yaml)")
    file = schema["$defs"]["MeterFile"]
    always = [name for name in file["required"] if name in ("meter", "source")]
    rest = [name for name in file["required"] if name not in always]
    file["required"] = always
    file["anyOf"] = [{"required": rest}, {"required": ["extends"]}]
    # a point that the extended file has and this meter has not: `name: ~`
    points = file["properties"]["points"]
    points["additionalProperties"] = {"anyOf": [points["additionalProperties"], {"type": "null"}]}
    return schema


def site_schema() -> Schema:
    """Return the schema of site.yaml."""
    return mapping_schema(SiteFile, "A site (site.yaml)")


def mapping_schema(model: type[msgspec.Struct], title: str) -> Schema:
    """Return the schema of any file that is read into `model`, such as a projection's Mapping."""
    (_,), components = msgspec.json.schema_components((model,), ref_template="#/$defs/{name}")
    return {
        "$schema": _DIALECT,
        "title": title,
        "$ref": f"#/$defs/{model.__name__}",
        "$defs": _plain(components),
    }


def schemas() -> dict[str, Schema]:
    """Return file name -> schema of what the core itself reads."""
    return {"meter.json": meter_schema(), "site.json": site_schema()}


def schema_text(schema: Schema) -> str:
    """Return a schema as it is kept in version control."""
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """Docstrings become one line, for an editor shows them beside the key; a switch may be `on` or `off` as well."""
    if isinstance(node, dict):
        if node.get("type") == "boolean":
            node = {**{key: value for key, value in node.items() if key != "type"}, "enum": [True, False, "on", "off"]}
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _plain(value)
            for key, value in node.items()
        }
    return [_plain(item) for item in node] if isinstance(node, list) else node
