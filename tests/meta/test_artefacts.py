"""Generated files in the repository are those their generators yield."""

from tools import artefacts


def test_generated_files_are_up_to_date() -> None:
    stale = [str(path.relative_to(artefacts.TOP)) for path, _ in artefacts.changed()]

    assert stale == [], "run `make artefacts`"


def test_a_schema_stands_for_every_kind_of_file_a_user_writes() -> None:
    made = dict(artefacts.schemas())

    assert {"mappings/schema/meter.json", "mappings/schema/site.json", "mappings/schema/modbus.json"} <= made.keys()
