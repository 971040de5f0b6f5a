"""What the container image promises: not root, versions by hash, nothing listed by the context that is not needed."""

from pathlib import Path

from tests.container.dockerfile import stages

TOP = Path(__file__).parents[2]


# BARS S8
def test_the_image_runs_as_a_user_with_one_capability() -> None:
    last = stages((TOP / "Dockerfile").read_text())[-1]

    assert last.user == "10001:10001"
    assert [step for _, step in last.steps if "setcap cap_net_bind_service=+ep" in step]
    assert last.volumes == ["/var/lib/meterbridge"]
    assert last.entrypoint == ["/opt/meterbridge/bin/meterbridge"]


def test_every_package_of_the_image_comes_by_hash() -> None:
    installs = [
        step
        for stage in stages((TOP / "Dockerfile").read_text())
        for _, step in stage.steps
        if "install" in step.split()
    ]
    registry = [step for step in installs if "pip" in step and "--no-index" not in step]

    assert len(registry) == 2
    assert all("--require-hashes" in step for step in registry)


def test_lock_files_name_no_registry_and_no_folder() -> None:
    locks = sorted(TOP.glob("requirements*.lock"))

    assert [lock.name for lock in locks] == ["requirements-build.lock", "requirements-dev.lock", "requirements.lock"]
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        assert " /" not in text
        assert "--hash=sha256:" in text


def test_the_tests_run_against_the_versions_that_are_shipped() -> None:
    shipped, tested = (
        {line.split(" ", 1)[0] for line in (TOP / name).read_text().splitlines() if line[:1].isalnum()}
        for name in ("requirements.lock", "requirements-dev.lock")
    )

    assert shipped <= tested
