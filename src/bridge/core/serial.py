"""What a user may set of a serial port that a server has for itself, the same keys for every protocol."""

import enum

import msgspec


class Framing(enum.Enum):
    """Data bits, parity and stop bits of a serial port."""

    N81 = "8N1"
    E81 = "8E1"
    O81 = "8O1"
    N82 = "8N2"

    @property
    def bits_per_char(self) -> int:
        """Start bit, eight data bits, parity, stop bits."""
        return 9 + (self.value[1] != "N") + int(self.value[2])


class Baud(enum.Enum):
    """Speeds of a serial port, bit/s."""

    B1200 = 1200
    B2400 = 2400
    B4800 = 4800
    B9600 = 9600
    B19200 = 19200
    B38400 = 38400
    B57600 = 57600
    B115200 = 115200


class Serial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A serial port of a server's own; the lines of the meters belong to the core and are set in site.yaml."""

    port: str
    baud: Baud = Baud.B9600
    framing: Framing = Framing.N81
