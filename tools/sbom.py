"""
`python tools/sbom.py LOCK OUT`: a CycloneDX 1.5 list of what a lock file installs, with the native code inside wheels.

Versions and hashes come from the lock; licences and shared libraries from the installed packages of this environment;
code linked statically into an extension module is asked of the module itself, as far as it tells.
"""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str"

# name==version and its hashes in a lock file
_PIN = re.compile(r"^([a-z0-9_.-]+)==(\S+)(.*?)(?=^[a-z]|\Z)", re.MULTILINE | re.DOTALL)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# a shared library carried along, not an extension module: `x.libs/libfoo-1a2b3c4d.so.1.2`
_LIBRARY = re.compile(r"(?:\.libs/|/)lib([A-Za-z0-9_+]+?)(?:-[0-9a-f]{8})?\.so(?:\.([\d.]+))?$")


def _openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text().split()[1]


def _lxml(name: str) -> str:
    from lxml import etree

    return ".".join(str(number) for number in getattr(etree, name))


def _yaml() -> str:
    from yaml import _yaml as binding

    return str(binding.get_version_string())


def _libuv() -> str:
    from uvloop import loop

    number = int(vars(loop)["libuv_get_version"]())
    return f"{number >> 16}.{number >> 8 & 255}.{number & 255}"


# Linked into extension modules, without a file of its own: package, library, licence, how to ask its version.
# Found in the packages' build files.
_STATIC: tuple[tuple[str, str, str, Callable[[], str] | None], ...] = (
    ("argon2-cffi-bindings", "argon2", "CC0-1.0 OR Apache-2.0", None),
    ("cffi", "libffi", "MIT", None),
    ("cryptography", "openssl", "Apache-2.0", _openssl),
    ("lxml", "libxml2", "MIT", lambda: _lxml("LIBXML_VERSION")),
    ("lxml", "libxslt", "MIT", lambda: _lxml("LIBXSLT_VERSION")),
    ("pyyaml", "libyaml", "MIT", _yaml),
    ("uvloop", "libuv", "MIT", _libuv),
)
# What a package says in words, as an SPDX expression; a package that says nothing is listed by its name.
_SPDX = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "ISC License": "ISC",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "GPLv3": "GPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Lesser General Public License v3 or later": "LGPL-3.0-or-later",
    "pysnmp": "BSD-2-Clause",
    "markdown-it-py": "MIT",
}


def licence(name: str) -> str:
    """SPDX expression of an installed package, "" when it states none that we know."""
    said = importlib.metadata.metadata(name)
    if "License-Expression" in said:
        return said["License-Expression"]
    words = [c.rsplit("::", 1)[-1].strip() for c in said.get_all("Classifier") or [] if c.startswith("License ::")]
    first = (said.get_all("License") or [""])[0].strip().splitlines()[:1]
    for word in (*first, *words, name):
        known = _SPDX.get(word, word if re.fullmatch(r"[A-Za-z]+-[\d.]+(-\w+)?|MIT|ISC", word) else "")
        if known:
            return known
    return ""


def pins(lock: str) -> list[tuple[str, str, list[str]]]:
    """Name, version and SHA-256 hashes of every package of a lock file."""
    return [(m[1], m[2], _HASH.findall(m[3])) for m in _PIN.finditer(lock)]


def component(name: str, version: str, spdx: str, inside: Iterable[Json] = ()) -> dict[str, Json]:
    made: dict[str, Json] = {"type": "library", "name": name}
    if version:
        made["version"] = version
    if spdx:
        made["licenses"] = [{"expression": spdx}]
    if parts := list(inside):
        made["components"] = parts
    return made


def natives(name: str) -> list[Json]:
    """Libraries inside the installed wheel: files carried along, then code linked into its modules."""
    found: list[Json] = [
        component(f"lib{library[1]}", library[2] or "", "") | {"description": str(file)}
        for file in importlib.metadata.files(name) or []
        if (library := _LIBRARY.search(str(file)))
    ]
    for package, library_name, spdx, ask in _STATIC:
        if package == name:
            found.append(component(library_name, ask() if ask else "", spdx) | {"description": "linked statically"})
    return found


def document(lock: str) -> dict[str, Json]:
    components: list[Json] = []
    for name, version, hashes in pins(lock):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # a marker keeps it off this platform
            installed = ""
        if installed not in ("", version):
            raise SystemExit(f"{name}: the lock says {version}, installed is {installed}")
        part = component(name, version, licence(name) if installed else "", natives(name) if installed else ())
        part["purl"] = part["bom-ref"] = f"pkg:pypi/{name}@{version}"
        part["externalReferences"] = [
            {
                "type": "distribution",
                "url": f"pkg:pypi/{name}@{version}",
                "hashes": [{"alg": "SHA-256", "content": content} for content in hashes],
            }
        ]
        components.append(part)
    ours = component("meterbridge", importlib.metadata.version("meterbridge"), "Apache-2.0")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"component": ours | {"type": "application"}},
        "components": components,
    }


def main() -> None:
    lock, out = Path(sys.argv[1]), Path(sys.argv[2])
    made = document(lock.read_text())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(made, indent=1) + "\n")
    print(f"{out}: {len(pins(lock.read_text()))} packages")


if __name__ == "__main__":
    main()
