"""The page of what is still to be done (C-01) and of what to do when something is wrong (C-03)."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from bridge.core.listener import Listener
from bridge.projections.web.certificate import shown_of
from bridge.projections.web.core import Core
from bridge.projections.web.guide import FINDINGS, shown_by
from bridge.projections.web.rows import Finding
from bridge.projections.web.words import Words


class SetupPage:
    """Loop thread only."""

    def __init__(self, core: Core, listener: Listener) -> None:
        self._core, self._listener = core, listener

    async def collect(self, _: Request, words: Words) -> Mapping[str, Any]:
        """Return what the page shows."""
        status = await self._core.status()
        found = [*await self._core.setup(), *self._own()]
        states = {state.name: state for state in status.devices}
        return {
            "findings": [(finding, words(FINDINGS.get(finding.code, finding.code))) for finding in found],
            "devices": self._core.devices,
            "troubles": shown_by(self._core, states),
        }

    def _own(self) -> list[Finding]:
        tls = self._listener.tls
        if tls is None or not shown_of(tls).is_own:
            return []
        return [Finding("note", "own_certificate", "web")]
