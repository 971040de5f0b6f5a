"""What a projection refuses is told with the line of its file."""

from pathlib import Path

from bridge.config.model import ProjectionFile
from bridge.config.projection import at_path, convert_mapping
from bridge.config.yaml_marks import read
from bridge.core.errors import ProjectionError
from bridge.projections.modbus.mapping import Mapping


def file(text: str) -> ProjectionFile:
    return ProjectionFile("modbus", Path("modbus.yaml"), read(text, "modbus.yaml"))


def test_a_mapping_is_read_from_the_projections_file() -> None:
    mapping, errors = convert_mapping(file("listener: {port: 502, bind: 10.0.0.1}\n"), Mapping)

    assert errors == ()
    assert mapping is not None
    assert mapping.listener.port == 502


def test_every_mistake_of_a_mapping_has_its_line() -> None:
    mapping, errors = convert_mapping(file("listener: {port: 70000}\nlistner: 5\n"), Mapping)

    assert mapping is None
    assert [str(error) for error in errors] == [
        "modbus.yaml:1:12: listener.port: expected a whole number from 0 to 65535, found 70000",
        "modbus.yaml:2:1: listner: expected a key that is known here, found `listner` (did you mean `listener`?)",
    ]


def test_a_refusal_by_the_projection_points_into_the_file() -> None:
    error = at_path(
        ProjectionError(("rules", 1, "match"), "expected a pattern that matches, found `x`"),
        file("listener: {port: 502}\nrules:\n  - match: a\n  - match: x\n"),
    )

    assert str(error) == "modbus.yaml:4:5: rules.1.match: expected a pattern that matches, found `x`"


def test_a_refusal_of_what_the_user_left_out_points_at_what_is_around_it() -> None:
    error = at_path(ProjectionError(("listener", "bind"), "expected one, found none"), file("listener: {port: 502}\n"))

    assert str(error) == "modbus.yaml:1:1: listener.bind: expected one, found none"
