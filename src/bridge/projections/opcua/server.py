"""Point image -> OPC UA: the projection's life in its worker."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import msgspec
from asyncua import Server as Library
from asyncua import ua
from asyncua.server.binary_server_asyncio import BinaryServer

from bridge.core.listener import Listener
from bridge.core.ports import Listening, Projection, ProjectionContext
from bridge.projections.opcua import capabilities, probe
from bridge.projections.opcua.attributes import Attributes
from bridge.projections.opcua.binary import ticks
from bridge.projections.opcua.bounds import bound_arrays
from bridge.projections.opcua.channel import Channel
from bridge.projections.opcua.commands import Commands
from bridge.projections.opcua.conditions import Conditions, Powers
from bridge.projections.opcua.doors import Doors, Users, set_up
from bridge.projections.opcua.history import Histories
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.pki import Pki
from bridge.projections.opcua.plan import NAMESPACE, NAMESPACE_INDEX, Plan
from bridge.projections.opcua.processor import Services
from bridge.projections.opcua.requests import Browses, Reads
from bridge.projections.opcua.space import LazyServer, OwnNodes
from bridge.projections.opcua.subscription import Subscriptions, SubscriptionTools
from bridge.projections.opcua.subtypes import Subtypes

COUNTERS = (
    "connections",
    "requests",
    "short_way",
    "notifications",
    "bad_messages",
    "refused_users",
    "refused_certificates",
    "subscriptions_expired",
    "writes_done",
    "writes_refused",
)
_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})
# Share of the listener's idle time within which a client with a session has to speak: it is never cut off before.
_SPEAKS = 0.9
# Bytes of one chunk in either direction.
_CHUNK = 65_535
# A connection refused here has passed the guard's own count, probes included.
_CONNECTIONS = 100_000


@dataclass(frozen=True, slots=True)
class _Open:
    listener: Listener
    listening: Listening


class Server:
    Plan: ClassVar[type[msgspec.Struct]] = Plan

    def __init__(self) -> None:
        self._open: _Open | None = None

    async def run(self, ctx: ProjectionContext) -> None:
        plan = ctx.plan
        assert isinstance(plan, Plan)
        for name in COUNTERS:
            ctx.counters.setdefault(name, 0)
        shown = [ctx.points.definition(index) for index in plan.points]
        model = Model(shown, ctx.points.devices(), ctx.points.definition, plan.writable, plan.ranges)
        image = Image(ctx.points, model, asyncio.get_running_loop().call_soon)
        try:
            library, binary = await _library(ctx, plan, model, image)
            await capabilities.say(library)
            await library.iserver.start()
            library.iserver.nodes.settled = True
            doors = Doors(Pki(Path(ctx.state_dir) / "pki"), ctx.clock, ctx.counters)
            subtypes = Subtypes(library.iserver.view_service)
            services = Services(
                reads=Reads(image),
                browses=Browses(model, subtypes),
                image=image,
                clock=ctx.clock,
                counters=ctx.counters,
                trusted=doors.trusted,
                sessions=plan.limits.sessions,
                server=binary,
            )
            listening = await ctx.listeners.stream(lambda: Channel(services), plan.listener)
            self._open = _Open(plan.listener, listening)
            ctx.ready()
            await binary._close_task_loop()
        finally:
            image.close()
            if self._open is not None:
                self._open.listening.close()

    @property
    def port(self) -> int:
        """The port of the listener. Raises: AssertionError before `run` listens."""
        assert self._open is not None
        return self._open.listening.port

    async def probe(self) -> None:
        """Raises: as `probe.ask`."""
        assert self._open is not None, "probe before run"
        await probe.ask(self._open.listener, self._open.listening.port)


async def _library(ctx: ProjectionContext, plan: Plan, model: Model, image: Image) -> tuple[Library, BinaryServer]:
    """Return the library's server, told everything but the port. Raises: OSError."""
    bound_arrays()
    folder, limits = Path(ctx.state_dir), plan.limits
    users = Users(plan, ctx.clock, ctx.counters)
    inner = LazyServer(folder, users)
    silence_ms = plan.listener.idle_s * 1000 * _SPEAKS
    inner.max_session_timeout_ms, inner.min_session_timeout_ms = silence_ms, min(5000.0, silence_ms)
    inner.max_pending_activation_seconds = plan.listener.first_message_s
    inner.max_connections, inner.max_monitored_item_queue_size = _CONNECTIONS, limits.queue
    inner.allow_remote_admin = False
    powers = Powers(users, ctx.refusals, ctx.counters, plan.acknowledging, plan.write_timeout_s)
    conditions = inner.conditions = Conditions(ctx.alarms, model, image, ctx.clock, powers)
    tools = SubscriptionTools(image, conditions, ctx.clock, ctx.counters, limits, silence_ms / 2)
    inner.subscription_service = Subscriptions(inner.aspace, inner, tools)
    inner.attribute_service = Attributes(inner.aspace, ctx.clock.utc_ns)
    inner.commands = Commands(model, ctx.commands, users, ctx.clock, ctx.counters, plan.write_timeout_s, ctx.refusals)
    inner.histories = Histories(ctx.history, image)
    library = Library(iserver=inner)
    library.name, library.manufacturer_name = plan.application_name, "meterbridge"
    library.product_uri, library._application_uri = "urn:meterbridge", plan.application_uri
    library.application_type = ua.ApplicationType.Server
    library.limits.max_message_size, library.limits.max_chunk_count = limits.message_bytes, limits.chunks
    library.limits.max_recv_buffer = library.limits.max_send_buffer = _CHUNK
    await library.init()
    index = await library.register_namespace(NAMESPACE)
    assert index == NAMESPACE_INDEX
    bind = plan.listener.bind
    host = socket.gethostname() if bind in _EVERYWHERE else bind
    library.set_endpoint(f"opc.tcp://{host}:{plan.listener.port}")
    inner.show(OwnNodes(model, image, lambda: struct.pack("<q", ticks(ctx.clock.utc_ns()))))
    hosts = tuple(dict.fromkeys((host, socket.gethostname())))
    await set_up(library, plan, Pki(folder / "pki"), hosts, ctx.clock)
    await library._setup_server_nodes()
    binary = BinaryServer(inner, host, plan.listener.port, library.limits)
    binary.set_policies(library._policies)
    return library, binary


def own_version() -> str:
    """Return the version of the installed bridge; a source tree has none."""
    try:
        return version("meterbridge")
    except PackageNotFoundError:
        return "0"


PROJECTION: type[Projection] = Server
