"""Who a peer is by its certificate. Pure."""

# Characters of a name that is taken for a user's
_MOST = 64


def certificate_user(peercert: object) -> str:
    """
    Return the common name of a client certificate that the listener's `client_ca` has vouched for, "" without one.

    `peercert`: what `transport.get_extra_info("peercert")` says (ssl.SSLSocket.getpeercert).
    """
    subject = peercert.get("subject", ()) if isinstance(peercert, dict) else ()
    names = [value for part in subject for key, value in part if key == "commonName"]
    # two names are one too many to tell who it is
    return str(names[0])[:_MOST] if len(names) == 1 else ""
