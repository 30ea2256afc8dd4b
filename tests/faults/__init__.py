"""What may die, dies, at the worst moment; and nothing is lost. Everything here is seen from outside.

`site` starts the real parts: the server as a process, Debian's sshd, a proxy that stands for the network, and a
desktop that is an account with a home of its own. `writer` is a command that knows what it wrote. `watcher` follows
the log over WebSockets that break. `history` records all that, and `validators` are the promises, as functions of it.
"""
