"""bridge.field.modbus.planner"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.field.modbus.planner import Limits, ReadCost, Want, plan, plan_seconds
from bridge.modbus.timing import LineTiming

COST = ReadCost(LineTiming(9600, 10), turnaround_s=0.01)
wants = st.lists(
    st.builds(Want, index=st.integers(0, 999), address=st.integers(0, 400), count=st.sampled_from([1, 2, 4])),
    min_size=1,
    max_size=12,
)


@given(wants, st.integers(0, 60), st.integers(4, 125), st.integers(0, 400))
def test_every_want_is_read_once_whole_and_within_the_limits(ws: list[Want], gap: int, most: int, hole: int) -> None:
    limits = Limits(max_registers=most, max_gap=gap, forbidden=((hole, hole + 3),))
    wanted = {a for w in ws for a in range(w.address, w.address + w.count)}
    blocks = plan(ws, COST, limits)

    assert sorted((w.index, w.address) for b in blocks for w in b.wants) == sorted((w.index, w.address) for w in ws)
    for block in blocks:
        span = range(block.address, block.address + block.count)
        assert 1 <= block.count <= most
        assert all(w.address in span and w.address + w.count - 1 in span for w in block.wants)
        assert not [a for a in span if a not in wanted and hole <= a <= hole + 3]


@given(wants, st.integers(4, 40))
def test_no_other_split_in_address_order_is_cheaper(ws: list[Want], most: int) -> None:
    limits = Limits(max_registers=most)
    ordered = sorted(ws, key=lambda w: (w.address, w.count))
    best = plan_seconds(plan(ws, COST, limits), COST)
    for mask in range(1 << (len(ordered) - 1)):
        groups: list[list[Want]] = [[ordered[0]]]
        for n, want in enumerate(ordered[1:]):
            if mask >> n & 1:
                groups.append([want])
            else:
                groups[-1].append(want)
        spans = [max(w.address + w.count for w in g) - g[0].address for g in groups]
        if max(spans) <= most:
            assert best <= sum(COST.read_s(span) for span in spans) + 1e-9


def test_a_gap_is_read_through_up_to_the_break_even_of_the_line() -> None:
    def blocks(gap: int) -> int:
        return len(plan([Want(0, 0, 2), Want(1, 2 + gap, 2)], COST))

    assert [blocks(gap) for gap in (12, 13, 14)] == [1, 1, 2]


def test_a_noisy_line_gets_shorter_reads() -> None:
    ws = [Want(n, 2 * n, 2) for n in range(60)]

    assert len(plan(ws, COST)) == 1
    assert len(plan(ws, ReadCost(COST.timing, 0.01, byte_error=0.01))) > 2


def test_a_value_longer_than_the_device_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        plan([Want(0, 0, 4)], COST, Limits(max_registers=2))
