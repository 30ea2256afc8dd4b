"""What texts, lists and numbers of a request must look like, as the API's description says it.

They only describe: the rules beside each type check, and say in a sentence what is wrong. That both agree is tested by
sending what the description allows and what it forbids (tests/api/test_schemathesis.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from . import limits
from .addresses import HOST_REFUSED, USER_REFUSED


def _shape(**facts: Any) -> Meta:
    return Meta(extra_json_schema={name.removesuffix("_"): value for name, value in facts.items()})


PRINTABLE: Final = r"[^\p{C}\p{Z}\u00a0\u00ad]"  # two of them by name, for tools that know the classes only roughly
BLANK: Final = r"\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # as in a class
NAME_PATTERN: Final = rf"^ *{PRINTABLE}( |{PRINTABLE}|[\u200c\u200d])*$"
FINGERPRINT_PATTERN: Final = r"^SHA256:[A-Za-z0-9+/]{43}$"
PYTHON_PATTERN: Final = r"^[A-Za-z0-9_./+][A-Za-z0-9_./+-]*$"  # what means itself in every shell
_H = "[0-9A-Fa-f]{1,4}"
_IPV6 = rf"\[(?:(?:{_H}:){{7}}{_H}|(?:{_H}:){{1,3}}(?::{_H}){{1,4}}|(?:{_H}:){{1,7}}:|:(?:(?::{_H}){{1,7}}|:))\]"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
URL_PATTERN: Final = (
    rf"^https?://(?:{_IPV6}|[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,252}}[A-Za-z0-9.])?)(?::{_PORT})?"
    r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?$"
)
"""Plain base addresses only: no user, no query, no fragment, no character that two parsers read differently."""

Id = Annotated[str, _shape(minLength=1, maxLength=100)]
NAME = _shape(minLength=1, maxLength=limits.NAME_CHARACTERS_MAX, pattern=NAME_PATTERN)
Name = Annotated[str, NAME]
Label = Annotated[str, _shape(minLength=1, maxLength=limits.LABEL_CHARACTERS_MAX, pattern=NAME_PATTERN)]
LABELS = _shape(maxItems=limits.LABELS_MAX, uniqueItems=True)
Labels = Annotated[tuple[Label, ...], LABELS]

Content = Annotated[
    str,
    _shape(
        minLength=1,
        maxLength=limits.PROMPT_BYTES_MAX,
        pattern=rf"^[^\u0000]*[^\u0000{BLANK}][^\u0000]*$",
        description=f"UTF-8 without NUL: a command has up to {limits.COMMAND_BYTES_MAX} bytes, a prompt up to"
        f" {limits.PROMPT_BYTES_MAX}.",
    ),
]
Title = Annotated[str, _shape(maxLength=limits.TITLE_CHARACTERS_MAX)]
Feedback = Annotated[
    str, _shape(maxLength=limits.FEEDBACK_BYTES_MAX, description=f"Up to {limits.FEEDBACK_BYTES_MAX} bytes of UTF-8.")
]
TimeoutSeconds = Annotated[int, _shape(minimum=1, maximum=limits.TIMEOUT_SECONDS_MAX)]
Cwd = Annotated[str, _shape(minLength=1, maxLength=4096, pattern=r"^[^\u0000]+$")]
Env = Annotated[
    dict[str, str],
    _shape(
        maxProperties=limits.ENV_VARIABLES_MAX,
        propertyNames={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        additionalProperties={"type": "string", "pattern": r"^[^\u0000]*$"},
        description=f"Up to {limits.ENV_BYTES_MAX} bytes in all. Plain: whoever may read tasks reads it.",
    ),
]

VARIABLE_PATTERN: Final = "^[A-Z_][A-Z0-9_]*$"
SecretName = Annotated[str, _shape(minLength=1, maxLength=limits.NAME_CHARACTERS_MAX, pattern=VARIABLE_PATTERN)]
SecretNames = Annotated[
    tuple[SecretName, ...],
    _shape(
        maxItems=limits.TASK_SECRETS_MAX,
        uniqueItems=True,
        description="Names of secrets. The command gets their values as variables, and they never show in its output.",
    ),
]
SecretValue = Annotated[
    str,
    _shape(
        minLength=limits.SECRET_CHARACTERS_MIN,
        maxLength=limits.SECRET_BYTES_MAX,
        pattern=r"^[^\u0000]*$",
        writeOnly=True,
        description=f"Up to {limits.SECRET_BYTES_MAX} bytes of UTF-8 without NUL, and at least"
        f" {limits.SECRET_CHARACTERS_MIN} characters beside the white space around it.",
    ),
]

Host = Annotated[str, _shape(minLength=1, maxLength=255, pattern=rf"^[^-{HOST_REFUSED}][^{HOST_REFUSED}]*$")]
_USERNAME = rf"^(?:[^-\\{USER_REFUSED}]|[^-{USER_REFUSED}][^{USER_REFUSED}]*[^\\{USER_REFUSED}])$"
Username = Annotated[str, _shape(minLength=1, maxLength=255, pattern=_USERNAME)]
Port = Annotated[int, _shape(minimum=1, maximum=65535)]
Fingerprint = Annotated[str, _shape(pattern=FINGERPRINT_PATTERN)]
PUBLIC_KEY_PATTERN: Final = r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]{60,}={0,2}$"
PublicKey = Annotated[
    str,
    _shape(
        maxLength=limits.PUBLIC_KEY_CHARACTERS_MAX,
        pattern=PUBLIC_KEY_PATTERN,
        description="As in a .pub file, without its comment.",
    ),
]
HOST_PATTERN: Final = r"^!?(\[[A-Za-z0-9._:*?-]+\]:[0-9]{1,5}|[A-Za-z0-9._:*?-]+)$"
HostPatterns = Annotated[
    tuple[Annotated[str, _shape(maxLength=255, pattern=HOST_PATTERN)], ...],
    _shape(
        minItems=1,
        maxItems=limits.HOST_PATTERNS_MAX,
        description="As in known_hosts: `*` and `?` stand for any characters and for one, `!` excludes, and"
        " `[host]:port` is for that port only.",
    ),
]
RevokedKeys = Annotated[tuple[PublicKey, ...], _shape(maxItems=limits.REVOKED_KEYS_MAX)]
Url = Annotated[str, _shape(minLength=8, maxLength=limits.URL_CHARACTERS_MAX, pattern=URL_PATTERN)]
Secret = Annotated[str, _shape(maxLength=limits.SECRET_CHARACTERS_MAX, writeOnly=True)]
Model = Annotated[str, _shape(maxLength=limits.MODEL_CHARACTERS_MAX)]
ConcurrentTasks = Annotated[int, _shape(minimum=1, maximum=limits.CONCURRENT_TASKS_MAX)]
Python = Annotated[str, _shape(maxLength=limits.PATH_CHARACTERS_MAX, pattern=PYTHON_PATTERN)]
Directory = Annotated[
    str, _shape(minLength=1, maxLength=limits.PATH_CHARACTERS_MAX, pattern=rf"^(?:~?/)( |{PRINTABLE})*$")
]
