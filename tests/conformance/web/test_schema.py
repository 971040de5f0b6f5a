"""schemathesis asks whatever the OpenAPI document allows, and what it forbids: never a server error."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.web_site import console

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
# Requests per path and phase
EXAMPLES = 50


# BARS I4
async def test_whatever_the_document_allows_is_answered_as_it_says(tmp_path: Path) -> None:
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    words = ["run", "--tls-verify=false", "--checks", CHECKS, "-n", str(EXAMPLES), "--no-color"]
    async with console(str(tmp_path / "state")) as web:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            "--url",
            web.url,
            f"{web.url}/api/openapi.json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        output, _ = await process.communicate()
        health = await web.https.get("/healthz")

    assert process.returncode == 0, output.decode()[-4000:]
    assert b"Tested: 15" in output
    assert health.status_code == 200
