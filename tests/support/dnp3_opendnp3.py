"""
An opendnp3 master (yadnp3) as a process: one JSON request per line on stdin, one JSON answer per line on stdout.

argv: JSON with port, master, outstation, and optionally unsolicited, time (how to synchronise) with offset_ms, tls
(authority, certificate, key), or serial (a port, with baud) instead of TCP.
"""

import json
import os
import sys
import threading
import time
import traceback
from typing import Any

import opendnp3 as o  # type: ignore[import-untyped]

ANSWER_S = 20.0


class Values(o.ISOEHandler):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[Any]] = []
        self.attributes: dict[int, Any] = {}
        self.lock = threading.Lock()

    def BeginFragment(self, info: Any) -> None: ...
    def EndFragment(self, info: Any) -> None: ...

    def OnDeviceAttribute(self, info: Any, set_id: int, variation: int, value: Any) -> None:
        text = value.stringValue or value.unsignedValue
        self.attributes[int(variation)] = text

    def Process(self, info: Any, values: Any) -> None:
        name = str(info.gv).rpartition(".")[2]
        quality = str(info.tsquality).rpartition(".")[2]
        with self.lock:
            for one in values:
                self.rows.append([name, one.index, *shown(one.value), quality])

    def take(self) -> list[list[Any]]:
        with self.lock:
            rows, self.rows = self.rows, []
        return rows


