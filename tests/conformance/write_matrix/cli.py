"""The command line."""

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support.bridge_site import OPENED, RunningBridge


def cli_attempt(point: str, value: str, told: str) -> Attempt:
    def send(bridge: RunningBridge, port: int) -> str:
        del port
        done = bridge.write(f"landlord.{point}", value)
        assert done.returncode == 1
        return done.stderr

    return Attempt(f"cli write {point}", send, told, (f"landlord.{point}",))


CLI = (
    *(cli_attempt(point, "1", "refused_by_policy") for point in OPENED),
    cli_attempt("active_energy_import", "0", "not_writable"),
    cli_attempt("ct_primary_rating", "100", "not_writable"),
)


ENTRY = Entry("cli", lambda port: {}, CLI)
