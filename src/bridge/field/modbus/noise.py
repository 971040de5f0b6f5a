"""How noisy a line is, from what became of its exchanges. Pure."""

# Exchanges after which an old one weighs 1/e; some seconds of a busy 9600 baud line.
_MEMORY = 100.0
# Share of spoilt bytes below which a line counts as clean: one bad reply in ten of the longest (255 bytes).
NOISY = 0.0004
# Share of spoilt bytes: the planner is not asked for less; beyond it not even the shortest read gets through.
_MOST = 0.2
# The estimate moves the plan only by this factor: planning anew at every reply would cost more than it saves.
_STEP = 2.0


class NoiseMeter:
    """
    Estimate the share of bytes a line spoils. `level` is what plans are made with, and changes in steps.

    An exchange of n characters gets through with (1 - p)**n, so p = 1 - (share that got through)**(1/n).
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._through = 0.0
        self._chars = 0.0
        self.level = 0.0

    @property
    def estimate(self) -> float:
        """The share of bytes spoilt, 0 before anything went wrong."""
        # no failure at all, or only one long forgotten
        if self._weight - self._through < 0.05:
            return 0.0
        share = max(self._through / self._weight, 1e-6)
        survives: float = share ** (self._weight / self._chars)
        return min(1.0 - survives, _MOST)

    @property
    def noisy(self) -> bool:
        return self.level > 0.0

    def got_through(self, chars: int) -> None:
        """One exchange of `chars` characters, both ways, was good."""
        self._count(chars, 1.0)

    def spoilt(self, chars: int) -> None:
        """One exchange of `chars` characters, both ways, was not."""
        self._count(chars, 0.0)

    def _count(self, chars: int, through: float) -> None:
        keep = 1.0 - 1.0 / _MEMORY
        self._weight = self._weight * keep + 1.0
        self._through = self._through * keep + through
        self._chars = self._chars * keep + chars
        estimate = self.estimate
        # two failures at the very beginning are no rate yet
        if self._weight < 10.0 and estimate < _MOST / 2:
            return
        if estimate < NOISY / (_STEP if self.level else 1.0):
            self.level = 0.0
        elif not self.level or not self.level / _STEP < estimate < self.level * _STEP:
            self.level = estimate
