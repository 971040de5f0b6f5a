"""A gateway as it runs: its real worker, a real line in this process, a meter of ours at the end of the line."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bridge.app.lines import FieldLines, RawJudge
from bridge.commands.audit import Audit
from bridge.commands.chain import Fact, Record, seal, unseal
from bridge.commands.policy import Roles
from bridge.commands.raw import RawDecision, RawPolicy
from bridge.config.access import AccessFile
from bridge.config.ledger import Ledger
from bridge.config.site import Channel, RtuChannel
from bridge.core.clock import Clock, SystemClock
from bridge.core.command import Origin
from bridge.core.point import DeviceDef, Nominal, Wiring
from bridge.core.ports import ChannelFacts, Projected, SiteFacts
from bridge.core.store import PointStore
from bridge.field.channel import FieldChannel, open_channel
from bridge.gateway.ethergate import mapping as ethergate_mapping
from bridge.gateway.modbus.mapping import Mapping as GatewayMapping
from bridge.gateway.modbus.mapping import project
from bridge.gateway.modbus.plan import Plan
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import WorkerSpec
from tests.support.real_meter import Answer, prompt, pty_meter
from tests.support.workers import definition, running

HOST = "127.0.0.1"
# the gateways show no points
STORE = PointStore([definition(0)], [])


def device(name: str, channel: str, unit: int, mid: bool = False) -> DeviceDef:
    nominal = Nominal(230.0, 63.0, 50.0)
    return DeviceDef(name, "toy", "ACME", "T1", channel, unit, mid, Wiring.FOUR_WIRE, nominal, {}, "site.yaml:1")


def facts(*devices: DeviceDef, **channels: ChannelFacts) -> SiteFacts:
    found = channels or {device.channel: ChannelFacts("rtu") for device in devices}
    return SiteFacts("tower", [], devices, found)


def projected(site: SiteFacts, **mapping: Any) -> Projected:
    """What gateway.yaml makes of a site; `listener` may be left out."""
    written = {"listener": {"port": 0}, **mapping}
    return project(msgspec.convert(written, GatewayMapping), site, Ledger())


def planned(site: SiteFacts, **mapping: Any) -> Plan:
    plan = projected(site, **mapping).plan
    assert isinstance(plan, Plan)
    return plan


@dataclass(frozen=True, slots=True)
class Running:
    """What a test of a running gateway has in hand."""

    port: int
    channels: Mapping[str, FieldChannel]
    supervisor: Supervisor

    def counters(self) -> Counter[str]:
        """As the worker told last."""
        return Counter(self.supervisor.statuses()[0].counters)


@contextlib.asynccontextmanager
async def gateway(
    folder: Path,
    port: int,
    site: SiteFacts,
    answer: Answer = prompt,
    core_policy: RawJudge | None = None,
    timeout_s: float = 0.3,
    baud: int = 115200,
    **mapping: Any,
) -> AsyncIterator[Running]:
    """A worker on `port`; every channel of the site is a pseudo-terminal with a meter that answers for any unit id."""
    loop, clock = asyncio.get_running_loop(), SystemClock()
    mapping.setdefault("listener", {"port": port})
    made = projected(site, **mapping)
    channels: dict[str, FieldChannel] = {}
    with contextlib.ExitStack() as stack:
        for name in site.channels:
            stack.enter_context(pty_meter(folder / name, answer))
            config: Channel = RtuChannel(port=str(folder / name), baud=baud)  # type: ignore[arg-type]
            channels[name] = open_channel(name, config, clock, loop)
            stack.callback(channels[name].close)
        policy = core_policy or nothing_written()
        lines = FieldLines(channels, clock, policy, audit(clock), lambda channel, unit_id: timeout_s)
        async with running(STORE, [spec_of(made, "gateway", "modbus", folder)], lines=lines) as supervisor:
            yield Running(port, channels, supervisor)


@contextlib.asynccontextmanager
async def ethergate(
    folder: Path, port: int, site: SiteFacts, answer: Answer = prompt, baud: int = 115200, **mapping: Any
) -> AsyncIterator[Running]:
    """As `gateway`, for the first channel of the site."""
    loop, clock = asyncio.get_running_loop(), SystemClock()
    (name,) = site.channels
    made = tunnelled(site, **{"listener": {"port": port}, "channel": name, **mapping})
    with pty_meter(folder / name, answer):
        config: Channel = RtuChannel(port=str(folder / name), baud=baud)  # type: ignore[arg-type]
        channel = open_channel(name, config, clock, loop)
        with contextlib.closing(channel):
            lines = FieldLines({name: channel}, clock, nothing_written(), audit(clock))
            async with running(STORE, [spec_of(made, "ethergate", "ethergate", folder)], lines=lines) as supervisor:
                yield Running(port, {name: channel}, supervisor)


def nothing_written() -> RawPolicy:
    """The core's policy of a site whose file says nothing of access."""
    access = AccessFile()
    return RawPolicy(access, (), Roles(access, lambda protocol, user: None))


class Everything:
    """The policy of a core that lets everything pass."""

    def judge(self, pdu: bytes, unit_id: int, channel: str, origin: Origin) -> RawDecision:
        return RawDecision(None)


def audit(clock: Clock) -> Audit:
    """One that forgets."""
    numbers = itertools.count(1)

    async def append(fact: Fact, time: str) -> Record:
        return unseal(seal(fact, next(numbers), time, "")[0])

    return Audit(append, clock)


def tunnelled(site: SiteFacts, **mapping: Any) -> Projected:
    """What ethergate.yaml makes of a site."""
    return ethergate_mapping.project(msgspec.convert(mapping, ethergate_mapping.Mapping), site, Ledger())


def spec_of(made: Projected, name: str, package: str, folder: Path) -> WorkerSpec:
    plan = msgspec.msgpack.encode(made.plan)
    return WorkerSpec(name, f"bridge.gateway.{package}.server", plan, made.needs, str(folder / "state"))
