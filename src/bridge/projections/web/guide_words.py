"""French of the fault guide and of the set-up check: whole sentences, so apart from the words of the pages."""

from collections.abc import Mapping
from types import MappingProxyType

GUIDE_FRENCH: Mapping[str, str] = MappingProxyType(
    {
        "The meter does not answer.": "Le compteur ne répond pas.",
        (
            "A and B swapped, no termination, another speed, parity or address, no supply; a meter fed from "
            "phase 1 is silent without it."
        ): (
            "A et B inversés, pas de terminaison, autre vitesse, parité ou adresse, pas d'alimentation ; un "
            "compteur alimenté par la phase 1 se tait sans elle."
        ),
        (
            "Swap A and B, put 120 ohm at both ends of the line, compare speed, parity and address with the "
            "meter's display, measure phase 1."
        ): (
            "Permuter A et B, placer 120 ohms aux deux bouts de la ligne, comparer vitesse, parité et "
            "adresse à l'afficheur, mesurer la phase 1."
        ),
        "Answers are damaged or mixed up.": "Les réponses sont altérées ou mélangées.",
        ("Two meters with one address, no termination, a line that is too long or runs beside power cables."): (
            "Deux compteurs à la même adresse, pas de terminaison, ligne trop longue ou le long de câbles de puissance."
        ),
        "Disconnect one of the two and scan the line; check termination, length, shield and the speed.": (
            "Débrancher l'un des deux et explorer la ligne ; vérifier terminaison, longueur, blindage et vitesse."
        ),
        "The energy jumps or makes no sense.": "L'énergie fait des sauts ou n'a pas de sens.",
        "Wrong current transformer ratio, swapped phases, index edited or erased, meter replaced.": (
            "Mauvais rapport de transformation, phases inversées, index modifié ou effacé, compteur remplacé."
        ),
        (
            "Compare the ratio with the transformers, check the order of the phases; a new index is taken "
            "over after three readings."
        ): (
            "Comparer le rapport aux transformateurs, vérifier l'ordre des phases ; un nouvel index est "
            "repris après trois lectures."
        ),
        "A phase has voltage and no current.": "Une phase est sous tension et sans courant.",
        "Current transformer not around the conductor or open, a load that is off.": (
            "Transformateur pas autour du conducteur ou ouvert, charge à l'arrêt."
        ),
        ("Check that the transformer is closed and its secondary is connected. Never open a secondary under load."): (
            "Vérifier que le transformateur est fermé et son secondaire raccordé. Ne jamais ouvrir un "
            "secondaire en charge."
        ),
        "The power factor is negative.": "Le facteur de puissance est négatif.",
        "Power flows back, a capacitive load, or a current transformer mounted the wrong way round.": (
            "Énergie renvoyée, charge capacitive, ou transformateur de courant monté à l'envers."
        ),
        (
            "Check the direction of the transformer (P1 to the grid, P2 to the load). With solar panels or "
            "capacitors it may be right."
        ): (
            "Vérifier le sens du transformateur (P1 côté réseau, P2 côté charge). Avec du solaire ou des "
            "condensateurs, cela peut être juste."
        ),
        "Phase loss is reported and nothing is wrong.": "Une perte de phase est signalée à tort.",
        "Only one phase of a three-phase meter is connected, or the load is uneven.": (
            "Une seule phase d'un compteur triphasé est raccordée, ou la charge est inégale."
        ),
        "Set phase_loss to 0 for this device under services.states, or adapt its level.": (
            "Mettre phase_loss à 0 pour cet appareil sous services.states, ou adapter son seuil."
        ),
        "The order of the phases is reversed.": "L'ordre des phases est inversé.",
        "Two phases are swapped at the meter or in the supply.": (
            "Deux phases sont permutées au compteur ou dans l'alimentation."
        ),
        "Swap two voltage wires together with their transformers; on a motor the supply itself.": (
            "Permuter deux fils de tension avec leurs transformateurs ; pour un moteur, l'alimentation même."
        ),
        "One phase is missing.": "Une phase manque.",
        "A fuse has blown or a wire is loose.": "Un fusible a fondu ou un fil est desserré.",
        "Measure the voltages at the meter, check fuses and terminals.": (
            "Mesurer les tensions au compteur, vérifier fusibles et bornes."
        ),
        "Nobody can log in but with the token of the first run: add a user.": (
            "Seul le jeton de première mise en service ouvre la porte : ajoutez un utilisateur."
        ),
        "The server is configured and not installed.": "Le serveur est configuré et n'est pas installé.",
        "The server listens on every address and for every network.": (
            "Le serveur écoute sur toutes les adresses et pour tous les réseaux."
        ),
        "The server is not encrypted: keep it in a protected network.": (
            "Le serveur n'est pas chiffré : gardez-le dans un réseau protégé."
        ),
        "The meter has never answered.": "Le compteur n'a jamais répondu.",
        "The serial number is not known: a replaced meter is not noticed.": (
            "Le numéro de série est inconnu : un remplacement passerait inaperçu."
        ),
        "Nominal values are not set: alarms in percent, overload and unbalance need them.": (
            "Les valeurs nominales manquent : alarmes en pour cent, surcharge et déséquilibre en dépendent."
        ),
        "The alarm has no level: the nominal value of its meter is not set.": (
            "L'alarme n'a pas de seuil : la valeur nominale de son compteur manque."
        ),
        "The meter is billed and has no label `tenant`.": ("Le compteur est facturé et n'a pas d'étiquette `tenant`."),
        "The meter is billed and not certified (MID): not for billing to third parties.": (
            "Le compteur est facturé sans être certifié (MID) : impropre à la facturation à des tiers."
        ),
        "The history cannot be written.": "L'historique ne peut pas être écrit.",
        "The clock of this machine is not synchronised.": "L'horloge de cette machine n'est pas synchronisée.",
        "Events and audit are kept on this machine only: no syslog server is set.": (
            "Événements et audit ne sont gardés que sur cette machine : aucun serveur syslog."
        ),
        "A file of the site says something that is probably not meant.": (
            "Un fichier du site dit une chose qui n'est sans doute pas voulue."
        ),
        "The console shows a certificate of its own making: browsers warn of it.": (
            "La console montre un certificat fait par elle-même : les navigateurs avertissent."
        ),
    }
)
