"""What schemathesis cannot know of a running server: which ids exist, and that a used Idempotency-Key is used."""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

import schemathesis

DESKTOP = os.environ["SCHEMATHESIS_DESKTOP"]
OWN_KEY = os.environ["SCHEMATHESIS_OWN_KEY"]
NAMED = "FOR_SCHEMATHESIS"  # a secret
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q"
counter = itertools.count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A valid request names a desktop that exists, and a key for once that is new; an invalid one stays as it is."""
    if case.method == "DELETE" and (case.path_parameters or {}).get("id") == OWN_KEY:
        case.path_parameters["id"] = "key_another"  # the key that all this is sent with is still needed
    if case.method == "DELETE" and (case.path_parameters or {}).get("name") == NAMED:
        case.path_parameters["name"] = "ANOTHER"  # and so is the secret that tasks name
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if re.fullmatch("[!-~]([ -~]{0,253}[!-~])?", str((case.headers or {}).get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = f"key-{next(counter)}"
    name_desktop(case.body)


def name_desktop(value: Any) -> None:
    """Put the desktop and the secret that exist in the place of every invented one, and a real key of an authority."""
    if isinstance(value, dict):
        if value.get("desktopId"):
            value["desktopId"] = DESKTOP
        if isinstance(value.get("desktopIds"), list):
            value["desktopIds"] = [DESKTOP] * min(1, len(value["desktopIds"]))
        if isinstance(value.get("publicKey"), str):
            value["publicKey"] = PUBLIC_KEY
        if isinstance(value.get("secrets"), list):
            value["secrets"] = [NAMED] * min(1, len(value["secrets"]))
        for inner in value.values():
            name_desktop(inner)
    elif isinstance(value, list):
        for inner in value:
            name_desktop(inner)
