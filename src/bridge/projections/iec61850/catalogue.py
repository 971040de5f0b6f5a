"""
What a meter can be in 61850: units, common data classes and the data objects of the logical nodes used here.

Source: IEC 61850-7-3:2010 (units, common data classes) and IEC 61850-7-4:2010 (LPHD, MMXU, MMTR, MHAI, MSTA, GGIO). The
ordinals below agree with three independent public EnumType lists; percent is left out, since such lists disagree on it
(88 is "%" in one and "A/V" in another): a percentage is unit 1 with multiplier -2.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final


class SiUnit(enum.IntEnum):
    """IEC 61850-7-3, SIUnit."""

    NONE = 1
    SECOND = 4
    AMPERE = 5
    DEGREE = 9
    CELSIUS = 23
    VOLT = 29
    HERTZ = 33
    WATT = 38
    CUBIC_METRE = 42
    VOLT_AMPERE = 61
    VAR = 63
    COS_PHI = 65
    VOLT_AMPERE_HOUR = 71
    WATT_HOUR = 72
    VAR_HOUR = 73
    HOUR = 84
    MINUTE = 85


UNIT_TEXT: Final = {
    SiUnit.NONE: "none", SiUnit.AMPERE: "A", SiUnit.CELSIUS: "°C", SiUnit.VOLT: "V", SiUnit.HERTZ: "Hz",
    SiUnit.WATT: "W", SiUnit.CUBIC_METRE: "m³", SiUnit.VOLT_AMPERE: "VA", SiUnit.VAR: "VAr",
    SiUnit.COS_PHI: "cos(phi)", SiUnit.VOLT_AMPERE_HOUR: "VAh", SiUnit.WATT_HOUR: "Wh", SiUnit.VAR_HOUR: "VArh",
    SiUnit.HOUR: "h", SiUnit.SECOND: "s", SiUnit.DEGREE: "deg", SiUnit.MINUTE: "min",
}  # fmt: skip
# IEC 61850-7-3, multiplier: power of ten -> text.
MULTIPLIER_TEXT: Final = {-6: "µ", -3: "m", -2: "c", -1: "d", 0: "", 1: "da", 2: "h", 3: "k", 6: "M", 9: "G"}
ENUMS: Final[dict[str, dict[int, str]]] = {
    "BehaviourModeKind": {1: "on", 2: "blocked", 3: "test", 4: "test/blocked", 5: "off"},
    "HealthKind": {1: "Ok", 2: "Warning", 3: "Alarm"},
    "CtlModelKind": {
        0: "status-only", 1: "direct-with-normal-security", 2: "sbo-with-normal-security",
        3: "direct-with-enhanced-security", 4: "sbo-with-enhanced-security",
    },
    "OriginatorCategoryKind": {
        0: "not-supported", 1: "bay-control", 2: "station-control", 3: "remote-control", 4: "automatic-bay",
        5: "automatic-station", 6: "automatic-remote", 7: "maintenance", 8: "process",
    },
    "SIUnitKind": {int(unit): text for unit, text in UNIT_TEXT.items()},
    "MultiplierKind": MULTIPLIER_TEXT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A DA or BDA. `triggers`: letters d (dchg) and q (qchg). `value`: the Val of the template."""

    name: str
    fc: str
    b_type: str
    type: str | None = None
    triggers: str = ""
    value: str | None = None


def _stamped(fc: str) -> tuple[Part, ...]:
    return Part("q", fc, "Quality", None, "q"), Part("t", fc, "Timestamp")


_DESCRIPTION: Final = Part("d", "DC", "VisString255")
_UNITS: Final = Part("units", "CF", "Struct", "Unit")
_PULSE: Final = Part("pulsQty", "CF", "FLOAT32", None, "d", "1")


def _model(name: str) -> Part:
    return Part("ctlModel", "CF", "Enum", "CtlModelKind", "d", name)


def _control(model: str, value: tuple[Part, ...], parts: tuple[Part, ...]) -> tuple[Part, ...]:
    settings = (
        _model(model),
        Part("sboTimeout", "CF", "INT32U", None, "d", "30000"),
        Part("operTimeout", "CF", "INT32U", None, "d", "30000"),
    )
    return (*parts, *value, *(settings if parts else settings[:1]), _DESCRIPTION)


def _state(kind: str, value: str) -> tuple[Part, ...]:
    return Part("stVal", "ST", "Enum", kind, "d", value), *_stamped("ST")


def _plate(*names: str) -> tuple[Part, ...]:
    return tuple(Part(name, "EX" if name == "ldNs" else "DC", "VisString255") for name in names)


_VALUES: Final = {
    "SPC": (Part("stVal", "ST", "BOOLEAN", None, "d"), *_stamped("ST")),
    "INC": (Part("stVal", "ST", "INT32", None, "d"), *_stamped("ST")),
    "APC": (Part("mxVal", "MX", "Struct", "AnalogueValue", "d"), *_stamped("MX"), _UNITS),
}


def _outputs() -> dict[str, tuple[str, tuple[Part, ...]]]:
    """One DOType per class and way of control, e.g. SPC_DIRECT."""
    made: dict[str, tuple[str, tuple[Part, ...]]] = {}
    for cdc, value in _VALUES.items():
        oper = Part("Oper", "CO", "Struct", f"Operate{cdc}")
        select = (Part("SBOw", "CO", "Struct", f"Operate{cdc}"), oper, Part("Cancel", "CO", "Struct", f"Cancel{cdc}"))
        made[f"{cdc}_STATUS"] = (cdc, _control("status-only", value, ()))
        made[f"{cdc}_DIRECT"] = (cdc, _control("direct-with-enhanced-security", value, (oper,)))
        made[f"{cdc}_SBO"] = (cdc, _control("sbo-with-enhanced-security", value, select))
    return made