class Count(o.ISOEHandler):  # type: ignore[misc]
    """Only counts, for benchmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = 0

    def BeginFragment(self, info: Any) -> None: ...
    def EndFragment(self, info: Any) -> None: ...

    def Process(self, info: Any, values: Any) -> None:
        self.objects += len(values)


def shown(value: Any) -> list[Any]:
    """Return value, flags and time."""
    if isinstance(value, o.OctetString):
        return [bytes(value.ToBytes()).hex(), None, 0]
    flags = getattr(getattr(value, "flags", None), "value", None)
    if hasattr(value, "status"):
        flags = str(value.status).rpartition(".")[2]
    # a TimeAndInterval has none
    number = getattr(value, "value", None)
    if isinstance(number, o.DoubleBit):
        number = str(number).rpartition(".")[2]
    return [number, flags, getattr(getattr(value, "time", None), "value", 0)]


class Application(o.IMasterApplication):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.iin = [0, 0]
        self.done = threading.Event()
        self.started = threading.Event()
        self.result = ""
        self.tasks: list[list[str]] = []

    def OnReceiveIIN(self, iin: Any) -> None:
        self.iin = [iin.LSB, iin.MSB]

    def OnTaskStart(self, kind: Any, task: Any) -> None: ...

    def OnTaskComplete(self, info: Any) -> None:
        kind, result = str(info.type).rpartition(".")[2], str(info.result).rpartition(".")[2]
        self.tasks.append([kind, result])
        if kind == "STARTUP_INTEGRITY_POLL" and result == "SUCCESS":
            self.started.set()
        if kind.startswith("USER"):
            self.result = result
            self.done.set()

    def OnOpen(self) -> None: ...
    def OnClose(self) -> None: ...
    def AssignClassDuringStartup(self) -> bool:
        return False

    def Now(self) -> Any:
        return o.UTCTimestamp(int(time.time() * 1000) + offset_ms)


wanted = json.loads(sys.argv[1])
offset_ms = int(wanted.get("offset_ms", 0))
values, application = Values(), Application()


def header(row: list[int]) -> Any:
    group, variation, *span = row
    return o.Header.Range16(group, variation, *span) if span else o.Header.AllObjects(group, variation)


def control(request: dict[str, Any], master: Any) -> dict[str, Any]:
    done, found = threading.Event(), []

    def answer(result: Any) -> None:
        found.append(str(result.summary).rpartition(".")[2])
        found.extend(str(one.status).rpartition(".")[2] for one in result.to_list())
        done.set()

    kind = getattr(o, request["type"])
    command = kind(getattr(o.OperationType, request["value"])) if "Relay" in request["type"] else kind(request["value"])
    operate = master.SelectAndOperate if request.get("sbo") else master.DirectOperate
    operate(command, request["index"], answer)
    return {"result": found if done.wait(ANSWER_S) else ["no answer"]}


def callback(start: Any) -> dict[str, Any]:
    done, found = threading.Event(), []

    def answer(result: Any) -> None:
        found.append(str(getattr(result, "summary", result)).rpartition(".")[2])
        done.set()

    start(answer)
    return {"result": found if done.wait(ANSWER_S) else ["no answer"]}


def user_task(start: Any) -> dict[str, Any]:
    application.done.clear()
    start()
    came = application.done.wait(ANSWER_S)
    return {"result": [application.result if came else "no answer"]}


def polled(request: dict[str, Any], master: Any) -> dict[str, Any]:
    """Poll `count` times, `idle_s` apart; return the results there were and the objects that came."""
    count, results = Count(), set()
    headers = [header(row) for row in request["headers"]]
    for _ in range(request["count"]):
        results.add(user_task(lambda: master.Scan(headers, count))["result"][0])
        time.sleep(request["idle_s"])
    return {"result": sorted(results), "objects": count.objects}


def carry_out(request: dict[str, Any], master: Any) -> dict[str, Any]:
    match request["do"]:
        case "wait":
            time.sleep(request["seconds"])
            return {"result": []}
        case "integrity":
            return user_task(lambda: master.ScanClasses(o.ClassField.AllClasses(), values))
        case "events":
            return user_task(lambda: master.ScanClasses(o.ClassField.AllEventClasses(), values))
        case "scan":
            return user_task(lambda: master.Scan([header(row) for row in request["headers"]], values))
        case "poll":
            return polled(request, master)
        case "control":
            return control(request, master)
        case "freeze":
            kind = getattr(o.FreezeType, request.get("type", "ImmediateFreeze"))
            return user_task(lambda: master.Freeze(kind, [header(row) for row in request["headers"]]))
        case "function":
            code = getattr(o.FunctionCode, request["code"])
            return user_task(lambda: master.PerformFunction("test", code, [header(row) for row in request["headers"]]))
        case "deadband":
            one = o.IndexedAnalogInputDeadband(o.AnalogInputDeadband(request["value"]), request["index"])
            return callback(lambda answer: master.WriteDeadBands([one], answer))
        case "restart":
            return callback(lambda answer: master.Restart(o.RestartType.COLD, answer))
        case "startup":
            return {"result": ["SUCCESS" if application.started.wait(request["seconds"]) else "no answer"]}
        case other:
            raise ValueError(other)


def channel_of(manager: Any) -> Any:
    retry, nothing = o.ChannelRetry.Default(), o.levels.NOTHING
    if "serial" in wanted:
        settings = o.SerialSettings()
        settings.deviceName, settings.baud = wanted["serial"], wanted["baud"]
        return manager.AddSerial("c", nothing, retry, settings, None)
    endpoint = [o.IPEndpoint("127.0.0.1", wanted["port"])]
    if "tls" in wanted:
        return manager.AddTLSClient("c", nothing, retry, endpoint, "0.0.0.0", o.TLSConfig(*wanted["tls"]), None)
    return manager.AddTCPClient("c", nothing, retry, endpoint, "0.0.0.0", None)


def main() -> None:
    manager = o.DNP3Manager(1)
    channel = channel_of(manager)
    config = o.MasterStackConfig()
    config.master.responseTimeout = o.TimeDuration.Seconds(10)
    config.link.LocalAddr, config.link.RemoteAddr = wanted["master"], wanted["outstation"]
    if not wanted.get("unsolicited"):
        config.master.disableUnsolOnStartup = True
    if wanted.get("time"):
        config.master.timeSyncMode = getattr(o.TimeSyncMode, wanted["time"])
    master = channel.AddMaster("m", values, application, config)
    master.Enable()
    for line in sys.stdin:
        request = json.loads(line)
        answer = carry_out(request, master)
        answer |= {"rows": values.take(), "iin": application.iin, "attributes": values.attributes}
        answer["tasks"], application.tasks = application.tasks, []
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer of this program
    manager.Shutdown()


if __name__ == "__main__":
    try:
        main()
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        # the library's threads would keep the process
        os._exit(0)
