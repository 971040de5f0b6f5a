"""bridge.config: a file or folder for each mistake, and beside it the lines that `meterbridge check` must print."""

from pathlib import Path

import pytest

from bridge.config.load import check_meter, load_site
from bridge.config.yaml_marks import read_file
from bridge.core.errors import ConfigErrors

CASES = Path(__file__).with_name("cases")
LIBRARY = CASES / "library"


def cases(kind: str) -> list[Path]:
    return sorted(path for path in (CASES / kind).iterdir() if path.suffix == ".yaml" or path.is_dir())


def printed(error: ConfigErrors, base: Path) -> str:
    return str(error).replace(f"{base}/", "").replace(f"{CASES}/", "") + "\n"


@pytest.mark.parametrize("case", cases("grammar"), ids=lambda path: path.stem)
def test_a_file_that_is_no_plain_yaml_is_refused_with_its_lines(case: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read_file(case)

    assert printed(caught.value, case.parent) == case.with_suffix(".errors").read_text()


@pytest.mark.parametrize("case", cases("meter"), ids=lambda path: path.stem)
def test_a_mistake_in_a_meter_file_is_told_with_its_lines(case: Path) -> None:
    errors = ConfigErrors(check_meter(case))

    assert printed(errors, case.parent) == case.with_suffix(".errors").read_text()


@pytest.mark.parametrize("case", cases("site"), ids=lambda path: path.stem)
def test_a_mistake_in_a_site_file_is_told_with_its_lines(case: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_site(case, LIBRARY)

    assert printed(caught.value, case.parent) == case.with_suffix(".errors").read_text()


@pytest.mark.parametrize("case", cases("folder"), ids=lambda path: path.stem)
def test_the_mistakes_of_all_files_are_told_at_once(case: Path) -> None:
    # BARS R10
    with pytest.raises(ConfigErrors) as caught:
        load_site(case, LIBRARY)

    assert printed(caught.value, case) == (case / "errors").read_text()