# Class VSS under names of our own needs a name space (IEC 61850-7-1, 14).
_OWN_NAMES: Final = Part("dataNs", "EX", "VisString255", None, "", "meterbridge:1")
# DOType id -> (class, parts). WYE and DEL are made from CMV per set of phases.
OBJECT_TYPES: Final[dict[str, tuple[str, tuple[Part, ...]]]] = {
    "ENC_Mod": ("ENC", (*_state("BehaviourModeKind", "on"), _model("status-only"))),
    "ENS_Beh": ("ENS", _state("BehaviourModeKind", "on")),
    "ENS_Health": ("ENS", _state("HealthKind", "Ok")),
    "LPL_LLN0": ("LPL", _plate("vendor", "swRev", "d", "configRev", "ldNs")),
    "DPL": ("DPL", _plate("vendor", "model")),
    "SPS": ("SPS", (Part("stVal", "ST", "BOOLEAN", None, "d"), *_stamped("ST"), _DESCRIPTION)),
    "INS": ("INS", (Part("stVal", "ST", "INT32", None, "d"), *_stamped("ST"), _DESCRIPTION)),
    "VSS": ("VSS", (Part("stVal", "ST", "VisString255", None, "d"), *_stamped("ST"), _DESCRIPTION, _OWN_NAMES)),
    "MV": ("MV", (Part("mag", "MX", "Struct", "AnalogueValue", "d"), *_stamped("MX"), _UNITS, _DESCRIPTION)),
    "CMV": ("CMV", (Part("cVal", "MX", "Struct", "Vector", "d"), *_stamped("MX"), _UNITS)),
    "BCR": ("BCR", (Part("actVal", "ST", "INT64", None, "d"), *_stamped("ST"), _UNITS, _PULSE, _DESCRIPTION)),
    **_outputs(),
}  # fmt: skip


def _command(cdc: str) -> tuple[Part, ...]:
    value = {"SPC": Part("ctlVal", "", "BOOLEAN"), "INC": Part("ctlVal", "", "INT32")}
    return (
        value.get(cdc, Part("ctlVal", "", "Struct", "AnalogueValue")), Part("origin", "", "Struct", "Originator"),
        Part("ctlNum", "", "INT8U"), Part("T", "", "Timestamp"), Part("Test", "", "BOOLEAN"),
    )  # fmt: skip


STRUCTURES: Final[dict[str, tuple[Part, ...]]] = {
    "AnalogueValue": (Part("f", "", "FLOAT32"),),
    "Vector": (Part("mag", "", "Struct", "AnalogueValue"),),
    "Unit": (Part("SIUnit", "", "Enum", "SIUnitKind"), Part("multiplier", "", "Enum", "MultiplierKind", "", "")),
    "Originator": (Part("orCat", "", "Enum", "OriginatorCategoryKind"), Part("orIdent", "", "Octet64")),
    **{f"Operate{cdc}": (*_command(cdc), Part("Check", "", "Check")) for cdc in _VALUES},
    **{f"Cancel{cdc}": _command(cdc) for cdc in _VALUES},
}
# Class -> (path of the value leaf, functional constraint).
VALUE_LEAF: Final = {
    "MV": ("mag.f", "MX"), "CMV": ("cVal.mag.f", "MX"), "BCR": ("actVal", "ST"), "SPS": ("stVal", "ST"),
    "INS": ("stVal", "ST"), "VSS": ("stVal", "ST"), "SPC": ("stVal", "ST"), "INC": ("stVal", "ST"),
    "APC": ("mxVal.f", "MX"),
}  # fmt: skip
PHASES: Final = {"WYE": ("phsA", "phsB", "phsC", "neut", "res"), "DEL": ("phsAB", "phsBC", "phsCA")}
# Class of logical node -> data object -> common data class.
NODE_OBJECTS: Final[dict[str, dict[str, str]]] = {
    "MMXU": {
        **dict.fromkeys(("TotW", "TotVAr", "TotVA", "TotPF", "Hz"), "MV"),
        **dict.fromkeys(("AvAPhs", "AvPPVPhs", "AvPhVPhs", "AvWPhs", "AvVAPhs", "AvVArPhs", "AvPFPhs"), "MV"),
        **dict.fromkeys(("PhV", "A", "W", "VAr", "VA", "PF"), "WYE"), "PPV": "DEL",
    },
    "MMTR": dict.fromkeys(("TotVAh", "TotWh", "TotVArh", "SupWh", "SupVArh", "DmdWh", "DmdVArh"), "BCR"),
    "MHAI": {"ThdA": "WYE", "ThdPhV": "WYE", "ThdPPV": "DEL"},
    "MSTA": dict.fromkeys(("AvAmps", "MaxAmps", "AvW", "MaxW", "AvVA", "MaxVA", "AvVAr", "MaxVAr"), "MV"),
    "GGIO": {},
}  # fmt: skip
_GENERIC: Final = {
    "Ind": "SPS", "AnIn": "MV", "IntIn": "INS", "CntVal": "BCR", "SPCSO": "SPC", "ISCSO": "INC", "AnOut": "APC",
    "Txt": "VSS",
}  # fmt: skip
_NUMBERED: Final = re.compile(r"([A-Za-z]+)([1-9][0-9]{0,4})")


def object_class(ln_class: str, name: str) -> str:
    """Return the common data class of a data object. Raises: KeyError for one that the node does not have."""
    numbered = _NUMBERED.fullmatch(name) if ln_class == "GGIO" else None
    return _GENERIC[numbered[1]] if numbered is not None else NODE_OBJECTS[ln_class][name]
