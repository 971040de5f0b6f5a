"""Numbers in memory: first fit, never moved, never reused, as the real ledger."""


class FreshNumbers:
    def __init__(self) -> None:
        self.taken: dict[str, dict[str, tuple[int, int]]] = {}

    def take(self, space: str, key: str, first: int = 1, size: int = 1, pin: int | None = None) -> int:
        mine = self.taken.setdefault(space, {})
        if key in mine and pin in (None, mine[key][0]):
            return mine[key][0]
        number = first if pin is None else pin
        for start, count in sorted(mine.values()):
            if number < start + count and start < number + size:
                if pin is not None:
                    raise ValueError(f"{pin} of {space} belongs to another key")
                number = start + count
        mine[key] = (number, size)
        return number
