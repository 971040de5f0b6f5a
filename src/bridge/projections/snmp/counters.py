"""What an agent must count: snmp group (RFC 3418), snmpMPDStats (RFC 3412), usmStats (RFC 3414)."""

from dataclasses import dataclass

from bridge.projections.snmp.ber import Oid
from bridge.projections.snmp.pdu import GET, GETNEXT, SET, ErrorStatus

USM_STATS: Oid = (1, 3, 6, 1, 6, 3, 15, 1, 1)
UNKNOWN_CONTEXTS: Oid = (1, 3, 6, 1, 6, 3, 12, 1, 5, 0)
UNKNOWN_PDU_HANDLERS: Oid = (1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0)
# Name of a usmStats counter in `Counters`, by its last-but-one sub-identifier.
USM_COUNTERS = {
    1: "unsupported_levels",
    2: "not_in_time_windows",
    3: "unknown_users",
    4: "unknown_engines",
    5: "wrong_digests",
    6: "decryption_errors",
}


@dataclass(slots=True)
class Counters:
    """One thread only. Each grows without end; the encoder reduces it modulo 2^32."""

    in_packets: int = 0
    in_bad_versions: int = 0
    in_bad_communities: int = 0
    in_bad_uses: int = 0
    in_parse_errors: int = 0
    silent_drops: int = 0
    unknown_security_models: int = 0
    invalid_messages: int = 0
    unknown_pdu_handlers: int = 0
    unknown_contexts: int = 0
    unsupported_levels: int = 0
    not_in_time_windows: int = 0
    unknown_users: int = 0
    unknown_engines: int = 0
    wrong_digests: int = 0
    decryption_errors: int = 0
    # RFC 1213's, obsolete in RFC 3418 and still asked for; GETBULK is in none of them but the variables.
    in_total_req_vars: int = 0
    in_total_set_vars: int = 0
    in_gets: int = 0
    in_nexts: int = 0
    in_sets: int = 0
    out_packets: int = 0
    out_responses: int = 0
    out_traps: int = 0
    out_too_bigs: int = 0
    out_no_such_names: int = 0
    out_bad_values: int = 0
    out_gen_errs: int = 0
    # Not in any MIB: dropped by the rate limit; exceptions that reached the last handler.
    limited: int = 0
    writes_refused: int = 0
    writes_done: int = 0
    traps_dropped: int = 0
    faults: int = 0

    def rejections(self) -> int:
        """Requests whose sender could not prove who it is; discovery (unknown engine) is not among them."""
        return self.in_bad_communities + self.unknown_users + self.wrong_digests

    def count_request(self, kind: int, names: int) -> None:
        if kind == SET:
            self.in_sets += 1
            self.in_total_set_vars += names
            return
        self.in_total_req_vars += names
        if kind == GET:
            self.in_gets += 1
        elif kind == GETNEXT:
            self.in_nexts += 1

    def count_failure(self, status: ErrorStatus) -> None:
        field = _FAILURES.get(status)
        if field is not None:
            setattr(self, field, getattr(self, field) + 1)


_FAILURES = {
    ErrorStatus.TOO_BIG: "out_too_bigs",
    ErrorStatus.NO_SUCH_NAME: "out_no_such_names",
    ErrorStatus.BAD_VALUE: "out_bad_values",
    ErrorStatus.GEN_ERR: "out_gen_errs",
}
