"""Every limit of the domain and the log, with its unit and its reason. Relations are asserted below."""

from __future__ import annotations

COMMAND_BYTES_MAX = 120_000  # one argument of a process may not exceed 128 KiB on Linux
PROMPT_BYTES_MAX = 512 * 1024
BODY_BYTES_MAX = 1024 * 1024  # of one request
BATCH_BODY_BYTES_MAX = 8 * 1024 * 1024
BATCH_TASKS_MAX = 1000
TITLE_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 100
LABELS_MAX = 20
LABEL_CHARACTERS_MAX = 60
FEEDBACK_BYTES_MAX = 64 * 1024
ENV_VARIABLES_MAX = 100
ENV_BYTES_MAX = 32 * 1024
SECRETS_MAX = 500  # named ones, in all
TASK_SECRETS_MAX = 20  # of them that one task is given
SECRET_BYTES_MAX = 32 * 1024  # of one value
SECRET_CHARACTERS_MIN = 6  # a shorter one is found everywhere: masking it would damage output and tell what it is
TIMEOUT_SECONDS_MAX = 30 * 24 * 3600
RESULT_BYTES_MAX = 256 * 1024  # of an agent's final text kept on the task; the whole text is in its progress
PATH_CHARACTERS_MAX = 1000  # of an interpreter or a directory on a desktop
URL_CHARACTERS_MAX = 2000
MODEL_CHARACTERS_MAX = 200
SECRET_CHARACTERS_MAX = 32 * 1024  # of a private key, a password or a token
PUBLIC_KEY_CHARACTERS_MAX = 4000  # of a line as in a .pub file
REVOKED_KEYS_MAX = 100  # host keys and authorities that a desktop must not show
KNOWN_HOSTS_MAX = 200  # for the whole fleet; each change of one looks at every desktop
HOST_PATTERNS_MAX = 50  # of one of them
JUMPS_MAX = 4  # hosts on the way to a desktop
CONCURRENT_TASKS_DEFAULT = 4
CONCURRENT_TASKS_MAX = 1000
WAITING_TASKS_MAX = 10_000  # queued on one desktop; beyond that run is refused

LIST_LIMIT_DEFAULT = 100
LIST_LIMIT_MAX = 1000
OVERVIEW_HOURS_MAX = 7 * 24

EVENTS_READ_MAX = 1000  # events of one read of the log: a read holds no transaction over a wait
EVENTS_READ_BYTES_MAX = 1024 * 1024
RING_BYTES_MAX = 32 * 1024 * 1024  # newest events in memory, shared by all readers
RUN_WAITING_BYTES_MAX = 1024 * 1024  # output of one run that waits for the writer; then its reader waits
RUN_WAITING_BYTES_SHARED = 256 * 1024  # the same while other runs are under way: what a quiet line has to wait for
TRANSACTION_BYTES_MAX = 512 * 1024  # output of several runs in one transaction; a quiet line waits for about twice this
REMOVED_BYTES_MAX = 1024 * 1024  # of output cleared in one transaction; state that comes meanwhile waits for that
CHECKPOINT_BYTES = 4 * 1024 * 1024  # counted between two checkpoints: small steps, between transactions
OUTPUT_FREE_BYTES_MIN = 256 * 1024 * 1024  # below this free disk, output waits on the desktops
STATE_FREE_BYTES_MIN = 16 * 1024 * 1024  # below this free disk, every change is refused

assert BODY_BYTES_MAX > PROMPT_BYTES_MAX + FEEDBACK_BYTES_MAX + ENV_BYTES_MAX, "the largest task fits in a body"
assert 4 * EVENTS_READ_BYTES_MAX <= RING_BYTES_MAX, "a reader at the head finds its events in memory"
assert RUN_WAITING_BYTES_SHARED < TRANSACTION_BYTES_MAX, "a quiet line finds room beside a flood"
assert STATE_FREE_BYTES_MIN < OUTPUT_FREE_BYTES_MIN, "ends and cancels still work when output no longer does"
