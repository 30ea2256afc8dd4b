"""The one door for changes: decide in memory, append, await the commit, answer.

The state that decisions need lives in memory and changes only on the event loop, between two awaits. So rules across
several things need no locks: whoever decides first is first in the log.
"""
