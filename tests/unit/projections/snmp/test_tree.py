"""Rows, views and encodings."""

import random

import pytest

from bridge.projections.snmp.ber import (
    BerError,
    Oid,
    Syntax,
    Value,
    decode_oid,
    decode_value,
    encode_oid,
    encode_value,
    read_integer,
    tlv,
)
from bridge.projections.snmp.oidtree import Instance, Instances, ObjectType, Table, Tree
from bridge.projections.snmp.views import Community, Grant, Inclusion, Subtree, View, Window

BASE: Oid = (1, 3, 6, 1, 4, 1, 5)


def column(arc: int, syntax: Syntax = Syntax.INTEGER32) -> ObjectType:
    return ObjectType((*BASE, arc), syntax, lambda handle: handle)


def test_rows_stand_in_the_order_of_their_oids_whatever_their_encoding() -> None:
    dice = random.Random(1)
    suffixes = {tuple(dice.choice((1, 127, 128, 16383, 16384, 2**32 - 1)) for _ in range(2)) for _ in range(200)}
    instances = [Instance(suffix, handle) for handle, suffix in enumerate(sorted(suffixes, key=repr))]
    tree = Tree([Table([column(200), column(3)], Instances(instances))])

    oids = [decode_oid(tree.name(row)[2:]) for row in range(tree.size)]

    assert oids == sorted(oids)
    for _ in range(500):
        wanted = (
            *BASE,
            dice.choice((2, 3, 200, 201)),
            *(dice.choice((0, 1, 130, 16384)) for _ in range(dice.randrange(4))),
        )
        after = sum(oid <= wanted for oid in oids)
        assert tree.after(tlv(6, encode_oid(wanted))) == after
        low, high = tree.below(wanted)
        assert [oid for oid in oids if oid[: len(wanted)] == wanted] == oids[low:high]


def test_objects_below_one_another_and_instances_twice_are_refused() -> None:
    below = ObjectType((*BASE, 1, 2), Syntax.INTEGER32, lambda _: 1)
    with pytest.raises(ValueError, match="below"):
        Tree([Table([column(1)]), Table([below])])
    with pytest.raises(ValueError, match="twice"):
        Table([column(1)], Instances([Instance((1,), 1), Instance((1,), 2)]))


def test_absent_instances_are_asked_once_not_at_every_request() -> None:
    asked: list[int] = []

    def read(handle: int) -> int | None:
        asked.append(handle)
        return None if handle < 5000 else handle

    table = Table([ObjectType(BASE, Syntax.INTEGER32, read)], Instances([Instance((row,), row) for row in range(5001)]))
    tree = Tree([table])
    mask = bytes(b"\1" * tree.size)

    for _ in range(3):
        assert tree.following(mask, 0) == 5000
        assert tree.run(mask, 0, 50)[1] == 5000
    assert len(asked) == 5001
    tree.changed(table, 7)
    assert tree.following(mask, 0) == 5000
    assert len(asked) == 5002


def test_the_longest_subtree_of_a_view_decides() -> None:
    tree = Tree([Table([column(arc) for arc in (1, 2, 3)], Instances([Instance((row,), row) for row in (1, 2)]))])
    view = View(
        (
            Subtree((*BASE, 2, 1)),
            Subtree((*BASE, 2), Inclusion.EXCLUDED),
            Subtree(BASE),
            Subtree((*BASE, 3, 2), Inclusion.EXCLUDED),
        )
    )

    assert list(view.mask(tree)) == [1, 1, 1, 0, 1, 0]


def test_without_a_view_nothing_is_seen_or_set() -> None:
    tree = Tree([Table([column(1)])])
    window = Window(tree, Grant(View(())))

    assert (window.read, window.write, window.read_v1) == (b"\0",) * 3


def test_a_community_is_kept_to_its_networks() -> None:
    import ipaddress

    community = Community(b"public", Grant(View(())), "reader", (ipaddress.ip_network("192.0.2.0/24"),))

    assert community.admits("192.0.2.7")
    assert not community.admits("127.0.0.1")
    assert not community.admits("::1")


@pytest.mark.parametrize(
    ("syntax", "value", "octets"),
    [
        (Syntax.INTEGER32, 0, "020100"),
        (Syntax.INTEGER32, 127, "02017f"),
        (Syntax.INTEGER32, 128, "02020080"),
        (Syntax.INTEGER32, -128, "020180"),
        (Syntax.INTEGER32, -129, "0202ff7f"),
        (Syntax.INTEGER32, 2**31, "02047fffffff"),
        (Syntax.INTEGER32, -(2**40), "020480000000"),
        (Syntax.GAUGE32, 2**32, "420500ffffffff"),
        (Syntax.GAUGE32, -1, "420100"),
        (Syntax.COUNTER32, 2**32 + 1, "410101"),
        (Syntax.TIME_TICKS, 2**31, "43050080000000"),
        (Syntax.COUNTER64, 2**64 - 1, "460900ffffffffffffffff"),
        (Syntax.OCTET_STRING, b"", "0400"),
        (Syntax.OCTET_STRING, b"a" * 128, "048180" + "61" * 128),
        (Syntax.OBJECT_ID, (2, 999, 3), "0603883703"),
        (Syntax.OBJECT_ID, (0, 0), "060100"),
    ],
)
def test_values_are_encoded_in_the_fewest_bytes(syntax: Syntax, value: Value, octets: str) -> None:
    assert encode_value(syntax, value).hex() == octets


@pytest.mark.parametrize(
    ("syntax", "value"), [(Syntax.INTEGER32, b""), (Syntax.OCTET_STRING, 1), (Syntax.OBJECT_ID, b"")]
)
def test_a_value_of_another_type_is_refused(syntax: Syntax, value: Value) -> None:
    with pytest.raises(TypeError):
        encode_value(syntax, value)


def test_oids_and_values_come_back() -> None:
    dice = random.Random(2)
    for _ in range(2000):
        oid = (
            dice.randrange(3),
            dice.randrange(40),
            *(dice.randrange(2 ** dice.randint(1, 32)) for _ in range(9)),
        )
        assert decode_oid(encode_oid(oid)) == oid
        value = dice.randrange(-(2**31), 2**31)
        encoded = encode_value(Syntax.INTEGER32, value)
        assert read_integer(encoded, 0, len(encoded))[0] == value
        assert decode_value(Syntax.INTEGER32, encoded[2:]) == value


@pytest.mark.parametrize("octets", ["2b8080808010", "2b9080808000", "2b8f", "8001", ""])
def test_oids_out_of_range_are_refused(octets: str) -> None:
    with pytest.raises(BerError):
        decode_oid(bytes.fromhex(octets))
