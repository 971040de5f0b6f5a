"""Which reference types a Browse request means by the one it names."""

from asyncua.common.utils import Buffer
from asyncua.server.address_space import ViewService
from asyncua.ua.ua_binary import nodeid_from_binary

# Types told apart; a client uses a handful.
_MOST = 200


class Subtypes:
    """The hierarchy of reference types, asked of the library once per type."""

    def __init__(self, view: ViewService) -> None:
        self._view = view
        self._known: dict[tuple[bytes, bool], frozenset[int] | None] = {}

    def __call__(self, key: bytes, deep: bool) -> frozenset[int] | None:
        """Return the numeric ids of an encoded reference type and, if `deep`, its subtypes; None = every type."""
        if (key, deep) in self._known:
            return self._known[key, deep]
        node_id = nodeid_from_binary(Buffer(key))
        found = None
        if not node_id.is_null():
            below = self._view._get_sub_ref(node_id) if deep else ()
            # a client may name a type by a text, a GUID or bytes: no reference type has such a name here
            found = frozenset(
                one.Identifier
                for one in (node_id, *below)
                if one.NamespaceIndex == 0 and isinstance(one.Identifier, int)
            )
        if len(self._known) < _MOST:
            self._known[key, deep] = found
        return found
