"""XML on its way in: size limit, no entities, no network, and a list that collects every fault with its line."""

from dataclasses import dataclass
from typing import Final, cast

from lxml import etree

NS: Final = "{http://www.iec.ch/61850/2003/SCL}"
# Bytes. 100 meters with 29 objects take 1.1 MB.
SIZE_LIMIT: Final = 64 << 20
# Faults kept; a wrong template can repeat itself over every node.
FAULT_LIMIT: Final = 200

Element = etree._Element


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class CidError(Exception):
    """The CID file is refused as a whole; `faults` are all its faults, in line order."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))


class Faults:
    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, element: Element, message: str) -> None:
        if len(self._found) < FAULT_LIMIT:
            self._found.append(Fault(line_of(element), message))

    def raise_if_any(self) -> None:
        """Raises: CidError."""
        if self._found:
            raise CidError(self._found)

    def text(self, element: Element, name: str, default: str | None = None) -> str:
        """Return an attribute; a missing one without default is a fault."""
        value = element.get(name, default)
        if value is None:
            self.add(element, f"{local(element)} lacks {name}")
            return ""
        return value

    def number(self, element: Element, name: str, default: int | None, low: int, high: int) -> int:
        """Return an integer attribute in the range; anything else is a fault."""
        value = self.text(element, name, None if default is None else str(default))
        if not (value.isascii() and value.lstrip("-").isdigit() and len(value) < 12 and low <= int(value) <= high):
            self.add(element, f"{local(element)} {name}: expected {low} to {high}, got {value!r}")
            return low
        return int(value)

    def flag(self, element: Element | None, name: str, default: bool = False) -> bool:
        """Return an xs:boolean attribute."""
        value = None if element is None else element.get(name)
        if element is None or value is None:
            return default
        if value not in ("true", "false", "1", "0"):
            self.add(element, f"{local(element)} {name}: expected true or false, got {value!r}")
        return value in ("true", "1")


def line_of(element: Element) -> int:
    """Return the 1-based line where the element starts."""
    line = cast(int | None, element.sourceline)
    return line or 0


def local(element: Element) -> str:
    """Return the name without its namespace."""
    return etree.QName(element).localname


def children(element: Element, *names: str) -> list[Element]:
    """Return the SCL children of these names, in document order."""
    tags = {NS + name for name in names}
    return [child for child in element if child.tag in tags]


def add(parent: Element, tag: str, **attributes: str) -> Element:
    """Append an SCL element."""
    return etree.SubElement(parent, NS + tag, attributes)


def read(data: bytes) -> Element:
    """Parse a file. Raises: CidError for a size, a document type, bad XML or a root that is not SCL 2007 B."""
    if len(data) > SIZE_LIMIT:
        raise CidError([Fault(0, f"larger than {SIZE_LIMIT} bytes")])
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise CidError([Fault(error.lineno or 0, f"not well-formed XML: {error.msg}")]) from error
    # the stubs of lxml give a root that may have no tree; that of `fromstring` has one
    if cast(str, root.getroottree().docinfo.doctype):  # type: ignore[union-attr]
        raise CidError([Fault(1, "a document type is not accepted")])
    if root.tag != NS + "SCL":
        raise CidError([Fault(line_of(root), f"expected the root SCL, got {root.tag}")])
    found = (root.get("version"), root.get("revision"))
    if found != ("2007", "B"):
        raise CidError([Fault(line_of(root), f"expected SCL 2007 B, got {found[0]} {found[1]}")])
    return root
