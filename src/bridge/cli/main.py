"""The command `meterbridge`: puts the command groups together."""

import typer

from bridge.cli import (
    alarms,
    audit,
    check,
    demo,
    export,
    live,
    run,
    scan,
    security,
    sheets,
    simulate,
    tls,
    trace,
    user,
    verify,
    wipe,
)


def build() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="meterbridge",
        help="Modbus energy meters as BACnet/IP, SNMP, IEC 61850, DNP3, OPC UA and Modbus TCP, from one point table.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("run")(run.run)
    app.command("reload")(run.reload)
    app.command("status")(live.status)
    app.command("health")(live.health)
    app.command("check")(check.check)
    app.command("demo")(demo.demo)
    app.command("simulate")(simulate.simulate)
    app.command("points")(live.points)
    app.command("read")(live.read)
    app.command("write")(live.write)
    app.command("alarms")(alarms.alarms)
    app.command("acknowledge")(alarms.acknowledge)
    app.command("switch-alarm")(alarms.switch_alarm)
    app.command("events")(alarms.events)
    app.command("trace")(trace.trace)
    app.command("scan")(scan.scan)
    app.command("traffic")(live.traffic)
    app.command("probe")(scan.probe)
    app.command("verify")(verify.verify)
    app.command("security")(security.security)
    app.command("export")(export.export)
    app.command("import")(sheets.import_csv)
    app.command("wipe")(wipe.wipe)
    app.add_typer(audit.app)
    app.add_typer(tls.app)
    app.add_typer(user.app)
    return app
