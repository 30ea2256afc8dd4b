"""The life of a desktop: what people ask for, what connections report, and where secrets may go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mission_control.domain import desktops
from mission_control.domain.desktops import DesktopEdit, KeyAuth, NewAgent, NewDesktop, NewSsh, PasswordAuth, SshEdit
from mission_control.domain.entities import Desktop, LinkState
from mission_control.domain.errors import Refused
from mission_control.domain.events import Event, decode_event
from mission_control.domain.fold import State
from mission_control.domain.values import Error

from .things import (
    FINGERPRINT,
    HOST_KEY,
    OTHER_FINGERPRINT,
    OTHER_HOST_KEY,
    at,
    desktop_that_is,
    folded,
    task_that_is,
)

GONE = Error(code="unreachable", message="The host does not answer.")
TOKEN_AGENT = NewAgent(kind="openai", url="http://127.0.0.1:18789/v1", token="t", via="ssh")


def after(desktop: Desktop, events: list[Event]) -> Desktop:
    return folded(events, State(desktops={desktop.id: desktop})).desktops[desktop.id]


def started(desktop: Desktop) -> list[Event]:
    return desktops.started(desktop, at=at(5), ip_address=None, reached=desktops.Reached())


def test_a_desktop_waits_for_a_person_to_confirm_one_of_the_keys_that_it_showed():
    desktop = desktop_that_is("pending")
    assert desktop.ssh.host_key is None
    assert started(desktop) == [], "nothing is connected before"
    confirmed = after(desktop, desktops.edit(desktop, DesktopEdit(ssh=SshEdit(host_key_fingerprint=FINGERPRINT))))
    assert (confirmed.status, confirmed.ssh.host_key) == ("booting", HOST_KEY.public_key)
    assert after(confirmed, started(confirmed)).status == "running"


def test_a_fingerprint_that_the_host_does_not_offer_is_refused():
    new = NewSsh(host="h", auth=desktops.AgentAuth(), host_key_fingerprint="SHA256:" + "C" * 43)
    with pytest.raises(Refused, match="not one that the host offers"):
        desktops.create(NewDesktop(name="d", ssh=new), id="d", at=at(0), offered=[HOST_KEY])


def test_a_fingerprint_given_for_a_host_that_is_away_is_compared_when_it_shows_its_keys():
    new = NewSsh(host="h", auth=desktops.AgentAuth(), host_key_fingerprint=FINGERPRINT)
    desktop = folded(desktops.create(NewDesktop(name="d", ssh=new), id="desk_1", at=at(0), offered=[])).desktops[
        "desk_1"
    ]
    assert (desktop.status, desktop.ssh.host_key) == ("booting", None)
    with pytest.raises(Refused):
        desktops.offer(desktop, [OTHER_HOST_KEY])
    assert after(desktop, desktops.offer(desktop, [OTHER_HOST_KEY, HOST_KEY])).ssh.host_key == HOST_KEY.public_key


def test_a_new_address_forgets_the_confirmed_key_and_may_name_the_new_one():
    desktop = desktop_that_is("running")
    moved = after(desktop, desktops.edit(desktop, DesktopEdit(ssh=SshEdit(host="elsewhere"))))
    assert (moved.status, moved.ssh.host_key, moved.ssh.host_key_fingerprint) == ("pending", None, None)
    assert (desktop.link, moved.link) == ("up", "down"), "nothing is connected there yet"
    edit = DesktopEdit(ssh=SshEdit(host="elsewhere", host_key_fingerprint=OTHER_FINGERPRINT))
    moved = after(desktop, desktops.edit(desktop, edit))
    assert (moved.status, moved.ssh.host_key) == ("booting", None)
    assert after(moved, desktops.offer(moved, [OTHER_HOST_KEY])).ssh.host_key == OTHER_HOST_KEY.public_key


@pytest.mark.parametrize("auth", [KeyAuth(private_key="k"), PasswordAuth(password="p")])
@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"port": 2222}])
def test_a_stored_secret_never_goes_to_another_address(auth: desktops.AnyAuth, change: dict[str, Any]):
    desktop = desktop_that_is("running", auth=auth)
    with pytest.raises(Refused) as refused:
        desktops.edit(desktop, DesktopEdit(ssh=SshEdit(**change)))
    assert (refused.value.code, refused.value.errors[0].pointer) == ("secret_needed", "/ssh/auth")
    assert desktops.edit(desktop, DesktopEdit(ssh=SshEdit(**change, auth=auth)))


@pytest.mark.parametrize(
    "edit",
    [
        DesktopEdit(agent=NewAgent(kind="openai", url="http://elsewhere:18789/v1", via="ssh")),
        DesktopEdit(agent=NewAgent(kind="openai", url="http://127.0.0.1:18789/v1", via="direct")),
        DesktopEdit(ssh=SshEdit(host="elsewhere")),
    ],
    ids=["other URL", "same URL seen from the server", "same URL on another host"],
)
def test_a_stored_token_never_goes_to_another_agent(edit: DesktopEdit):
    with pytest.raises(Refused) as refused:
        desktops.edit(desktop_that_is("running", agent=TOKEN_AGENT), edit)
    assert (refused.value.code, refused.value.errors[0].pointer) == ("secret_needed", "/agent/token")


def test_an_edit_of_the_agent_keeps_its_token_where_it_is_reached_as_before():
    desktop = desktop_that_is("running", agent=TOKEN_AGENT)
    edit = DesktopEdit(agent=NewAgent(kind="openai", url="http://127.0.0.1:18789/v1", model="m", via="ssh"))
    changed = after(desktop, desktops.edit(desktop, edit))
    assert changed.agent is not None
    assert (changed.agent.has_token, changed.agent.model, changed.status) == (True, "m", "running")


def test_a_new_token_alone_is_a_change_that_everybody_sees():
    desktop = desktop_that_is("running", agent=TOKEN_AGENT)
    desktop = after(desktop, desktops.agent_ready(desktop, True))
    changed = after(desktop, desktops.edit(desktop, DesktopEdit(agent=TOKEN_AGENT)))
    assert (changed.version, changed.agent_ready) == (desktop.version + 1, False)


def test_an_edit_that_changes_nothing_is_no_event():
    desktop = desktop_that_is("running")
    edit = DesktopEdit(name=desktop.name, labels=(), ssh=SshEdit(host=desktop.ssh.host))
    assert desktops.edit(desktop, edit) == []


def test_a_new_name_does_not_connect_anew():
    desktop = desktop_that_is("running")
    renamed = after(desktop, desktops.edit(desktop, DesktopEdit(name="Other")))
    assert (renamed.status, renamed.link) == ("running", "up")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:1",
        "ftp://h/v1",
        "http://",
        "http://u:p@h/",
        "http://h/?q=1",
        "http://h/#f",
        "http://[::1",
        "file:///etc",
    ],
)
def test_what_is_no_agent_address_is_refused_on_creation_and_on_edit(url: str):
    agent = NewAgent(kind="openai", url=url)
    ssh = NewSsh(host="h", auth=desktops.AgentAuth())
    assert [error.pointer for error in desktops.problems_of(NewDesktop(name="d", ssh=ssh, agent=agent))] == [
        "/agent/url"
    ]
    with pytest.raises(Refused) as refused:
        desktops.edit(desktop_that_is("running"), DesktopEdit(agent=agent))
    assert refused.value.errors[0].pointer == "/agent/url"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "-oProxyCommand=id"),
        ("host", ""),
        ("host", "a b"),
        ("host", "a\nb"),
        ("host", "a\0"),
        ("host", "h" * 256),
        ("username", "-l"),
        ("username", ""),
        ("username", "a\u202eb"),
        ("port", 0),
        ("port", 65536),
        ("host_key_fingerprint", "MD5:aa"),
    ],
)
def test_an_address_that_could_be_read_as_an_option_or_is_none_is_refused(field: str, value: object):
    pointer = "/ssh/" + msgspec.structs.fields(NewSsh)[NewSsh.__struct_fields__.index(field)].encode_name
    given: dict[str, Any] = {"host": "h", "auth": desktops.AgentAuth()} | {field: value}
    ssh = NewSsh(**given)
    assert [error.pointer for error in desktops.problems_of(NewDesktop(name="d", ssh=ssh))] == [pointer]


def test_a_desktop_is_not_removed_while_something_runs_on_it():
    with pytest.raises(Refused, match="1 running"):
        desktops.remove(desktop_that_is("running"), [task_that_is("running")], at=at(9))


def test_removing_a_desktop_cancels_what_waits_and_leaves_what_is_reviewed():
    events = desktops.remove(desktop_that_is("running"), [task_that_is("pending")], at=at(9))
    assert [event.TYPE for event in events] == ["task.cancelled", "desktop.removed"]
    events = desktops.remove(desktop_that_is("running"), [task_that_is("review")], at=at(9))
    assert [event.TYPE for event in events] == ["desktop.removed"]


def test_a_stopped_desktop_stays_so_whatever_its_connection_does():
    desktop = desktop_that_is("stopped")
    assert started(desktop) == []
    assert after(desktop, desktops.failed(desktop, GONE, next_try_at=None)).status == "stopped"


class DesktopLife(RuleBasedStateMachine):
    """People and connections do everything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.state = State()

    @property
    def desktop(self) -> Desktop:
        return self.state.desktops["desk_1"]

    def take(self, events: list[Event]) -> None:
        removed, version = self.desktop.removed_at, self.desktop.version
        assert not (removed and events), "a removed desktop does not change"
        self.events += events
        folded(events, self.state)
        assert self.desktop.version == version + len(events)

    def ask(self, command: Any) -> None:
        before = self.desktop
        try:
            events = command(before)
        except Refused as error:
            refused = error.code
        else:
            self.take(events)
            return
        assert before.removed_at or refused == "validation_failed"
        assert self.desktop is before

    @initialize(confirmed=st.booleans(), offered=st.booleans())
    def somebody_adds_it(self, confirmed: bool, offered: bool) -> None:
        ssh = NewSsh(host="h", auth=desktops.AgentAuth(), host_key_fingerprint=FINGERPRINT if confirmed else None)
        self.events = desktops.create(
            NewDesktop(name="d", ssh=ssh), id="desk_1", at=at(0), offered=[HOST_KEY] if offered else []
        )
        folded(self.events, self.state)

    @rule(command=st.sampled_from([desktops.start, desktops.stop, desktops.restart]))
    def somebody_switches_it(self, command: Any) -> None:
        self.ask(command)

    @rule(host=st.sampled_from(["h", "other"]), name=st.sampled_from(["d", "e"]))
    def somebody_edits_it(self, host: str, name: str) -> None:
        self.ask(lambda desktop: desktops.edit(desktop, DesktopEdit(name=name, ssh=SshEdit(host=host))))

    @rule()
    def somebody_confirms_its_key(self) -> None:
        self.ask(lambda desktop: desktops.edit(desktop, DesktopEdit(ssh=SshEdit(host_key_fingerprint=FINGERPRINT))))

    @rule()
    def somebody_removes_it(self) -> None:
        self.ask(lambda desktop: desktops.remove(desktop, [], at=at(9)))

    @rule()
    def it_shows_its_keys(self) -> None:
        self.ask(lambda desktop: desktops.offer(desktop, [HOST_KEY]))

    @rule()
    def it_comes_up(self) -> None:
        self.take(started(self.desktop))

    @rule()
    def it_fails(self) -> None:
        self.take(desktops.failed(self.desktop, GONE, next_try_at=None))

    @rule(link=st.sampled_from(["up", "reconnecting", "down"]))
    def its_link_changes(self, link: LinkState) -> None:
        self.take(desktops.link_changed(self.desktop, link, at=at(6)))

    @rule(ready=st.booleans())
    def its_agent_changes(self, ready: bool) -> None:
        self.take(desktops.agent_ready(self.desktop, ready))

    @invariant()
    def replay_gives_the_same(self) -> None:
        wire = [decode_event(event.TYPE, msgspec.json.encode(event)) for event in self.events]
        assert folded(wire) == self.state

    @invariant()
    def it_is_pending_until_a_key_is_named_and_never_runs_without(self) -> None:
        desktop = self.desktop
        if desktop.status in ("booting", "running", "error"):
            assert desktop.ssh.host_key_fingerprint
        if desktop.status == "pending":
            assert desktop.ssh.host_key_fingerprint is None

    @invariant()
    def an_error_says_why(self) -> None:
        assert self.desktop.status != "error" or self.desktop.error is not None


TestDesktopLife = DesktopLife.TestCase
