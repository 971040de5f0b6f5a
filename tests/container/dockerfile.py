"""The part of the Dockerfile format that our Dockerfile uses, read into steps."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stage:
    """One `FROM`: its steps in order, and what the image says about running it."""

    base: str
    name: str
    # (instruction, words as written)
    steps: list[tuple[str, str]] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    user: str = "0:0"


def stages(text: str) -> list[Stage]:
    """Raises: ValueError for an instruction this reader does not know."""
    made: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, rest = line.split(None, 1)
        match word:
            case "ARG":
                name, _, default = rest.partition("=")
                arguments[name] = default
            case "FROM":
                base, _, name = rest.partition(" AS ")
                made.append(Stage(_filled(base, arguments), name))
            case "RUN" | "COPY" | "WORKDIR" | "ENV":
                made[-1].steps.append((word, rest))
            case "USER":
                made[-1].user = rest
            case "VOLUME":
                made[-1].volumes = json.loads(rest)
            case "ENTRYPOINT":
                made[-1].entrypoint = json.loads(rest)
            case "CMD" | "HEALTHCHECK" | "STOPSIGNAL":
                pass
            case _:
                raise ValueError(f"{word} is not read here")
    return made


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda m: arguments[m[1]], text)
