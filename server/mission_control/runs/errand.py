"""A short request that a desktop makes for us, such as a look at its agent: a run that nobody remembers."""

from __future__ import annotations

import secrets

from .frames import ChannelBroken, Kind
from .outpost_link import LinkLost, OutpostLink
from .protocol import End, Request, ResponseHead, RunState, Spec, cancel, forget, read_facts, start


class NoAnswer(Exception):
    """There was no answer; the message says why in a few words, and the code, where the outpost gave one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        self.code = code
        super().__init__(message)


async def ask_outpost(outpost: OutpostLink, request: Request) -> ResponseHead:
    """The head of the answer; its body is let go. Raises NoAnswer."""
    run = secrets.token_bytes(16)
    frames = outpost.follow(run)
    outpost.send(start(run, Spec(task="", request=request, remember=False)))
    try:
        while True:
            await frames.wait()
            frame = frames.take()
            assert frame is not None, "there is one after the wait"
            match frame.kind:
                case Kind.RESPONSE:
                    return read_facts(frame.payload, ResponseHead)
                case Kind.END:
                    error = read_facts(frame.payload, End).error
                    said = (error and (error.detail or error.error)) or "it closed the connection"
                    raise NoAnswer(said, error.error if error else None)
                case Kind.STATE:
                    state = read_facts(frame.payload, RunState)
                    if state.state in ("lost", "unknown", "refused"):
                        raise NoAnswer(state.detail or state.why or "the outpost could not ask")
                case _:
                    pass
    except (LinkLost, ChannelBroken) as error:
        raise NoAnswer("the connection to the desktop was lost") from error
    finally:
        outpost.unfollow(run)
        outpost.send(cancel(run, 0))
        outpost.send(forget(run))
