"""What a request asks for: numbers within their bounds, and the two ways of asking wrongly."""

from starlette.requests import Request


class BadRequest(Exception):
    """A parameter that is none; the message is for the client."""


class NotFound(Exception):
    """No such thing."""


def integer(request: Request, name: str, default: int, most: int) -> int:
    """Return a number of the query. Raises: BadRequest."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= most):
        raise BadRequest(f"{name}: expected a number from 0 to {most}")
    return int(text)
