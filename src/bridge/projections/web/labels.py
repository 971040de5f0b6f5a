"""Names of points in French, made of the words of the vocabulary; in English a point has a label of its own. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.core.point import PointDef
from bridge.core.quantity import Direction, Phase, Quantity, Statistic

_QUANTITIES: Mapping[Quantity, str] = MappingProxyType(
    {
        Quantity.ACTIVE_POWER: "Puissance active",
        Quantity.REACTIVE_POWER: "Puissance réactive",
        Quantity.APPARENT_POWER: "Puissance apparente",
        Quantity.POWER_FACTOR: "Facteur de puissance",
        Quantity.COS_PHI: "Cos φ",
        Quantity.VOLTAGE: "Tension",
        Quantity.CURRENT: "Courant",
        Quantity.RESIDUAL_CURRENT: "Courant résiduel",
        Quantity.FREQUENCY: "Fréquence",
        Quantity.PHASE_ANGLE: "Angle de phase",
        Quantity.TEMPERATURE: "Température",
        Quantity.ACTIVE_ENERGY: "Énergie active",
        Quantity.REACTIVE_ENERGY: "Énergie réactive",
        Quantity.APPARENT_ENERGY: "Énergie apparente",
        Quantity.ACTIVE_DEMAND: "Puissance active moyenne",
        Quantity.REACTIVE_DEMAND: "Puissance réactive moyenne",
        Quantity.APPARENT_DEMAND: "Puissance apparente moyenne",
        Quantity.CURRENT_DEMAND: "Courant moyen",
        Quantity.DEMAND_PEAK_CURRENT: "Pointe de puissance moyenne",
        Quantity.DEMAND_PEAK_TIMESTAMP: "Heure de la pointe",
        Quantity.VOLTAGE_UNBALANCE: "Déséquilibre de tension",
        Quantity.CURRENT_UNBALANCE: "Déséquilibre de courant",
        Quantity.THD_VOLTAGE: "THD tension",
        Quantity.THD_CURRENT: "THD courant",
        Quantity.RUN_HOURS: "Heures de fonctionnement",
        Quantity.ACTIVE_TARIFF: "Tarif en cours",
        Quantity.COMMUNICATION_STATUS: "État de la communication",
        Quantity.PHASE_LOSS: "Perte de phase",
        Quantity.OVERLOAD_ALARM: "Alarme de surcharge",
        Quantity.ENERGY_DIRECTION: "Sens de l'énergie",
        Quantity.TAMPER_ALARM: "Alarme de fraude",
        Quantity.MID_CERTIFICATION_VALID: "Certification MID valide",
        Quantity.PULSE_OUTPUT_ACTIVE: "Sortie impulsion active",
        Quantity.METER_ERROR: "Erreur du compteur",
        Quantity.VOLTAGE_UNBALANCE_ALARM: "Alarme de déséquilibre de tension",
        Quantity.CURRENT_UNBALANCE_ALARM: "Alarme de déséquilibre de courant",
        Quantity.REVERSE_PHASE_SEQUENCE: "Ordre des phases inversé",
        Quantity.TEST_MODE: "Mode d'essai",
        Quantity.BILLING_LOCK: "Verrou de facturation",
        Quantity.DIGITAL_INPUT: "Entrée logique",
        Quantity.DIGITAL_OUTPUT: "Sortie logique",
        Quantity.RESET_DEMAND_PEAK: "Remise à zéro de la pointe",
        Quantity.RESET_MIN_MAX: "Remise à zéro des extrêmes",
        Quantity.RESET_PARTIAL_ENERGY: "Remise à zéro des énergies partielles",
        Quantity.SYNC_CLOCK: "Mise à l'heure",
        Quantity.DEVICE_CLOCK: "Horloge du compteur",
        Quantity.TARIFF_SELECT: "Choix du tarif",
        Quantity.CT_PRIMARY_RATING: "Primaire TC",
        Quantity.CT_SECONDARY_RATING: "Secondaire TC",
        Quantity.PT_PRIMARY_RATING: "Primaire TT",
        Quantity.PT_SECONDARY_RATING: "Secondaire TT",
        Quantity.DEMAND_INTERVAL: "Période d'intégration",
        Quantity.PULSE_CONSTANT: "Poids d'impulsion",
        Quantity.MODBUS_ADDRESS: "Adresse Modbus",
        Quantity.MODBUS_BAUDRATE: "Vitesse Modbus",
        Quantity.DISPLAY_BACKLIGHT_TIMEOUT: "Durée du rétroéclairage",
        Quantity.OVERLOAD_THRESHOLD: "Seuil de surcharge",
        Quantity.VOLTAGE_UNBALANCE_THRESHOLD: "Seuil de déséquilibre de tension",
        Quantity.CURRENT_UNBALANCE_THRESHOLD: "Seuil de déséquilibre de courant",
        Quantity.NETWORK_TYPE: "Type de réseau",
        Quantity.SERIAL_NUMBER: "Numéro de série",
        Quantity.MODEL: "Modèle",
        Quantity.VENDOR: "Fabricant",
        Quantity.FIRMWARE_VERSION: "Version du micrologiciel",
        Quantity.DEVICE_NAME: "Nom de l'appareil",
    }
)
_PHASES: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.N: "neutre",
        Phase.L1_N: "L1-N",
        Phase.L2_N: "L2-N",
        Phase.L3_N: "L3-N",
        Phase.L1_L2: "L1-L2",
        Phase.L2_L3: "L2-L3",
        Phase.L3_L1: "L3-L1",
        Phase.AVERAGE: "(moyenne)",
        Phase.AVERAGE_LN: "(moyenne L-N)",
        Phase.AVERAGE_LL: "(moyenne L-L)",
        Phase.L1: "L1",
        Phase.L2: "L2",
        Phase.L3: "L3",
    }
)
_DIRECTIONS: Mapping[Direction, str] = MappingProxyType(
    {
        Direction.IMPORT: "soutirée",
        Direction.EXPORT: "injectée",
        Direction.NET: "nette",
        Direction.SUM: "cumulée",
        Direction.INDUCTIVE: "inductive",
        Direction.CAPACITIVE: "capacitive",
    }
)
_STATISTICS: Mapping[Statistic, str] = MappingProxyType(
    {
        Statistic.MINIMUM: "minimum",
        Statistic.MAXIMUM: "maximum",
        Statistic.MEAN: "moyenne",
        Statistic.PEAK: "pointe",
        Statistic.PREDICTED: "prévision",
        Statistic.MINIMUM_TIME: "heure du minimum",
        Statistic.MAXIMUM_TIME: "heure du maximum",
        Statistic.PEAK_TIME: "heure de la pointe",
        Statistic.PARTIAL: "partielle",
        Statistic.INDICATIVE: "indicative",
        Statistic.COINCIDENT: "coïncidente",
    }
)


def point_label(definition: PointDef, language: str) -> str:
    """Return what a person calls a point."""
    own = definition.label or definition.name
    meaning = definition.meaning
    first = _QUANTITIES.get(meaning.quantity)
    if language != "fr" or first is None:
        return own
    parts = [
        f"Voie {meaning.circuit} :" if meaning.circuit > 1 else "",
        first,
        str(meaning.number) if meaning.number else "",
        _DIRECTIONS.get(meaning.direction, meaning.direction.value.upper())
        if meaning.direction.value != "none"
        else "",
        _PHASES.get(meaning.phase, "totale" if definition.name.endswith("_total") else ""),
        _STATISTICS.get(meaning.statistic, ""),
        f"T{meaning.tariff}" if meaning.tariff else "",
    ]
    return " ".join(part for part in parts if part)
