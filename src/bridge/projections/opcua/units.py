"""Unit symbols of the bridge -> EUInformation (OPC 10000-8, 5.6.4.3; codes of UNECE Recommendation 20)."""

from dataclasses import dataclass

# The namespace of the codes of Recommendation 20 (OPC 10000-8, 5.6.4.3).
UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
# UnitId of a unit that has no code (OPC 10000-8, table of EUInformation: "-1 is used if a unitId is not available").
NO_CODE = -1

# Codes of Recommendation 20. VAh, varh, MVAh, V2h, A2h and Wh/pulse have none.
_CODES = {
    "": "C62",
    "mV": "2Z",
    "V": "VLT",
    "kV": "KVT",
    "mA": "4K",
    "A": "AMP",
    "kA": "B22",
    "W": "WTT",
    "kW": "KWT",
    "MW": "MAW",
    "var": "D44",
    "kvar": "KVR",
    "Mvar": "MAR",
    "VA": "D46",
    "kVA": "KVA",
    "MVA": "MVA",
    "Wh": "WHR",
    "kWh": "KWH",
    "MWh": "MWH",
    "kvarh": "K3",
    "Mvarh": "MAH",
    "kVAh": "C79",
    "Hz": "HTZ",
    "%": "P1",
    "deg": "DD",
    "ms": "C26",
    "s": "SEC",
    "min": "MIN",
    "h": "HUR",
    "degC": "CEL",
    "bit/s": "B10",
}
_SPELLING = {"": "1", "deg": "\u00b0", "degC": "\u00b0C", "V2h": "V\u00b2h", "A2h": "A\u00b2h"}
_PREFIXED = {3: "k", 6: "M"}


@dataclass(frozen=True, slots=True)
class EngineeringUnits:
    """`unit_id`: NO_CODE, or the characters of the code as a big-endian number."""

    namespace: str
    unit_id: int
    symbol: str
    description: str


def code_of(symbol: str) -> int:
    """Return the UnitId of a unit, NO_CODE where Recommendation 20 has none."""
    code = _CODES.get(symbol)
    return NO_CODE if code is None else int.from_bytes(code.encode("ascii"), "big")


def engineering_units(symbol: str, own_namespace: str) -> EngineeringUnits:
    """Return what EngineeringUnits says of a value in `symbol`."""
    unit_id = code_of(symbol)
    shown = _SPELLING.get(symbol, symbol)
    return EngineeringUnits(own_namespace if unit_id == NO_CODE else UNECE, unit_id, shown, shown)


def count_units(symbol: str, resolution: int, own_namespace: str) -> EngineeringUnits:
    """
    Return what EngineeringUnits says of a count of 10**resolution of `symbol`: a unit of its own.

    A step that is itself a unit (0.001 kWh is 1 Wh) gets that unit and its code.
    """
    whole = _prefixed(symbol, resolution)
    if whole is not None:
        return engineering_units(whole, own_namespace)
    step = f"{10**resolution} {symbol}" if resolution >= 0 else f"0.{'0' * (-resolution - 1)}1 {symbol}"
    return EngineeringUnits(own_namespace, NO_CODE, step, f"1 count = {step}")


def _prefixed(symbol: str, resolution: int) -> str | None:
    """Return the known unit that is 10**resolution of `symbol`."""
    have = next((power for power, prefix in _PREFIXED.items() if symbol.startswith(prefix)), 0)
    base = symbol[1:] if have else symbol
    wanted = have + resolution
    if wanted != 0 and wanted not in _PREFIXED:
        return None
    name = _PREFIXED.get(wanted, "") + base
    return name if resolution == 0 or name in _CODES else None
