"""Refusals: stable codes, the HTTP status they answer with, and a sentence that says what to do.

The code is a promise to scripts; the sentence may improve. One table serves API, command line, docs and tests.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """A kind of refusal. `sentence` is a format string over the facts given to `Refused`."""

    code: str
    status: int
    sentence: str


class FieldError(NamedTuple):
    """What is wrong with one field; `pointer` is a JSON pointer (RFC 6901) into the body.

    `message` goes on with a sentence that the field's name begins ("is longer than 200 characters"), or is one of its
    own that begins with "there is".
    """

    pointer: str
    message: str


class Refused(Exception):
    """A command that cannot be carried out. Nothing has changed."""

    def __init__(self, refusal: Refusal, *, errors: tuple[FieldError, ...] = (), **facts: object) -> None:
        self.refusal = refusal
        self.errors = errors
        self.facts = facts
        super().__init__(refusal.sentence.format(**facts))

    @property
    def code(self) -> str:
        return self.refusal.code

    @property
    def detail(self) -> str:
        return str(self)


REFUSALS: dict[str, Refusal] = {}


def _refusal(code: str, status: int, sentence: str) -> Refusal:
    REFUSALS[code] = refusal = Refusal(code, status, sentence)
    return refusal


VALIDATION_FAILED = _refusal("validation_failed", 422, "The request is not valid: {reason}")
MALFORMED_BODY = _refusal("malformed_body", 400, "The body is not valid JSON: {reason}")
UNSUPPORTED_MEDIA_TYPE = _refusal(
    "unsupported_media_type", 415, "Send the body as application/json; this one is {given}."
)
PAYLOAD_TOO_LARGE = _refusal("payload_too_large", 413, "The body is larger than {limit} bytes. Send less at once.")
UNAUTHORIZED = _refusal(
    "unauthorized",
    401,
    "Sign in, or send a valid key in the x-api-key header. Make one with `mission-control keys create`.",
)
LINK_INVALID = _refusal(
    "link_invalid",
    401,
    "This sign-in link was used, or is older than ten minutes. Make another: `mission-control open`.",
)
FORBIDDEN = _refusal("forbidden", 403, "This needs the role {needed}; you have the role {role}.")
KEY_RESTRICTED = _refusal(
    "key_restricted", 403, "Your key is restricted to desktops with certain labels; this concerns all of them."
)
LOCAL_ONLY = _refusal("local_only", 403, "Only the administration socket on the server's own machine can do this.")
ORIGIN_REFUSED = _refusal("origin_refused", 403, "The request comes from another site: its Origin does not match.")
HOST_REFUSED = _refusal(
    "host_refused",
    400,
    "The Host {host} is not one of this server's names. Add it with --allowed-host if it should be.",
)
NOT_FOUND = _refusal("not_found", 404, "There is no {kind} {id}.")
METHOD_NOT_ALLOWED = _refusal("method_not_allowed", 405, "{method} is not possible here. Possible: {allowed}.")
UPGRADE_REQUIRED = _refusal("upgrade_required", 426, "Open this address as a WebSocket.")
RATE_LIMITED = _refusal("rate_limited", 429, "Too many requests. Try again in {seconds} s.")
TOO_MANY_STREAMS = _refusal(
    "too_many_streams", 429, "This key holds {count} streams open already. Close some, or try again in {seconds} s."
)
REQUEST_TIMEOUT = _refusal(
    "request_timeout", 408, "The body did not arrive within {seconds} s. Send it faster, or less at once."
)
VERSION_MISMATCH = _refusal(
    "version_mismatch", 412, "It was changed meanwhile: version {version} is current. Read it again, then edit."
)
IDEMPOTENCY_KEY_REUSED = _refusal(
    "idempotency_key_reused", 422, "This Idempotency-Key was used with another body. Use a new key for a new request."
)
IDEMPOTENCY_IN_PROGRESS = _refusal(
    "idempotency_in_progress", 409, "A request with this Idempotency-Key is still being carried out. Try again shortly."
)
LOG_UNAVAILABLE = _refusal("log_unavailable", 503, "The event log is not available: {reason}")
SHUTTING_DOWN = _refusal("shutting_down", 503, "The server is stopping. Try again when it is back.")
NOT_READY = _refusal("not_ready", 503, "The server is up, but tasks do not run: the runner is not alive. See its log.")
INTERNAL_ERROR = _refusal(
    "internal_error", 500, "Something went wrong in the server. Its log says what, under the request {request}."
)

TASK_NOT_PENDING = _refusal(
    "task_not_pending", 409, "Task {id} is {status}; only a pending task can be run or edited. Retry it instead."
)
TASK_NOT_IN_REVIEW = _refusal(
    "task_not_in_review", 409, "Task {id} is {status}; only a task in review can be approved or rejected."
)
TASK_NOT_CANCELLABLE = _refusal(
    "task_not_cancellable", 409, "Task {id} is {status}; only a pending or running task can be cancelled."
)
TASK_NOT_FINISHED = _refusal("task_not_finished", 409, "Task {id} is {status}; wait for its end or cancel it first.")
DESKTOP_NOT_RUNNING = _refusal(
    "desktop_not_running", 409, "Desktop {name} is {status}. Start it, or choose a running desktop."
)
DESKTOP_REMOVED = _refusal("desktop_removed", 409, "Desktop {name} was removed. Choose another desktop.")
DESKTOP_HAS_RUNNING_TASKS = _refusal(
    "desktop_has_running_tasks", 409, "Desktop {name} has {count} running tasks. Cancel them or wait for their end."
)
DESKTOP_IS_JUMP = _refusal(
    "desktop_is_jump", 409, "The way to {others} leads through desktop {name}. Give those another way first."
)
DESKTOP_QUEUE_FULL = _refusal(
    "desktop_queue_full",
    429,
    "{count} tasks wait for desktop {name} already. Try again in {seconds} s, or choose another desktop.",
)
AGENT_NOT_READY = _refusal(
    "agent_not_ready", 409, "The agent of desktop {name} is not ready. Check its endpoint on the desktop's page."
)
AGENT_NOT_CONFIGURED = _refusal(
    "agent_not_configured", 409, "Desktop {name} has no agent endpoint. Add one on the desktop's page."
)
SECRET_NEEDED = _refusal(
    "secret_needed",
    422,
    "A changed {what} needs its secret again, so that a stored secret never goes to another place.",
)
SECRET_EXISTS = _refusal(
    "secret_exists", 409, "There is a secret {name} already. Replace its value, or choose another name."
)
SECRETS_FULL = _refusal("secrets_full", 409, "There are {count} secrets, and no more can be kept. Remove some.")
KNOWN_HOST_EXISTS = _refusal("known_host_exists", 409, "That is so already, as {id} says.")
KNOWN_HOSTS_FULL = _refusal("known_hosts_full", 409, "There are {count} known hosts, and no more can be kept.")
SEAL_KEY_GIVEN = _refusal(
    "seal_key_given",
    409,
    "The seal key comes from the environment. To change it, start the server with the new one as {variable} and the"
    " present one as {old}.",
)
SEAL_KEY_UNUSABLE = _refusal("seal_key_unusable", 503, "The seal key is not changed yet: {reason} Then try again.")
LAST_ADMIN_KEY = _refusal(
    "last_admin_key",
    409,
    "This is the last admin key. Make another one first, or revoke it on the server's own machine.",
)
BAD_PATTERN = _refusal("bad_pattern", 422, "This is not a regular expression: {reason}.")
PATTERN_TOO_SLOW = _refusal(
    "pattern_too_slow",
    422,
    "This regular expression takes too long on this output. Write it without nested repetition, such as (a+)+.",
)


def invalid(pointer: str, message: str) -> Refused:
    """The refusal of a single field."""
    return Refused(VALIDATION_FAILED, errors=(FieldError(pointer, message),), reason=f"{pointer or '/'}: {message}")


def invalid_fields(errors: list[FieldError]) -> Refused:
    """The refusal of several fields at once."""
    reason = "; ".join(f"{error.pointer or '/'}: {error.message}" for error in errors)
    return Refused(VALIDATION_FAILED, errors=tuple(errors), reason=reason)
