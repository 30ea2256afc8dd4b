"""API keys: who may still come in, and that an admin always can."""

from __future__ import annotations

import pytest

from mission_control.domain import keys
from mission_control.domain.errors import Refused
from mission_control.domain.events import KeyCreated
from mission_control.domain.keys import NewKey

from .things import at, key


def create(**given: object) -> KeyCreated:
    new = NewKey(**({"name": "ci"} | given))  # pyright: ignore[reportArgumentType]
    (event,) = keys.create(new, id="key_1", secret="mc_k_abcdWXYZ", at=at(0))
    assert isinstance(event, KeyCreated)
    return event


def test_a_key_shows_only_its_last_four_characters():
    event = create()
    assert event.last4 == "WXYZ"
    assert "abcd" not in repr(event)


def test_a_key_text_is_recognisable_and_carries_all_its_entropy():
    assert keys.key_text(bytes(32)) == "mc_k_" + "A" * 43
    assert keys.key_text(b"\xff" * 32) != keys.key_text(b"\xff" * 31 + b"\xfe")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_a_key_needs_a_name_that_can_be_shown(name: str):
    with pytest.raises(Refused) as refused:
        create(name=name)
    assert refused.value.errors[0].pointer == "/name"


@pytest.mark.parametrize(
    "time", ["soon", "2027-01-01", "2027-01-01T00:00:00", "0999-01-01T00:00:00Z", "2026-02-28T00:00:00Z", at(0), ""]
)
def test_an_end_that_is_no_time_or_has_passed_is_refused(time: str):
    with pytest.raises(Refused) as refused:
        create(expires_at=time)
    assert refused.value.errors[0].pointer == "/expiresAt"


def test_a_key_opens_until_its_end_whatever_time_zone_it_was_given_in():
    assert create(expires_at="2026-03-01T14:00:05+02:00").expires_at == at(5)
    expiring = key(expires_at=at(5))
    assert keys.is_valid(expiring, at(4))
    assert not keys.is_valid(expiring, at(5))


def test_a_revoked_key_opens_nothing_and_cannot_be_revoked_again():
    revoked = key(revoked=True)
    assert not keys.is_valid(revoked, at(2))
    with pytest.raises(Refused, match="There is no key"):
        keys.revoke(revoked, revoked.id, [], at=at(3), by_owner=True)


@pytest.mark.parametrize(
    "others",
    [[], [key("key_2", "operator")], [key("key_2", expires_at=at(1))], [key("key_2", revoked=True)]],
    ids=["no other", "an operator", "an expired admin", "a revoked admin"],
)
def test_the_last_admin_key_ends_only_at_the_hands_of_the_owner(others: list[keys.Key]):
    last = key("key_1")
    with pytest.raises(Refused) as refused:
        keys.revoke(last, last.id, [last, *others], at=at(2), by_owner=False)
    assert refused.value.code == "last_admin_key"
    assert keys.revoke(last, last.id, [last, *others], at=at(2), by_owner=True)


def test_an_admin_key_can_be_revoked_while_another_admin_can_come_in():
    last, other = key("key_1"), key("key_2")
    assert keys.revoke(last, last.id, [last, other], at=at(2), by_owner=False)
