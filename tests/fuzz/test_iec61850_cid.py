"""
A mutated CID is served as a whole or refused as a whole, quickly, and never anything in between. BARS I1.

METERBRIDGE_FUZZ_FRAMES sets how many files (a tenth of it, default 1,000).
"""

import os
import random
import re
import time

import pytest

from bridge.projections.iec61850 import scl
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.sclxml import CidError
from tests.support.mms_site import facts_for, plan_of, site

FILES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "10000")) // 10
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + FILES // 5)]
SITE = site(1)
TEXT, FACTS = cid(plan_of(SITE), "1"), facts_for(SITE)
SEED = 20_261_120
# s for one file; the whole one takes 0.02
MOST_S = 2.0
# Bytes that stay: the root element.
_LEAST = 200
_VALUES = re.compile(rb'"([^"]*)"')
_WORDS = [
    b"",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"true",
    b"MMXU",
    b"Struct",
    b"\xc3\xa4" * 300,
    b"../x",
    b"&lt;",
    b"Enum",
]


def mutated(random_: random.Random) -> bytes:
    text = bytearray(TEXT)
    for _ in range(random_.choice((1, 1, 2, 5))):
        match random_.randrange(5):
            case 0:
                # another value of an attribute, from the file or from the list
                spots = list(_VALUES.finditer(bytes(text)))
                spot, other = random_.choice(spots), random_.choice(spots)
                text[spot.start(1) : spot.end(1)] = random_.choice([bytes(other[1]), random_.choice(_WORDS)])
            case 1:
                lines = bytes(text).split(b"\n")
                del lines[random_.randrange(len(lines))]
                text = bytearray(b"\n".join(lines))
            case 2:
                lines = bytes(text).split(b"\n")
                lines.insert(random_.randrange(len(lines)), random_.choice(lines))
                text = bytearray(b"\n".join(lines))
            case 3:
                text[random_.randrange(len(text))] = random_.randrange(256)
            case _:
                del text[random_.randrange(_LEAST, len(text) + 1) :]
    return bytes(text)


def test_a_mutated_file_is_taken_or_refused_as_a_whole() -> None:
    random_, taken, refused, longest = random.Random(SEED), 0, 0, 0.0
    for _ in range(FILES):
        text, begun = mutated(random_), time.perf_counter()
        try:
            model = scl.load(text, FACTS)
        except CidError as exc:
            refused += bool(exc.faults)
        else:
            assert {binding.point for binding in model.bindings} - {""} <= FACTS.points.keys()
            taken += 1
        longest = max(longest, time.perf_counter() - begun)

    assert longest < MOST_S
    assert taken > FILES // 100
    assert refused > FILES // 3
