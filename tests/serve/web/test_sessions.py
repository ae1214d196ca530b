"""Sessions, tokens, and how often sign-in may fail."""

from __future__ import annotations

from helpers.page import cheap_hash
from helpers.stored_passages import Clock

from edge_lpr.serve.settings import TokenSettings
from edge_lpr.serve.web.sessions import Attempts, Sessions, Tokens


def test_a_session_ends_with_its_time_its_password_and_by_signing_out() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    one = sessions.sign_in("hash", hours=1)
    assert Sessions.may_be_id(one)
    assert sessions.is_signed_in(one, "hash")
    assert not sessions.is_signed_in(one[:-1] + "?", "hash")
    clock.now += 3599
    assert sessions.is_signed_in(one, "hash")
    clock.now += 2
    assert not sessions.is_signed_in(one, "hash")
    two = sessions.sign_in("hash", hours=1)
    assert not sessions.is_signed_in(two, "another hash"), "the password was changed"
    assert not sessions.is_signed_in(two, "hash"), "and changing it back opens nothing"
    three = sessions.sign_in("hash", hours=1)
    sessions.sign_out(three)
    sessions.sign_out(three)
    assert not sessions.is_signed_in(three, "hash")


def test_sessions_are_bounded() -> None:
    sessions = Sessions()
    ids = [sessions.sign_in("hash", 1) for _ in range(1001)]
    assert not sessions.is_signed_in(ids[0], "hash")
    assert sessions.is_signed_in(ids[1], "hash")


def test_a_form_belongs_to_its_browser() -> None:
    sessions = Sessions()
    one, two = sessions.new_id(), sessions.new_id()
    assert sessions.is_csrf_token(one, sessions.csrf_token(one))
    assert not sessions.is_csrf_token(two, sessions.csrf_token(one))
    assert not sessions.is_csrf_token(one, "")
    assert not sessions.is_csrf_token(one, "é")
    assert not Sessions().is_csrf_token(one, sessions.csrf_token(one)), "of another process"


def test_tries_are_counted_by_address_and_overall() -> None:
    clock = Clock()
    attempts = Attempts(per_address=2, overall=4, seconds=60, clock=clock)
    assert [attempts.begin("10.0.0.1") for _ in range(2)] == [0, 0]
    clock.now += 10
    assert attempts.begin("10.0.0.1") == 50
    assert attempts.begin("10.0.0.2") == 0
    assert attempts.begin("2001:db8::1") == 0
    assert attempts.begin("10.0.0.3") == 50, "four have failed overall"
    clock.now += 51
    assert attempts.begin("10.0.0.1") == 0


def test_a_household_of_ipv6_is_one_address() -> None:
    attempts = Attempts(per_address=1)
    assert attempts.begin("2001:db8::1") == 0
    assert attempts.begin("2001:db8::ffff:1") > 0
    assert attempts.begin("2001:db8:0:1::1") == 0
    assert attempts.begin("::ffff:10.0.0.1") == 0
    assert attempts.begin("10.0.0.1") > 0


def test_what_succeeds_is_not_counted() -> None:
    attempts = Attempts(per_address=1)
    for _ in range(3):
        assert attempts.begin("10.0.0.1") == 0
        attempts.succeeded("10.0.0.1")
    assert attempts.begin("10.0.0.1") == 0
    assert attempts.begin("10.0.0.1") > 0


def test_a_token_is_known_again_until_it_is_taken_away() -> None:
    hashed = cheap_hash("a token 1234")
    known = [TokenSettings(name="gate", hash=hashed), TokenSettings(name="other", hash=hashed[:-4] + "AAA=")]
    tokens = Tokens()
    assert tokens.recall("a token 1234", known) is None
    assert tokens.find("another token", known) is None
    found = tokens.find("a token 1234", known)
    assert found is not None and found.name == "gate"
    assert tokens.recall("a token 1234", known) == found
    assert tokens.recall("a token 1234", known[1:]) is None
