"""bridge.core.secret: a canary that must not be seen"""

import copy
import io
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from bridge.core.secret import Secret

CANARY = "canary-7Q2x"
SECRET = Secret(CANARY)


def test_no_way_of_showing_shows_it() -> None:
    # BARS S6
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET:>30}", f"{SECRET!r}"]
    shown += [repr([SECRET]), repr({"password": SECRET}), repr(vars(type(SECRET)))]

    assert CANARY not in "".join(shown)


def test_no_encoder_takes_it() -> None:
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            encode({"password": SECRET})

        assert CANARY not in str(caught.value)


def test_a_traceback_with_it_in_a_frame_does_not_show_it() -> None:
    def login(password: Secret) -> None:
        raise ValueError(f"cannot log in with {password}")

    with pytest.raises(ValueError, match="cannot") as caught:
        login(SECRET)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())

    assert CANARY not in text.replace(f"CANARY = '{CANARY}'", "")


def test_a_log_does_not_show_it() -> None:
    stream = io.StringIO()
    logger = logging.getLogger("tests.secret")
    logger.addHandler(logging.StreamHandler(stream))
    logger.error("password=%s %r", SECRET, {"password": SECRET})

    assert "***" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_it_compares_by_value_and_is_no_key() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    with pytest.raises(TypeError):
        hash(SECRET)
