"""What the user may write in modbus.yaml, and the plan it becomes."""

import msgspec

from bridge.core.listener import Listener
from bridge.core.ports import Needs, Numbers, Projected, SiteFacts


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """modbus.yaml"""

    listener: Listener


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker needs."""

    listener: Listener


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    del numbers
    return Projected(
        Plan(listener=mapping.listener), Needs(frozenset(p.index for p in site.points)), (mapping.listener,)
    )
