"""Host and user names as they may reach SSH: as data, never as an option, a shell's word or something invisible."""

from __future__ import annotations

import re

HOST_REFUSED = r"""\x00-\x20\x7f-\xa0'`"$\\;&<>|(){}*?!,@/#\[\]\u2028\u2029\u202a-\u202e\u2066-\u2069"""
USER_REFUSED = r"""\x00-\x20\x7f-\xa0'`";&<>|(){}\u2028\u2029\u202a-\u202e\u2066-\u2069"""
"""Characters, as they stand in a class of a regular expression."""

HOST_CHARACTERS_REFUSED = re.compile(f"[{HOST_REFUSED}]")
USER_CHARACTERS_REFUSED = re.compile(f"[{USER_REFUSED}]")


def host_problem(host: str) -> str | None:
    """What is wrong with a host name, address or alias, as the end of a sentence; None when nothing is."""
    return _name_problem(host, HOST_CHARACTERS_REFUSED)


def username_problem(username: str) -> str | None:
    """What is wrong with a user name, as the end of a sentence; None when nothing is."""
    if username.endswith("\\"):
        return "ends with a backslash"
    return _name_problem(username, USER_CHARACTERS_REFUSED)


def _name_problem(name: str, refused: re.Pattern[str]) -> str | None:
    if not name:
        return "is empty"
    if len(name) > 255:
        return "is longer than 255 characters"
    if name.startswith("-"):
        return "begins with a dash"
    if found := refused.search(name):
        return f"contains {found.group()!r}"
    return None
