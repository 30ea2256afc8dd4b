"""Settings, filters, ids, times, permissions and limits: small rules that everything else rests on."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain import settings
from mission_control.domain.entities import Settings
from mission_control.domain.errors import REFUSALS
from mission_control.domain.events import EVENTS, SettingsUpdated
from mission_control.domain.filters import BULK_TYPES, Filter, types_of
from mission_control.domain.fold import State
from mission_control.domain.ids import ENTROPY_BYTES, make_id
from mission_control.domain.permissions import NEEDED, Permission, may
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.times import microseconds, rfc3339
from mission_control.domain.values import ROLES

from .things import folded

YEAR_9999_US = 253_402_300_799_999_999
times_us = st.integers(0, YEAR_9999_US)


def test_a_setting_that_is_not_named_stays():
    events = settings.edit(Settings(), SettingsEdit(task_approval_mode=True))
    assert events == [SettingsUpdated(task_approval_mode=True)]
    state: State = folded(events)
    assert state.settings == Settings(task_approval_mode=True)
    assert settings.edit(state.settings, SettingsEdit()) == []
    assert settings.edit(state.settings, SettingsEdit(task_approval_mode=True)) == []


@given(times_us, times_us)
def test_times_sort_as_text_and_come_back(one: int, other: int):
    assert microseconds(rfc3339(one)) == one
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


def test_a_time_is_written_in_one_way_only():
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(microseconds("0999-06-01T00:00:00Z")) == "0999-06-01T00:00:00.000000Z"


@pytest.mark.parametrize("time", ["", "now", "2026-03-01T12:00:00", "2026-03-01", "2026-13-01T00:00:00Z"])
def test_what_has_no_offset_or_is_no_time_is_not_guessed(time: str):
    with pytest.raises(ValueError, match=r".+"):
        microseconds(time)


ids = st.builds(make_id, st.just("task"), times_us, st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES))


@given(times_us, times_us, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_ids_sort_by_creation_and_differ_by_entropy(one: int, other: int, a: bytes, b: bytes):
    if one != other:
        assert (make_id("task", one, a) < make_id("task", other, b)) == (one < other)
    elif a != b:
        assert make_id("task", one, a) != make_id("task", other, b)


@given(ids)
def test_an_id_can_be_read_aloud_and_stands_in_a_url(id: str):
    assert len(id) == len("task_") + 25
    assert set(id.removeprefix("task_")) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_the_permission_table_is_a_ladder():
    allowed = {role: {permission for permission in NEEDED if may(role, permission)} for role in ROLES}
    assert set(get_args(Permission)) == set(NEEDED)
    assert allowed["viewer"] == {"read"}
    assert allowed["viewer"] < allowed["operator"] < allowed["admin"] == set(NEEDED)


def test_patterns_name_event_types():
    assert types_of(["task.completed"]) == {"task.completed"}
    assert types_of(["*"]) == set(EVENTS)
    assert types_of(["approval.*", "key.created"]) == {"approval.created", "approval.resolved", "key.created"}


@pytest.mark.parametrize("pattern", ["", "task", "task.", "tasks.*", "task.comp*", ".*", "**", "*.created"])
def test_a_pattern_that_means_nothing_is_refused_with_examples(pattern: str):
    with pytest.raises(ValueError, match="names no event type; examples are"):
        types_of([pattern])


def test_readers_that_want_no_output_get_it_only_by_its_name():
    assert types_of(["*"], bulk=False) == set(EVENTS) - BULK_TYPES
    assert types_of(["task.*", "task.output"], bulk=False) & BULK_TYPES == {"task.output"}


types = st.sampled_from(sorted(EVENTS))
names = st.sampled_from(["a", "b"]) | st.none()
filters = st.builds(Filter, types=st.frozensets(types) | st.none(), task_id=names, desktop_id=names)


@given(filters, types, names, names)
def test_everything_that_a_filter_names_must_hold(
    wanted: Filter, type: str, task_id: str | None, desktop_id: str | None
):
    assert wanted.matches(type, task_id, desktop_id) == (
        (wanted.types is None or type in wanted.types)
        and wanted.task_id in (None, task_id)
        and wanted.desktop_id in (None, desktop_id)
    )


@given(filters)
def test_a_filter_without_bulk_matches_none(wanted: Filter):
    if not wanted.wants_bulk:
        assert not any(wanted.matches(type, wanted.task_id, wanted.desktop_id) for type in BULK_TYPES)


def test_every_refusal_says_what_to_do_in_one_sentence_or_more():
    for code, refusal in REFUSALS.items():
        assert refusal.code == code
        assert code.replace("_", "").isalpha()
        assert code.islower()
        assert 400 <= refusal.status < 600
        assert refusal.sentence[0].isupper() or refusal.sentence.startswith("{")
        assert refusal.sentence.endswith((".", "}"))
