"""OPC UA: every service that changes something, by an engineer of the mapping."""

import asyncio
from collections.abc import Callable
from typing import Any

import argon2
from asyncua import client as ua_client
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary

from tests.conformance.write_matrix.entry import Attempt, Entry

OPCUA_PASSWORD = "matrix-engineer"


def opcua_mapping(port: int) -> dict[str, Any]:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    return {
        "listener": {"port": port, "bind": "127.0.0.1"},
        "access": "read-write",
        "security": {"no_security": "allowed"},
        "users": {"enno": {"role": "engineer", "password": hasher.hash(OPCUA_PASSWORD)}},
    }


def opcua_attempt(name: str, request: Callable[[ua.NodeId], Any], target: tuple[str, ...]) -> Attempt:
    """A request by the engineer of the mapping; what the client was told is the first bad StatusCode."""

    async def ask(port: int) -> str:
        client = ua_client.Client(f"opc.tcp://127.0.0.1:{port}")
        client.set_user("enno")
        client.set_password(OPCUA_PASSWORD)
        async with client:
            made = request(ua.NodeId("landlord", 2))
            try:
                data = await client.uaclient.protocol.send_request(made)
            except ua.UaStatusCodeError as refused:
                return str(refused)
            answer = struct_from_binary(
                ua.WriteResponse if isinstance(made, ua.WriteRequest) else ua.CallResponse, data
            )
            codes = [one if isinstance(one, ua.StatusCode) else one.StatusCode for one in answer.Results]
            return ", ".join(code.name for code in codes)

    return Attempt(f"opcua {name}", lambda bridge, port: asyncio.run(ask(port)), "Bad", target)


def opcua_write(point: str, value: Any, kind: ua.VariantType) -> Callable[[ua.NodeId], Any]:
    def request(meter: ua.NodeId) -> Any:
        made = ua.WriteRequest()
        data = ua.DataValue(ua.Variant(value, kind))
        made.Parameters.NodesToWrite = [ua.WriteValue(ua.NodeId(f"{meter.Identifier}.{point}", 2), 13, None, data)]
        return made

    return request


def opcua_call(meter: ua.NodeId) -> Any:
    made = ua.CallRequest()
    method = ua.NodeId(f"{meter.Identifier}.reset_demand_peak.Execute", 2)
    made.Parameters.MethodsToCall = [ua.CallMethodRequest(meter, method, [])]
    return made


def opcua_note(method: int) -> Callable[[ua.NodeId], Any]:
    """Acknowledge or Confirm of an alarm: out of the box refused before anybody looks which."""

    def request(meter: ua.NodeId) -> Any:
        made = ua.CallRequest()
        condition = ua.NodeId(f"{meter.Identifier}/communication_loss", 2)
        event = ua.Variant(bytes(9), ua.VariantType.ByteString)
        comment = ua.Variant(ua.LocalizedText("seen"), ua.VariantType.LocalizedText)
        made.Parameters.MethodsToCall = [ua.CallMethodRequest(condition, ua.NodeId(method), [event, comment])]
        return made

    return request


OPCUA = (
    opcua_attempt(
        "write setting",
        opcua_write("overload_threshold", 100.0, ua.VariantType.Double),
        ("landlord.overload_threshold",),
    ),
    opcua_attempt(
        "write energy",
        opcua_write("active_energy_import", 0, ua.VariantType.Int64),
        ("landlord.active_energy_import",),
    ),
    opcua_attempt(
        "write ratio", opcua_write("ct_primary_rating", 100.0, ua.VariantType.Double), ("landlord.ct_primary_rating",)
    ),
    opcua_attempt("call", opcua_call, ("landlord.reset_demand_peak",)),
    opcua_attempt("acknowledge", opcua_note(9111), ("Acknowledge landlord/communication_loss",)),
    opcua_attempt("confirm", opcua_note(9113), ("Confirm landlord/communication_loss",)),
    opcua_attempt("add nodes", lambda meter: ua.AddNodesRequest(), ("AddNodes",)),
    opcua_attempt("delete nodes", lambda meter: ua.DeleteNodesRequest(), ("DeleteNodes",)),
    opcua_attempt("add references", lambda meter: ua.AddReferencesRequest(), ("AddReferences",)),
    opcua_attempt("delete references", lambda meter: ua.DeleteReferencesRequest(), ("DeleteReferences",)),
    opcua_attempt("update history", lambda meter: ua.HistoryUpdateRequest(), ("HistoryUpdate",)),
)


ENTRY = Entry("opcua", opcua_mapping, OPCUA)
