"""The JSON Schemas in mappings/schema accept what the loader accepts and refuse what it refuses."""

import json
from pathlib import Path

import jsonschema
import pytest

from bridge.config.library import library_dir, schema_dir
from bridge.config.schema import schema_text, schemas
from bridge.config.yaml_marks import read, read_file

SITE = """
site: {name: tower}
channels:
  line: {kind: rtu, port: /dev/ttyUSB0, framing: "8E1", gateway: {tcp: 502}, ethergate: off}
  lan: {kind: tcp, host: 192.168.0.4}
devices:
  flat: {meter: bsmart, channel: line, unit: 12, labels: {tenant: "12"}, poll: {fast: 2s}}
projections: {modbus: modbus.yaml}
"""


@pytest.mark.parametrize("name", schemas())
def test_what_is_committed_is_what_the_structs_say(name: str) -> None:
    assert (schema_dir() / name).read_text() == schema_text(schemas()[name]), "run `make artefacts`"


@pytest.mark.parametrize("name", schemas())
def test_it_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize("path", sorted(library_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_meter_file_passes(path: Path) -> None:
    jsonschema.validate(json.loads(json.dumps(read_file(path).data)), schemas()["meter.json"])


def test_a_site_passes_and_one_with_a_misspelt_key_does_not() -> None:
    schema = schemas()["site.json"]

    jsonschema.validate(read(SITE, "site.yaml").data, schema)
    with pytest.raises(jsonschema.ValidationError, match="'unti' was unexpected"):
        jsonschema.validate(read(SITE.replace("unit:", "unti:"), "site.yaml").data, schema)


def test_a_meter_that_extends_another_says_only_what_differs() -> None:
    meter = {"meter": "child", "source": "s", "extends": "parent", "points": {"frequency": None}}

    jsonschema.validate(meter, schemas()["meter.json"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"meter": "child", "source": "s"}, schemas()["meter.json"])
