"""Whether the bridge is well: asked of the core, which asks each server a real question and watches the polling."""

from bridge.core.errors import OperationRefused
from bridge.projections.web.core import Core
from bridge.projections.web.rows import Health, StatusAnswer

# State of a server that the mapping asks for and this installation cannot run: told, but no illness
_NOT_INSTALLED = "not installed"
_ONLINE, _UNKNOWN = "online", "unknown"


async def health(core: Core) -> Health:
    """`/healthz`: the core answers, every server has answered its own question lately, the meters are being asked."""
    try:
        status = await core.status()
    except OperationRefused as exc:
        return Health(False, [f"the core does not answer: {exc}"], [], {})
    return judged(status, [])


async def readiness(core: Core) -> Health:
    """`/readyz`: well, every server has been ready, and every meter has been asked and one of them has answered."""
    try:
        status = await core.status()
    except OperationRefused as exc:
        return Health(False, [f"the core does not answer: {exc}"], [], {})
    more = [] if status.ready else ["not every server has started"]
    more += [f"{device.name} has not been asked yet" for device in status.devices if device.state == _UNKNOWN]
    if status.devices and not any(device.state == _ONLINE for device in status.devices):
        more.append("no meter answers")
    return judged(status, more)


def judged(status: StatusAnswer, more: list[str]) -> Health:
    """Return the judgement over a status. Pure."""
    serving = [server for server in status.servers if server.state != _NOT_INSTALLED]
    problems = [] if status.polling else ["no meter has been asked for a long time"]
    for server in serving:
        if not server.answering:
            age = "never" if server.probe_age_s is None else f"{server.probe_age_s:.0f} s ago"
            problems.append(f"{server.name} is {server.state}; it last answered {age}")
    degraded = [
        f"{device.name} does not answer: {device.last_error}"
        for device in status.devices
        if device.state not in (_ONLINE, _UNKNOWN)
    ]
    problems += more
    return Health(not problems, problems, degraded, {server.name: server.answering for server in serving})
