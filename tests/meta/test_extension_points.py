"""Adding a protocol is adding a folder: whatever is in the folder must satisfy the contract."""

import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import bridge
import bridge.projections

NAMES = sorted(m.name for m in pkgutil.iter_modules(bridge.projections.__path__))


@pytest.mark.parametrize("name", NAMES)
def test_projection_contract(name: str) -> None:
    package = importlib.import_module(f"bridge.projections.{name}")
    mapping = importlib.import_module(f"bridge.projections.{name}.mapping")
    server = importlib.import_module(f"bridge.projections.{name}.server")

    for struct in (mapping.Mapping, mapping.Plan):
        assert issubclass(struct, msgspec.Struct)
        assert struct.__struct_config__.forbid_unknown_fields
    assert callable(mapping.project)
    assert server.PROJECTION.Plan is mapping.Plan
    assert package.__doc__
    if importlib.util.find_spec(f"bridge.projections.{name}.export"):
        assert importlib.import_module(f"bridge.projections.{name}.export").EXPORTS


def test_importing_the_app_imports_no_protocol() -> None:
    code = "import sys, bridge.app.bridge; print([m for m in sys.modules if m.startswith('bridge.projections.')])"
    environment = {**os.environ, "PYTHONPATH": str(Path(bridge.__file__).parents[1])}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)

    assert out.stdout.strip() == "[]"
