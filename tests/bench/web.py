"""`python -m tests.bench web`: ten browsers live on the tower, and a first visit: the console's own CPU and memory."""

import asyncio
import statistics
import tempfile

from tests.bench.table import Table
from tests.support.web_load import first_page, loaded, tower

# s before the measurement, and of it; long enough that memory would be seen to grow
WARM_S, MEASURED_S = 8.0, 40.0
VISITS = 15


async def _measured() -> list[tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        async with tower(folder) as web:
            visits = [await first_page(web) for _ in range(VISITS)]
            idle = await loaded(web, 0, 2.0, 10.0)
            ten = await loaded(web, 10, WARM_S, MEASURED_S)
    size, middle = visits[0][0], statistics.median(took for _, took in visits)
    worst = max(took for _, took in visits)
    return [
        ("nobody looks, 7,000 values change a second", f"{100 * idle.cpu:.1f} % of a core", ""),
        ("10 browsers live", f"{100 * ten.cpu:.1f} % of a core", "15 %"),
        (f"memory grown in {MEASURED_S:.0f} s of it", f"{ten.grown / 2**20:.1f} MB", "flat"),
        ("messages to a browser", f"{ten.messages / 7 / MEASURED_S:.2f} a second", ""),
        ("first visit, everything", f"{size / 1000:.0f} kB", "300 kB"),
        (f"first visit, middle (worst) of {VISITS}", f"{middle:.2f} s ({worst:.2f} s)", "1 s"),
    ]


def run() -> Table:
    """Return the table."""
    note = (
        "A site of 100 meters and 8,000 points in its real worker, every measurement changing once a second. Of ten "
        "browsers five look at a meter (80 values by server-sent events), two at a page of 200 points, three at the "
        "overview, which is asked for anew every 2 s. CPU and memory are those of the console's process alone; the "
        "first line is what it costs to keep its replica. A first visit is a TLS handshake, the overview, style, "
        "script and icon."
    )
    return Table("Console: ten browsers on the tower", ("what", "figure", "bar"), asyncio.run(_measured()), note)
