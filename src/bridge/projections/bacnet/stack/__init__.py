"""
Everything that knows bacpypes3.

The library loads rdflib where it finds it, for a view of objects as RDF: 18 MB and 0.1 s of a worker that shows none.
"""

import sys

_LOADED = "rdflib" in sys.modules
if not _LOADED:
    # None is what the import system documents for "cannot be found"; the type of the table does not know it
    sys.modules["rdflib"] = None  # type: ignore[assignment]
import bacpypes3  # noqa: E402, F401 - while rdflib cannot be found

if not _LOADED:
    del sys.modules["rdflib"]
