"""The outpost: keeps the commands and prompts of one account alive on a desktop, and their output safe.

One file, standard library only, Python 3.6 or newer, Linux and macOS. The server sends it over SSH; nothing is
installed and nothing listens on the network. All of its processes are forks of the first:

  relay       what the SSH session runs. Finds or starts the daemon, hands it the session's stdin and stdout, and
              sleeps: no byte passes through it.
  daemon      one for each account, machine and server. Starts supervisors, sends their journals, deletes what the
              server has committed. Holds nothing that is not also in files, so it may die at any instruction.
  supervisor  one for each run. Parent (and subreaper) of the command, only reader of its pipes, only writer of its
              journal. Needs neither the daemon nor the network. One is forked ahead, the spare, and waits for a run.

A journal is a sequence of records in segment files. A record *is* a frame as it goes over the wire: it is encoded
once, by the supervisor, and the daemon only sends ranges of files. The last record is the end of the run.

Invariants
  1. A byte leaves a pipe only into the journal, in the order in which it was read.
  2. A record is deleted only after the server said that its log has committed everything in it.
  3. A run is alive exactly while its supervisor holds the lock on `super`. No stored pid is ever signalled: only
     descendants of a living supervisor are, and what carries a killed run's mark in its environment.

docs/outpost.md describes the frames and the files.
"""

import errno
import fcntl
import json
import marshal
import os
import select
import signal
import socket
import stat
import struct
import sys
import time
import zlib

PROTOCOL = 1

# Kinds of frames. From the server:
START, ATTACH, ACK, CANCEL, FORGET, BEAT, REMOVE, LEAVE = 1, 2, 3, 4, 5, 6, 7, 8
# To the server; the last three are also the records of a journal:
HELLO, STATE, METRICS, OUTPUT, RESPONSE, END = 16, 17, 18, 32, 33, 34
STDOUT, STDERR, BODY = 1, 2, 3

# kind, stream, payload bytes, run, position in the run, offset in the stream, ms since the run began,
# CRC-32 of the stream before and after the payload; then the CRC-32 of all that. So one pass over the payload
# checks the frame and carries the sum of the whole stream.
HEAD = struct.Struct(">BB2xI16sQQQII")
CHECK = struct.Struct(">I")
HEAD_BYTES = HEAD.size + CHECK.size
NO_RUN = bytes(16)

RECORD_BYTES_MAX = 256 << 10  # payload of one record: what a control frame may have to wait for
FRAME_BYTES_MAX = 16 << 20  # of a frame from the server: the largest prompt with its history, escaped as JSON twice
SEGMENT_BYTES = 4 << 20
QUOTA_BYTES = 64 << 20  # journal of one run that is not committed yet; beyond it the command waits
ORDER_BYTES_MAX = 64 << 10  # to the spare; what is larger is a fork's to inherit
SPAN_BYTES = 64 << 10  # neighbouring records are handled together up to this
TURN_BYTES = 128 << 10  # what one run sends before the next one has its turn
WINDOW_BYTES_MAX = 8 << 20  # sent and not committed, for each run
WINDOW_BYTES_MIN = 128 << 10
HELD_BYTES_MAX = 64 << 10  # fewer than these a server may hold back until more comes: they may begin a secret
CHANNEL_BYTES_MAX = 32 << 20  # the same over all runs; each may always have one span under way behind what is held
LAG_S_MAX = 0.25  # in buffers, from sending to the commit; the window shrinks when it takes longer
LAG_FORGOTTEN_S = 0.001  # by so much the shortest lag that was seen grows with each commit: the way may have changed
LOG_BYTES_MAX = 256 << 10

BEAT_S = 3.0
SILENCE_S_MAX = 20.0  # of the server; then its channel is closed, and only that
METRICS_S = 5.0
IDLE_S = 600.0  # without a server and without a run; then the daemon leaves
TICK_S = 1.0
SPARE_AFTER_S = 0.008  # without anything to do; then a supervisor is forked ahead
DISK_FULL_RETRY_S = 0.25
TERM_GRACE_S = 5.0
KILL_AGAIN_S = 0.05
KILL_S_MAX = 10.0  # of killing; what is alive then cannot be killed by us
HUNT_S, HUNT_AGAIN_S = 2.0, 0.1  # for what a killed supervisor had started
DRAIN_TOLD_S = 0.25  # of draining are worth telling
DRAIN_S = 2.0  # for which children may hold the output open after the command has ended
REMEMBER_S = 30 * 86400.0  # how long the end of a forgotten run is known
FLOOD_PIPE_BYTES = 256 << 10
LINUX = sys.platform.startswith("linux")


def frame(kind, run=NO_RUN, payload=b"", stream=0, position=0, offset=0, ms=0, before=0):
    head = HEAD.pack(kind, stream, len(payload), run, position, offset, ms, before, zlib.crc32(payload, before))
    return head + CHECK.pack(zlib.crc32(head)) + payload


def as_json(facts):
    """Strict JSON, also of names that are not UTF-8: halves of surrogate pairs become `?`."""
    return json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")


def note(kind, run=NO_RUN, **facts):
    return frame(kind, run, as_json(facts))


def head_of(data, at=0):
    """The fields of a head, or None when it is damaged."""
    if CHECK.unpack_from(data, at + HEAD.size)[0] != zlib.crc32(data[at : at + HEAD.size]):
        return None
    return HEAD.unpack_from(data, at)


# --- the system -------------------------------------------------------------------------------------------------------


def read(path):
    """All of a file, in half the system calls of open(): whole process lists are read with it."""
    fd, data = os.open(path, os.O_RDONLY), b""
    try:
        while True:
            more = os.read(fd, 65536)
            if not more:
                return data
            data += more
    finally:
        os.close(fd)


def is_hex(name, length):
    return len(name) == length and set(name) <= set("0123456789abcdef")


def write_all(fd, data):
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def said_by(*command):
    """What a program of the system prints, or nothing."""
    import subprocess

    try:
        null = subprocess.DEVNULL
        return subprocess.check_output(command, stdin=null, stderr=null, timeout=5).decode("utf-8", "replace").strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def boot_id():
    """Differs after each boot; in containers, which keep the host's, also after each start of their first process."""
    try:
        boot = read("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return said_by("sysctl", "-n", "kern.bootsessionuuid") or "unknown"
    try:
        return "%s-%s" % (boot, start_time(1))
    except OSError:
        return boot  # /proc hides the processes of others


def machine_id():
    """Names this machine, so that a home on several of them holds a directory for each."""
    import hashlib

    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            found = read(path).decode().strip()
        except OSError:
            continue
        if found:
            break
    else:
        lines = said_by("ioreg", "-rd1", "-c", "IOPlatformExpertDevice").splitlines()
        uuids = [line.split('"')[-2] for line in lines if "UUID" in line]
        found = uuids[0] if uuids else os.uname().nodename
    return hashlib.sha256(b"mission-control " + found.encode()).hexdigest()[:16]


def start_time(pid):
    """When a process began, in ticks since boot: with the pid it names one process."""
    return read("/proc/%d/stat" % pid).rpartition(b") ")[2].split()[19].decode()


def processes():
    """(pid, parent, start) of every process that is not a zombie."""
    if LINUX:
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    rest = read("/proc/%s/stat" % name).rpartition(b") ")[2].split()
                except OSError:
                    continue
                if rest[0] not in (b"Z", b"X"):
                    yield int(name), int(rest[1]), rest[19].decode()
    else:
        for line in said_by("ps", "-A", "-o", "pid=,ppid=,stat=,lstart=").splitlines():
            words = line.split(None, 3)
            if not words[2].startswith("Z"):
                yield int(words[0]), int(words[1]), words[3]


def descendants(root):
    """Living descendants of a process as (pid, start)."""
    children = {}
    for pid, parent, start in processes():
        children.setdefault(parent, []).append((pid, start))
    found, todo = [], [root]
    while todo:
        for pid, start in children.get(todo.pop(), ()):
            found.append((pid, start))
            todo.append(pid)
    return found


def marked(mark):
    """Living processes of ours with this `NAME=value` in the environment they began with, as (pid, start)."""
    found = []
    for pid, _, start in processes() if LINUX else ():
        try:
            if pid != os.getpid() and mark in read("/proc/%d/environ" % pid).split(b"\0"):
                found.append((pid, start))
        except OSError:
            pass  # it has ended, or belongs to somebody else
    return found


def send_signal(found, number):
    """Signal exactly these processes; the pids that we may not."""
    refused = []
    for pid, start in found:
        try:
            handle = os.pidfd_open(pid)
        except (AttributeError, OSError):
            handle = None  # an older Python or kernel, a container that forbids it, or it has ended
        try:
            if LINUX and start_time(pid) != start:
                continue  # another process by now
            if handle is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(handle, number)
        except PermissionError:
            refused.append(pid)
        except OSError:
            pass  # it has ended
        finally:
            if handle is not None:
                os.close(handle)
    return refused


def described(found):
    """What people need to find a process that was left: pid, user, command."""
    import pwd

    told = []
    for pid, _ in found:
        try:
            user = pwd.getpwuid(os.stat("/proc/%d" % pid).st_uid).pw_name
            command = read("/proc/%d/cmdline" % pid).replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except (OSError, KeyError):
            user, _, command = said_by("ps", "-o", "user=,command=", "-p", str(pid)).partition(" ")
        if command:
            told.append({"pid": pid, "user": user, "command": command.strip()[:200]})
    return told


def become_subreaper():
    """Let orphaned grandchildren come to us instead of to init. Linux only; says whether it worked."""
    try:
        import ctypes

        return LINUX and ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
    except (ImportError, OSError, AttributeError):
        return False


def close_all_but(*kept):
    for name in os.listdir("/proc/self/fd" if LINUX else "/dev/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed them


def unread(fd):
    """Bytes that wait in a pipe."""
    import termios

    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


def wake_on_child():
    """A descriptor that becomes readable when a child has ended."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(theirs, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(theirs)
    return ours


def is_disk_full(error):
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


# --- the supervisor ---------------------------------------------------------------------------------------------------


class Journal:
    """Records of one run, appended to segment files that are named by their place in the journal."""

    def __init__(self, folder, run, segment_bytes):
        import hashlib

        self.folder, self.run, self.segment_bytes = folder, run, segment_bytes
        self.size = 0  # bytes of all records
        self.position = 0  # raw bytes of the run
        self.segment, self.segment_start = None, 0
        self.sums = {stream: [0, 0, hashlib.sha256()] for stream in (STDOUT, STDERR, BODY)}  # bytes, CRC-32, SHA-256

    def append(self, kind, stream, payload, ms):
        """Whole or not at all: False while the disk is full."""
        total, crc, sha = self.sums.get(stream) or (0, 0, None)
        before = crc if kind == OUTPUT else 0
        record = frame(kind, self.run, payload, stream, self.position, total, ms, before)
        at = self.size - self.segment_start
        try:
            if self.segment is None or at >= self.segment_bytes:
                self.next_segment()
                at = 0
            write_all(self.segment, record)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self.take_back(at)
            return False
        self.size += len(record)
        if kind == OUTPUT:
            sha.update(payload)
            self.sums[stream] = [total + len(payload), zlib.crc32(payload, crc), sha]
            self.position += len(payload)
        return True

    def next_segment(self):
        path = "%s/%016x.seg" % (self.folder, self.size)
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if self.segment is not None:
            os.close(self.segment)
        self.segment, self.segment_start = opened, self.size

    def take_back(self, at):
        """Cut off a record that found no room, and go on in a new segment: then this one can be given back."""
        if self.segment is not None:
            os.ftruncate(self.segment, at)
            os.lseek(self.segment, at, os.SEEK_SET)
        if at:
            try:
                self.next_segment()
            except OSError:
                pass  # not even room for a name; at the next try, perhaps

    def sums_as_facts(self):
        return {
            str(stream): {"bytes": total, "crc": crc, "sha256": sha.hexdigest()}
            for stream, (total, crc, sha) in self.sums.items()
        }


class Supervisor:
    """Runs one command or request, from before its start to its end in the journal."""

    def __init__(self, bell):
        self.bell = bell  # the daemon, while there is one
        self.committed = 0  # journal bytes that the server has
        self.unwritten = None  # a record for which the disk has no room
        self.poll = select.poll()
        self.streams = {}  # descriptor -> stream, while open
        self.control, self.said = None, b""  # lines of the child about itself
        self.child = self.error = None
        self.is_reading = False
        self.status = self.ended_at = None
        self.must_read = 0  # bytes that the command itself had written when it ended
        self.stop_why = self.kill_at = self.give_up_at = None
        self.refused = []
        self.look_at = 0.0
        self.timeout_at = None
        os.setsid()
        self.is_subreaper = become_subreaper()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # at a shutdown the command gets its own; we write down its end
        self.wake = wake_on_child()
        self.door = socket.socket(socket.AF_UNIX)
        self.identity = {"pid": os.getpid(), "start": start_time(os.getpid()) if LINUX else ""}

    def main(self, order, lock):
        self.folder, run, self.spec, self.account, self.environment, boot = order
        self.lock = lock
        self.quota = self.spec["quota"]
        self.journal = Journal(self.folder, run, self.spec["segment"])
        self.door.bind(self.folder + "/s")
        self.door.listen(4)
        self.door.setblocking(False)
        os.pwrite(self.lock, as_json(dict(self.identity, boot=boot)), 0)
        self.bell.setblocking(False)
        for fd in (self.wake, self.door.fileno(), self.bell.fileno()):
            self.poll.register(fd, select.POLLIN)
        self.started_at = time.monotonic()
        self.start_child()
        if self.spec.get("timeout"):
            self.timeout_at = self.started_at + self.spec["timeout"]
        while not self.is_finished():
            self.watch_output()
            self.step()
        self.end()
        self.linger()

    @property
    def ms(self):
        return int((time.monotonic() - self.started_at) * 1000)

    # The child.

    def start_child(self):
        is_request, has_terminal = "request" in self.spec, self.spec.get("tty")
        pipes = []  # (ours, theirs, descriptor in the child, stream)
        if has_terminal:
            master, slave = os.openpty()
            set_terminal(slave)
            pipes.append((master, slave, 1, STDOUT))
        else:
            pipes.append(os.pipe() + (1, BODY if is_request else STDOUT))
            if not is_request:
                pipes.append(os.pipe() + (2, STDERR))
        call = None if is_request else shell_call(self.spec, self.account, self.environment)
        if is_request or has_terminal:
            self.fork_child(pipes, call)
        else:
            self.spawn_shell(pipes[0][1], pipes[1][1], *call)
        for ours, other, _, stream in pipes:
            os.close(other)
            os.set_blocking(ours, False)
            self.streams[ours] = stream
        if has_terminal:
            os.write(master, b"\x04" * 64)  # nobody types: whoever asks gets the end of the file

    def spawn_shell(self, stdout, stderr, shell, words, variables, cwd):
        """Start the command without a fork of this process, where Python can: half of what `true` costs."""
        import subprocess

        try:
            process = subprocess.Popen(
                words, executable=shell, env=variables, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                start_new_session=True,  # `kill 0` in the command must not reach us
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self.error = start_error(error, cwd)
            self.status, self.ended_at = 127 << 8, time.monotonic()
        else:
            self.child, process.returncode = process.pid, 0  # its end is taken by `reap`

    def fork_child(self, pipes, call):
        control, theirs = os.pipe()
        self.child = os.fork()
        if not self.child:
            try:
                self.become_child(theirs, pipes, call)
            except BaseException as error:  # noqa: B036, BLE001 - whatever it is, this process is not to go on
                tell(theirs, **start_error(error, call and call[3]))
            os._exit(127)
        os.close(theirs)
        os.set_blocking(control, False)
        self.control = control
        self.poll.register(control, select.POLLIN)

    def become_child(self, control, pipes, call):
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 2)
        for _, theirs, number, _ in pipes:
            os.dup2(theirs, number)
        if self.spec.get("tty"):
            import termios

            fcntl.ioctl(1, termios.TIOCSCTTY, 0)
            os.dup2(1, 0)
            os.dup2(1, 2)
        close_all_but(control)
        if call is None:
            os._exit(make_request(self.spec["request"], control))
        fcntl.fcntl(control, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        shell, words, variables, cwd = call
        os.chdir(cwd)
        os.execve(shell, words, variables)

    def listen_to_child(self):
        """A line of JSON each: the head of a response, or why it failed."""
        while self.control is not None:
            try:
                data = os.read(self.control, 65536)
            except BlockingIOError:
                return
            if not data:
                self.poll.unregister(self.control)
                os.close(self.control)
                self.control = None
            self.said += data
            while b"\n" in self.said:
                line, _, self.said = self.said.partition(b"\n")
                facts = json.loads(line.decode())
                if "error" in facts:
                    self.error = facts
                else:
                    self.append(RESPONSE, BODY, line)

    # Reading.

    def watch_output(self):
        """At the quota, or without disk, the pipes are left alone, and the command waits as at any full pipe."""
        wanted = self.journal.size - self.committed < self.quota and self.unwritten is None
        if wanted != self.is_reading:
            for fd in self.streams:
                if wanted:
                    self.poll.register(fd, select.POLLIN)
                else:
                    self.poll.unregister(fd)
            self.is_reading = wanted

    def step(self):
        for fd, _ in self.poll.poll(self.patience_ms()):
            if fd in self.streams:
                if self.is_reading and self.unwritten is None:
                    self.read_output(fd)
            elif fd == self.wake:
                os.read(fd, 4096)
                self.reap()
            elif fd == self.control:
                self.listen_to_child()
            elif fd == self.door.fileno():
                self.answer_door()
            elif self.bell is not None and fd == self.bell.fileno():
                self.obey()
        self.on_time(time.monotonic())

    def patience_ms(self):
        moments = [self.kill_at, self.timeout_at, self.look_at]
        if self.unwritten is not None:
            moments.append(self.retry_at)
        now = time.monotonic()
        if self.status is not None:
            if now < self.ended_at + DRAIN_S:
                moments.append(self.ended_at + DRAIN_S)
            if self.stop_why is not None:
                moments.append(now + KILL_AGAIN_S)  # the end of grandchildren is not always told
        due = [moment - now for moment in moments if moment is not None]
        return max(0, min(due)) * 1000 + 1

    def read_output(self, fd):
        stream = self.streams[fd]
        if stream == BODY:
            self.listen_to_child()  # the head was written before the body
            if self.unwritten is not None:
                return
        try:
            data = os.read(fd, RECORD_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # how a terminal says that nobody holds it any more
                raise
            data = b""
        if not data:
            self.poll.unregister(fd)
            os.close(fd)
            del self.streams[fd]
            return
        self.must_read -= len(data)
        self.append(OUTPUT, stream, data)
        if len(data) == 65536 and LINUX:
            try:
                fcntl.fcntl(fd, 1031, FLOOD_PIPE_BYTES)  # F_SETPIPE_SZ: fewer and larger reads in a flood
            except OSError:
                pass  # a terminal, or the account's limit for pipes is reached

    def append(self, kind, stream, payload):
        if self.journal.append(kind, stream, payload, self.ms):
            if self.unwritten is not None:
                self.unwritten = None
                self.ring(b"E")
            self.ring(b"!")
        else:
            self.unwritten = (kind, stream, payload)
            self.ring(b"F")
            self.retry_at = time.monotonic() + DISK_FULL_RETRY_S

    # The daemon.

    def ring(self, what):
        """Tell the daemon: `!` there is more, `D` it drains, `F` the disk is full, `E` enough room again."""
        try:
            if self.bell is not None:
                self.bell.send(what)
        except BlockingIOError:
            pass  # it has enough unread ones
        except OSError:
            self.hang_up()

    def hang_up(self):
        if self.bell is not None:
            self.poll.unregister(self.bell.fileno())
            self.bell.close()
            self.bell = None

    def answer_door(self):
        """A new daemon takes us over."""
        try:
            bell = self.door.accept()[0]
        except OSError:
            return  # it has left already
        self.hang_up()
        self.bell = bell
        self.bell.setblocking(False)
        self.poll.register(self.bell.fileno(), select.POLLIN)
        self.ring(b"F" if self.unwritten is not None else b"!")

    def obey(self):
        """Nine bytes each: `A` and how much of the journal is committed, `C` and the grace of a cancel in ms."""
        try:
            data = self.bell.recv(9 * 100)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.hang_up()
        for at in range(0, len(data) - 8, 9):
            value = int.from_bytes(data[at + 1 : at + 9], "big")
            if data[at : at + 1] == b"A":
                self.committed = max(self.committed, value)
            else:
                self.stop("cancel", value / 1000.0)

    # Stopping and ending.

    def on_time(self, now):
        if self.unwritten is not None and now >= self.retry_at:
            self.append(*self.unwritten)
        if self.timeout_at is not None and now >= self.timeout_at:
            self.timeout_at = None
            self.stop("timeout", TERM_GRACE_S)
        if self.kill_at is not None and now >= self.kill_at:
            self.give_up_at = self.give_up_at or now + KILL_S_MAX
            self.refused = send_signal(self.tree(), signal.SIGKILL)
            self.kill_at = now + KILL_AGAIN_S  # again: a process may have forked meanwhile
        if now >= self.look_at:
            self.look_at = now + 5
            if not os.fstat(self.lock).st_nlink:
                send_signal(self.tree(), signal.SIGKILL)  # our directory was wiped: nobody can ever read this run
                os._exit(1)

    def tree(self):
        return descendants(os.getpid())

    def stop(self, why, grace):
        """TERM to the whole tree now, KILL after the grace. A second cancel changes nothing."""
        if self.stop_why is None:
            self.stop_why = why
            self.kill_at = time.monotonic() + grace
            tree = self.tree()
            send_signal(tree, signal.SIGTERM)
            send_signal(tree, signal.SIGCONT)  # a stopped process cannot end otherwise

    def reap(self):
        """Take the status of what has ended; whether children are left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self.child and self.status is None:
                self.status, self.ended_at = status, time.monotonic()
                self.timeout_at = None
                self.must_read = sum(unread(fd) for fd in self.streams)
                if self.streams:
                    self.ring(b"D")  # something still holds the output, or may

    def is_finished(self):
        if self.status is None or self.unwritten is not None:
            return False
        now = time.monotonic()
        if self.stop_why is not None and self.reap() and (self.give_up_at is None or now < self.give_up_at):
            if any(pid not in self.refused for pid, _ in self.tree()):
                return False
        if not self.streams:
            return True
        return self.must_read <= 0 and now >= self.ended_at + DRAIN_S

    def end(self):
        self.listen_to_child()
        code = os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None
        left = described(self.tree()) if self.reap() else []
        facts = {
            "code": code,
            "signal": signal_name(os.WTERMSIG(self.status)) if code is None else None,
            "why": self.stop_why,
            "ms": int((self.ended_at - self.started_at) * 1000),
            "streams": self.journal.sums_as_facts(),
            "left": left,
            "error": self.error,
            "subreaper": self.is_subreaper,
        }
        while not self.journal.append(END, 0, as_json(facts), self.ms):
            time.sleep(DISK_FULL_RETRY_S)
        self.ring(b"!")
        remove(self.folder + "/s")  # by now the whole folder may have been forgotten

    def linger(self):
        """Children that outlive the command keep a reader, so that printing does not kill them."""
        self.hang_up()
        self.door.close()
        os.close(self.lock)
        os.chdir("/")
        for fd in list(self.streams):
            os.set_blocking(fd, True)
        while self.streams:
            for fd in select.select(list(self.streams) + [self.wake], [], [])[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    data = b""
                if fd == self.wake:
                    self.reap()
                elif not data:
                    del self.streams[fd]
        os._exit(0)


def send_order(link, order, lock):
    """Hand a run to the spare, whole and without waiting. Says whether it has all of it."""
    data = marshal.dumps(order)
    data = struct.pack(">I", len(data)) + data
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", lock))]
    try:
        return len(data) <= ORDER_BYTES_MAX and link.sendmsg([data], rights) == len(data)
    except OSError:
        return False  # it is gone, or its socket is small


def receive_order(link):
    """The run that the spare waits for and its lock; nothing of a run of which not all has come."""
    data, rights, _, _ = link.recvmsg(4, socket.CMSG_SPACE(4))
    size = struct.unpack(">I", data)[0] if len(data) == 4 else os._exit(0)  # the daemon has left
    data = b""
    while len(data) < size:
        data += link.recv(size - len(data)) or os._exit(0)
    return marshal.loads(data), struct.unpack("i", rights[0][2])[0]


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "SIG%d" % number  # a real-time one


def tell(control, **facts):
    os.write(control, as_json(facts) + b"\n")


def set_terminal(fd):
    import termios

    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    modes = termios.tcgetattr(fd)
    modes[3] &= ~termios.ECHO  # nobody types
    termios.tcsetattr(fd, termios.TCSANOW, modes)


def shell_call(spec, account, environment):
    """As sshd does it: the account's own shell, not a login shell, `-c`, and the content as it is."""
    shell, home = account
    variables = dict(environment)
    variables.setdefault(b"HOME", os.fsencode(home))
    variables[b"PYTHONUNBUFFERED"] = b"1"
    variables[b"MISSION_CONTROL_TASK_ID"] = spec["task"].encode()  # also the mark by which a killed run's are found
    if spec.get("tty"):
        variables[b"TERM"] = b"xterm-256color"
    for name, value in spec.get("env", {}).items():
        variables[name.encode()] = value.encode()
    home, cwd = variables[b"HOME"], spec.get("cwd", "~").encode()  # bytes: the locale may be C
    cwd = home + cwd[1:] if cwd == b"~" or cwd.startswith(b"~/") else os.path.join(home, cwd)
    if "cwd" not in spec and not os.access(cwd, os.X_OK):
        cwd = b"/"  # an account without a home: sshd says so and goes on
    variables.pop(b"OLDPWD", None)
    return shell, [os.path.basename(shell).encode(), b"-c", spec["command"].encode()], variables, cwd


def start_error(error, cwd):
    """Why a command could not start, as facts of its end."""
    detail = getattr(error, "strerror", None) or str(error)
    if cwd and getattr(error, "filename", None) == cwd:
        return {"error": "cwd_invalid", "detail": "%s: %s" % (cwd.decode("utf-8", "replace"), detail)}
    if getattr(error, "errno", None) == errno.E2BIG:
        detail = "the command or its variables are longer than this system lets a program be given (%s)" % detail
    return {"error": "start_failed", "detail": detail}


# Where clouds answer their machines with credentials, beside the link-local 169.254.169.254.
METADATA = ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")


class AddressRefused(Exception):
    """An agent may not be asked there; says where, and why."""


def address_problem(address, networks):
    """Why an agent may not be asked at this address; None when it may: on this desktop, and in `networks`."""
    from ipaddress import IPv4Address, ip_address, ip_network

    asked = ip_address(address.partition("%")[0])
    if asked.version == 6:
        is_nat64 = asked in ip_network("64:ff9b::/96")
        asked = IPv4Address(int(asked) & 0xFFFFFFFF) if is_nat64 else asked.ipv4_mapped or asked.sixtofour or asked
    if asked.is_loopback:
        return None
    if asked.is_link_local or str(asked) in METADATA:
        return "is a link-local or metadata address, which is never asked"
    if asked.is_unspecified or asked.is_multicast or (asked.version == 4 and asked.is_reserved):
        return "is no address of one host"
    if not any(asked in network for network in map(ip_network, networks) if network.version == asked.version):
        return "is neither this desktop's loopback nor within an --agent-network of the server"
    return None


def connect_to_agent(url, limit, networks):
    """A connection to an address of the URL's host that may be asked. It is looked up once: what is judged is used."""
    port = url.port or (443 if url.scheme == "https" else 80)
    found = socket.getaddrinfo(url.hostname, port, 0, socket.SOCK_STREAM)[:8]
    error = None
    for family, kind, protocol, _, address in found:
        problem = address_problem(address[0], networks)
        if problem:
            error = error or AddressRefused("%s %s" % (address[0], problem))
            continue
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(limit)
            link.connect(address)
            return link
        except OSError as failure:
            link.close()
            error = failure
    raise error or AddressRefused("%s has no address" % url.hostname)


def make_request(request, control):
    """Make one HTTP request; its body is our stdout. No proxies, no redirects, no second try."""
    import http.client
    from urllib.parse import urlsplit

    url, limit = urlsplit(request["url"]), request["connect"]
    is_connected = False
    try:
        link = connect_to_agent(url, limit, request.get("networks", []))
        if url.scheme == "https":
            import ssl

            try:
                trusted = ssl.create_default_context(cafile=request.get("ca"))
            except OSError as error:
                tell(control, error="tls", detail="%s: %s" % (request.get("ca"), error))
                return 1
            link = trusted.wrap_socket(link, server_hostname=url.hostname)
            connection = http.client.HTTPSConnection(url.hostname, url.port, context=trusted)
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port)
        connection.sock = link
        is_connected = True
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sock.settimeout(request["idle"])
        path = (url.path or "/") + ("?" + url.query if url.query else "")
        body = request.get("body")
        connection.request(request["method"], path, None if body is None else body.encode(), request["headers"])
        answer = connection.getresponse()
        field = answer.getheader
        tell(control, status=answer.status, contentType=field("content-type"), retryAfter=field("retry-after"))
        while True:
            data = answer.read1(65536)
            if not data:
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
                return 0
            write_all(1, data)
    except AddressRefused as refused:
        tell(control, error="address", detail=str(refused))
    except socket.timeout:
        tell(control, error="silent" if is_connected else "connect_timeout", detail="")
    except (OSError, http.client.HTTPException, ValueError) as error:
        code = "lost" if is_connected else "connect"
        if type(error).__name__ in ("SSLError", "SSLCertVerificationError", "CertificateError"):
            code = "tls"
        tell(control, error=code, detail=str(error) or type(error).__name__)
    return 1


# --- the daemon -------------------------------------------------------------------------------------------------------


class Span:
    """Neighbouring records of one segment file."""

    __slots__ = ("at", "fd", "in_flight", "last", "segment", "size")

    def __init__(self, fd, segment, at, size, last):
        self.fd, self.segment = fd, segment  # the file, and its place in the journal
        self.at, self.size = at, size  # place in the journal
        self.last = last  # the last position at which a server still needs it
        self.in_flight = 0  # bytes of it that were sent and are not committed

    def commit(self, position):
        """It may be committed in part; how many bytes fewer are in flight now."""
        before = self.in_flight
        self.in_flight = min(before, self.last + 1 - position)
        return before - self.in_flight


class Run:
    """The daemon's view of one run: where its journal is, what was sent of it, and what is committed."""

    def __init__(self, name):
        from collections import deque

        self.name, self.id, self.folder = name, bytes.fromhex(name), "runs/" + name
        self.spec = {"segment": SEGMENT_BYTES, "quota": QUOTA_BYTES, "task": "", "remember": True}
        self.scanned = 0  # place in the journal of the next head
        self.position = 0  # raw bytes of the run up to there
        self.segment, self.segment_start = None, 0  # the file that is being scanned
        self.segments = deque()  # (start, descriptor) of those not yet deleted
        self.unsent, self.sent = deque(), deque()  # spans
        self.in_flight, self.window, self.sent_at = 0, WINDOW_BYTES_MAX // 2, deque()
        self.told = 0
        self.supervisor = self.channel = None
        self.end = self.lost = self.waits_for = None
        self.draining_since = None
        self.grace = None  # in ms, of a cancel
        self.is_unwanted = False  # to be forgotten as soon as it has ended
        self.has_turn = self.has_told = False

    def load(self):
        try:
            self.spec.update(json.loads(read(self.folder + "/spec").decode()))
        except (OSError, ValueError, TypeError):
            pass  # killed while it was written: nothing has started
        names = [name[:-4] for name in os.listdir(self.folder) if name.endswith(".seg") and is_hex(name[:-4], 16)]
        starts = sorted(int(name, 16) for name in names)
        self.scanned = starts[0] if starts else 0

    def scan(self):
        """Find what the supervisor has written since the last time. True when the end is among it."""
        while self.open_segment():
            at = self.scanned - self.segment_start
            heads = os.pread(self.segment, 4096, at)
            size = os.fstat(self.segment).st_size
            in_buffer = 0
            while at + HEAD_BYTES <= size:
                if in_buffer + HEAD_BYTES > len(heads):
                    if in_buffer == 0:
                        break  # it was cut meanwhile: a record that found no room was taken back
                    heads, in_buffer = os.pread(self.segment, 4096, at), 0
                    continue
                head = head_of(heads, in_buffer)
                is_ours = head is not None and head[3] == self.id
                if is_ours and at + HEAD_BYTES + head[2] > size:
                    break
                if not is_ours or not self.is_whole(self.segment, at, head):
                    at = self.find_head(at + 1, size)
                    heads, in_buffer = b"", 1
                    continue
                kind, _, length, _, position = head[:5]
                if kind == END:
                    self.end = os.pread(self.segment, length, at + HEAD_BYTES)
                last = float("inf") if kind == END else position
                if kind == OUTPUT:
                    self.position = position + length
                    last = self.position - 1
                self.found(self.segment_start + at, HEAD_BYTES + length, last, kind)
                at += HEAD_BYTES + length
                in_buffer += HEAD_BYTES + length
                if in_buffer > len(heads):
                    heads, in_buffer = os.pread(self.segment, 4096, at), 0
            self.scanned = self.segment_start + at
            if self.end is not None:
                return True
            if not at or not self.open_segment(is_next=True):
                return False
        return False

    def open_segment(self, is_next=False):
        """Whether there is a segment to scan: the present one, or the one that follows it."""
        if self.segment is None or is_next:
            try:
                self.segment = os.open("%s/%016x.seg" % (self.folder, self.scanned), os.O_RDONLY)
            except FileNotFoundError:
                return False
            self.segment_start = self.scanned
            self.segments.append((self.scanned, self.segment))
        return True

    def find_head(self, at, size):
        """The next sound head of this segment after damage, or its end. What is between is a gap for the server."""
        log("run %s: the journal is damaged at %d" % (self.name, self.segment_start + at - 1))
        data = os.pread(self.segment, size - at, at)
        found = data.find(self.id)
        while found >= 0:
            start = found - 8
            if start >= 0 and start + HEAD_BYTES <= len(data) and head_of(data, start):
                return at + start
            found = data.find(self.id, found + 1)
        return max(size, at)

    def found(self, at, size, last, kind):
        before = self.unsent[-1] if self.unsent else None
        joins = before and before.fd == self.segment and before.at + before.size == at and before.size < SPAN_BYTES
        if joins and kind == OUTPUT:
            before.size += size
            before.last = last
        else:
            self.unsent.append(Span(self.segment, self.segment_start, at, size, last))

    def look_again(self):
        """What was damaged since it was found is found once more, as damage: no channel is to end over it."""
        bad = next((at for at, span in enumerate(self.unsent) if not self.is_sound(span)), None)
        if bad is None:
            return
        span = self.unsent[bad]
        while len(self.unsent) > bad:
            self.unsent.pop()
        while self.segments[-1][1] != span.fd:
            os.close(self.segments.pop()[1])
        self.segment, self.segment_start = span.fd, span.segment
        self.scanned, self.end = span.at, None
        self.scan()

    def is_whole(self, fd, at, head):
        """Whether a record's payload is as it was written. Of output the server sees that, and knows what is lost."""
        kind, length, before, after = head[0], head[2], head[7], head[8]
        return kind == OUTPUT or zlib.crc32(os.pread(fd, length, at + HEAD_BYTES), before) == after

    def is_sound(self, span):
        """Whether the heads of its records still follow each other."""
        at, left = span.at - span.segment, span.size
        while left > 0:
            data = os.pread(span.fd, HEAD_BYTES, at)
            head = head_of(data) if len(data) == HEAD_BYTES else None
            if head is None or head[3] != self.id or not self.is_whole(span.fd, at, head):
                return False
            at, left = at + HEAD_BYTES + head[2], left - HEAD_BYTES - head[2]
        return left == 0

    def rewind(self, position):
        """Everything that a server at this position does not have is to be sent, again or for the first time."""
        spans = list(self.sent) + list(self.unsent)
        self.sent.clear()
        self.unsent.clear()
        self.sent_at.clear()
        self.in_flight = 0
        for span in spans:
            span.in_flight = 0
            (self.unsent if span.last >= position else self.sent).append(span)

    def commit(self, position):
        """The server's log has everything up to there: give back the disk."""
        for spans in (self.sent, self.unsent):
            while spans and spans[0].last < position:
                self.in_flight -= spans.popleft().in_flight
            if spans:
                break
        if self.sent:
            self.in_flight -= self.sent[0].commit(position)
        first = self.sent or self.unsent
        floor = first[0].at if first else self.scanned
        while len(self.segments) > 1 and self.segments[1][0] <= floor:
            start, fd = self.segments.popleft()
            os.close(fd)
            remove("%s/%016x.seg" % (self.folder, start))
        if floor - self.told >= self.spec["segment"] // 2 and self.tell(b"A", floor):
            self.told = floor

    def tell(self, what, value):
        """Say something to the supervisor; False when it cannot hear."""
        try:
            self.supervisor.send(what + value.to_bytes(8, "big"))
            return True
        except (OSError, AttributeError):
            return False

    def remove(self):
        for _, fd in self.segments:
            os.close(fd)
        self.segments.clear()
        try:
            for name in os.listdir(self.folder):
                remove(self.folder + "/" + name)
            os.rmdir(self.folder)
        except OSError:
            pass  # it was never made


class Channel:
    """An attached server: frames in, control frames and ranges of journals out."""

    def __init__(self, leash, reader, writer):
        from collections import deque

        self.leash = leash  # to the relay, which stays as long as this is open
        self.reader, self.writer = reader, writer
        self.inbox = bytearray()
        self.control = deque()  # frames that go before any output
        self.rest = None  # of bytes that are being written
        self.range = None  # of a file that is being sent: (descriptor, offset, bytes)
        self.turns = deque()  # runs that have something to send
        self.in_flight, self.shortest_lag = 0, float("inf")
        self.heard_at, self.beat_at, self.metrics_at = time.monotonic(), 0.0, 0.0
        self.waits_for_room = False

    def window_after(self, window, lag):
        """What a run may send ahead when a commit came so much later. What lies in buffers on the way is to be small,
        since others have to pass it; the length of the way itself is no reason to send less."""
        self.shortest_lag = min(lag, self.shortest_lag + LAG_FORGOTTEN_S)
        wanted = window * (0.5 if lag > self.shortest_lag + LAG_S_MAX else 1.25)
        return int(max(WINDOW_BYTES_MIN, min(WINDOW_BYTES_MAX, wanted)))

    def close(self):
        os.close(self.reader)
        os.close(self.writer)
        self.leash.close()


def read_spec(payload):
    """What a START wants to be run. Raises ValueError: no request may harm the daemon, now or at an adoption."""
    try:
        given = json.loads(payload.decode())
        json.dumps(given, ensure_ascii=False).encode()  # no half of a surrogate pair anywhere
        spec = {"task": "", "env": {}, "remember": True, "timeout": 0, "quota": QUOTA_BYTES}
        spec.update((name, value) for name, value in given.items() if value is not None)
        texts = [spec["task"], spec.get("cwd", ""), *spec["env"], *spec["env"].values()]
        is_command, is_request = isinstance(spec.get("command"), str), isinstance(spec.get("request"), dict)
        if is_command == is_request or not all(isinstance(text, str) for text in texts):
            raise ValueError("a START needs texts, and either a command or a request")
        spec["timeout"] = min(max(0.0, float(spec["timeout"])), 1e9)
        spec["quota"] = min(max(1, int(spec["quota"])), QUOTA_BYTES * 16)
        spec["segment"] = max(4096, min(SEGMENT_BYTES, spec["quota"] // 8))
        return spec
    except (TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("a START that cannot be read: %s" % error)


class Daemon:
    """Everything between the servers and the supervisors. One thread, and nothing in it waits."""

    def __init__(self, listener, config):
        import selectors

        self.listener, self.config = listener, config
        self.readable, self.writable = selectors.EVENT_READ, selectors.EVENT_WRITE
        self.selector = selectors.DefaultSelector()
        self.boot = boot_id()
        self.instance = read("instance").decode()
        self.fence = self.load_fence()
        self.runs, self.channel = {}, None
        self.hunts, self.hunted_at = {}, 0.0  # tasks of killed supervisors -> until when
        self.environment = {}
        self.spare, self.wants_spare = None, False  # a supervisor that waits for its run
        self.idle_since = self.prune_at = time.monotonic()
        self.limits = raise_limits()
        self.processor = None  # what /proc/stat said last

    def main(self):
        wake = wake_on_child()
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        load_for_supervisors()
        self.warning = outlive_session()
        self.load_ended()
        self.adopt()
        import gc

        gc.collect()
        getattr(gc, "freeze", int)()  # forks then share these pages
        self.watch(self.listener, self.answer_relay)
        self.watch(wake, lambda: self.reap(wake))
        while True:
            patience = SPARE_AFTER_S if self.wants_spare else HUNT_AGAIN_S if self.hunts else TICK_S
            events = self.selector.select(patience)
            for key, mask in events:
                key.data(mask) if key.data == self.on_channel else key.data()
            if self.wants_spare and not events:
                self.make_spare()
            self.on_time(time.monotonic())

    def watch(self, file, action):
        self.selector.register(file, self.readable, action)

    # What stays in files.

    def load_fence(self):
        fence = {"log": None, "generation": 0, "superseded": []}
        try:
            fence.update(json.loads(read("fence").decode()))
        except (OSError, ValueError, TypeError):
            pass  # none yet
        return fence

    def admits(self, log_id, generation):
        """Whether this server may attach. A restored log takes over from the one before it, which then may not."""
        fence = self.fence
        if log_id in fence["superseded"] or (log_id == fence["log"] and generation < fence["generation"]):
            return False
        if fence["log"] not in (None, log_id):
            fence["superseded"].append(fence["log"])
        fence["log"], fence["generation"] = log_id, generation
        try:
            write("fence", json.dumps(fence).encode())
        except OSError as error:
            log("the fence cannot be written: %s" % error)  # a full disk must not keep its owner out
        return True

    def load_ended(self):
        """The ids of the runs that were forgotten, by day; their ends are lines of `ended/<day>`."""
        self.ended = {}
        self.prune_ended()
        for day in filter(lambda day: os.path.isfile("ended/" + day), os.listdir("ended")):
            self.ended[day] = {line[:32] for line in read("ended/" + day).splitlines()}

    def prune_ended(self):
        for day in os.listdir("ended"):
            if os.path.getmtime("ended/" + day) < time.time() - REMEMBER_S:
                remove("ended/" + day)
                self.ended.pop(day, None)

    def remember(self, run):
        end = run.end or as_json({"lost": run.lost})
        day = time.strftime("%Y-%m-%d")
        append_line("ended/" + day, run.name.encode() + b" " + end)
        self.ended.setdefault(day, set()).add(run.name.encode())

    def remembered(self, name):
        """The end of a forgotten run, or None."""
        for day in [day for day, names in self.ended.items() if name in names]:
            for line in read("ended/" + day).splitlines():
                try:
                    if line.startswith(name):
                        return json.loads(line[33:].decode())
                except ValueError:
                    pass  # cut by a power failure; another one follows
        return None

    # Time.

    def on_time(self, now):
        channel = self.channel
        if channel:
            if now - channel.heard_at > SILENCE_S_MAX:
                self.close("the server is silent")
            else:
                if now >= channel.beat_at:
                    channel.beat_at = now + BEAT_S
                    self.say(frame(BEAT))
                if now >= channel.metrics_at:
                    channel.metrics_at = now + METRICS_S
                    self.say(note(METRICS, **self.metrics()))
        for run in list(self.runs.values()):
            self.forget_if_wanted(run)  # where the disk was too full for it
            if not (run.supervisor or run.end or run.lost):
                self.join(run)  # it was between its fork and its first breath
            elif run.draining_since and not run.end and not run.has_told and now - run.draining_since > DRAIN_TOLD_S:
                run.has_told = True
                self.report(run)
        if self.hunts and now >= self.hunted_at + HUNT_AGAIN_S:
            self.hunt()
        if self.channel or not self.is_idle():
            self.idle_since = now
        elif now - self.idle_since > self.config.get("idle", IDLE_S):
            self.leave("idle")
        if now >= self.prune_at:
            self.prune_at = now + 60
            try:
                is_ours = os.stat("sock-%d" % PROTOCOL).st_ino == self.config["inode"]
            except OSError:
                is_ours = False
            if not is_ours:
                log("the directory was wiped")
                os._exit(0)
            self.prune_ended()

    def is_idle(self):
        """Nothing runs. What has ended and is not forgotten stays in files for the next daemon."""
        return all(run.end or run.lost for run in self.runs.values())

    def leave_if_idle(self, why):
        if self.is_idle():
            self.leave(why)

    def leave(self, why):
        log("leaving: %s" % why)
        remove("sock-%d" % PROTOCOL)
        os._exit(0)

    def reap(self, wake):
        os.read(wake, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def metrics(self):
        facts = {"runs": sum(1 for run in self.runs.values() if run.supervisor)}
        for figure in (self.measure_load, self.measure_disk, self.measure_processor, self.measure_memory):
            try:
                figure(facts)
            except (OSError, ValueError, KeyError, IndexError):
                pass  # an odd system: the others are still worth telling
        return facts

    def measure_load(self, facts):
        facts["load"] = os.getloadavg()[0]

    def measure_disk(self, facts):
        disk = os.statvfs(".")
        if disk.f_blocks:
            facts["disk"] = 1 - disk.f_bavail / float(disk.f_blocks)

    def measure_processor(self, facts):
        if not LINUX:
            busy = said_by("ps", "-A", "-o", "%cpu=").split()
            facts["cpu"] = min(1, sum(float(one.replace(",", ".")) for one in busy) / 100 / (os.cpu_count() or 1))
            return
        ticks = [int(word) for word in read("/proc/stat").split(b"\n", 1)[0].split()[1:9]]
        total, idle = sum(ticks), ticks[3] + ticks[4]
        if self.processor and total > self.processor[0]:  # the kernel's idle time may go back a little
            facts["cpu"] = min(1, max(0, 1 - (idle - self.processor[1]) / float(total - self.processor[0])))
        self.processor = (total, idle)

    def measure_memory(self, facts):
        if LINUX:
            memory = dict(line.split(b":", 1) for line in read("/proc/meminfo").splitlines())
            free, whole = (int(memory[name].split()[0]) for name in (b"MemAvailable", b"MemTotal"))
            facts["memory"] = 1 - free / float(whole)

    # Runs.

    def adopt(self):
        """What an earlier daemon left: living supervisors, ended runs, lost runs."""
        for name in os.listdir("runs"):
            if not is_hex(name, 32) or not os.path.isdir("runs/" + name):
                continue  # not ours
            run = Run(name)
            run.load()
            self.runs[run.id] = run
            self.call(run)
            run.scan()
        for run in list(self.runs.values()):
            self.lose(run)
            if run.lost == "never_started":
                self.runs.pop(run.id).remove()  # the daemon was killed before the fork: nobody needs to know of it

    def call(self, run):
        """Connect to the supervisor of a run, if it has one that answers. Never waits: it may be stopped."""
        link = socket.socket(socket.AF_UNIX)
        link.setblocking(False)
        try:
            link.connect(run.folder + "/s")
        except OSError:
            return link.close()
        run.supervisor = link
        self.watch(link, lambda: self.on_bell(run))
        if run.grace is not None:
            run.tell(b"C", run.grace)
        return None

    def join(self, run):
        """Go on with a run whose supervisor we do not hear: connect, or read its end, or say why there is no end."""
        self.call(run)
        run.scan()
        self.lose(run)

    def lose(self, run):
        """If nobody watches over this run any more, say what became of it. It is alive while its lock is held."""
        if run.supervisor or run.end:
            return
        said, is_gone = b"", False
        try:
            with open(run.folder + "/super", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                said = file.read().strip()
        except FileNotFoundError:
            is_gone = True
        except OSError:
            return  # just starting, just ending or stopped; or it cannot be told now, and is asked again
        run.scan()
        if run.end or run.lost:
            return
        try:
            if is_gone and run.segments:
                boot = self.boot  # its folder was wiped, which is no reboot
            else:
                boot = json.loads(said.decode())["boot"] if said or run.segments else None
        except (ValueError, KeyError, TypeError):
            boot = ""  # emptied or garbled, as by a power cut
        if boot is None:
            run.lost = "never_started"
        elif boot != self.boot:
            run.lost = "rebooted"
        else:
            run.lost = "supervisor_killed"
            self.hunts[run.spec["task"]] = time.monotonic() + HUNT_S
            self.hunt()
        log("run %s is lost: %s" % (run.name, run.lost))
        self.report(run)

    def hunt(self):
        """End what killed supervisors had started; for a while, since a process has no environment while it execs."""
        self.hunted_at = time.monotonic()
        for task, until in list(self.hunts.items()):
            is_followed = any(run.supervisor and run.spec["task"] == task for run in self.runs.values())
            if not task or is_followed or self.hunted_at > until:
                del self.hunts[task]
            else:
                send_signal(marked(b"MISSION_CONTROL_TASK_ID=" + task.encode()), signal.SIGKILL)

    def start(self, run_id, payload):
        """Start a run, or go on with it if it was started before: the same id is one start."""
        run = self.runs.get(run_id)
        if run is None:
            if self.remembered(run_id.hex().encode()):
                return self.answer_unknown(run_id)
            run, lock = Run(run_id.hex()), None
            try:
                spec = read_spec(payload)
                kept = {name: spec[name] for name in ("quota", "segment", "task", "remember")}
                run.spec.update(kept)
                os.mkdir(run.folder, 0o700)
                write(run.folder + "/spec", as_json(kept))  # never the command, its variables or a token
                lock = os.open(run.folder + "/super", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX)
                write_all(lock, b" " * 256)  # room for who watches over it: a full disk is to be noticed now
                self.give_to_supervisor(run, spec, lock)
            except (OSError, ValueError) as error:
                log("run %s cannot start: %s" % (run.name, error))
                run.remove()
                why, detail, is_wiped = "start_failed", str(error), not os.path.exists("instance")
                if is_wiped:
                    detail = "the outpost's folder was removed while it ran; it begins anew now. Retry"
                elif isinstance(error, ValueError):
                    why = "bad_request"
                elif is_disk_full(error):
                    why = "disk_full"
                self.say(note(STATE, run_id, state="refused", why=why, detail=detail))
                if is_wiped:
                    self.leave("the directory was wiped")
                return None
            finally:
                if lock is not None:
                    os.close(lock)
            self.runs[run_id] = run
        self.attach(run, 0)

    def give_to_supervisor(self, run, spec, lock):
        """To the spare if there is one that takes it, else to a new fork."""
        account = self.account.pw_shell or "/bin/sh", self.account.pw_dir
        order = run.folder, run.id, spec, account, self.environment, self.boot
        link, self.spare = self.spare, None
        if link is None or not send_order(link, order, lock):
            if link is not None:
                link.close()
            link = self.fork_supervisor(order, lock)
        self.wants_spare = True
        run.supervisor = link
        self.watch(link, lambda: self.on_bell(run))

    def make_spare(self):
        """While nothing else is to be done: the fork is the longest part of the start of a command."""
        self.wants_spare = False
        try:
            self.spare = self.fork_supervisor()
        except OSError:
            pass  # no process or memory to be had now; the next start tries again

    def fork_supervisor(self, order=None, lock=-1):
        """A process that watches over this run, or over the one that it will be sent; its end of the link."""
        import subprocess  # noqa: F401 - once, here: a supervisor would have to do it again and again

        ours, theirs = socket.socketpair()
        if not os.fork():
            try:
                signal.set_wakeup_fd(-1)
                import gc

                gc.disable()
                close_all_but(lock, theirs.fileno())
                lower_limits(self.limits)
                supervisor = Supervisor(theirs)
                if order is None:
                    order, lock = receive_order(theirs)
                supervisor.main(order, lock)
            except BaseException:  # noqa: BLE001 - this process must not go on as a second daemon
                import traceback

                log("the supervisor of %s: %s" % (order and order[0], traceback.format_exc()))
                send_signal(descendants(os.getpid()), signal.SIGKILL)
            os._exit(1)
        theirs.close()
        ours.setblocking(False)
        return ours

    def attach(self, run, position):
        if self.channel:
            self.channel.in_flight -= run.in_flight
        run.rewind(position)
        if run.channel is not self.channel:  # else a part of its files may be on its way
            run.look_again()
        run.channel, run.has_turn = self.channel, False
        self.report(run)
        self.queue(run)

    def answer_unknown(self, run_id):
        end = self.remembered(run_id.hex().encode())
        if end is None:
            self.say(note(STATE, run_id, state="unknown"))
        elif "lost" in end:
            self.say(note(STATE, run_id, state="lost", why=end["lost"]))
        else:
            self.say(note(STATE, run_id, state="forgotten", end=end))

    def report(self, run):
        if run.channel:
            state = "lost" if run.lost else "ended" if run.end else "draining" if run.draining_since else "running"
            self.say(note(STATE, run.id, state=state, why=run.lost or run.waits_for, position=run.position))

    def on_bell(self, run):
        if run.supervisor is None:
            return
        try:
            data = run.supervisor.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        before = run.waits_for
        run.scan()
        for sign, waits_for in ((b"F", "disk_full"), (b"E", None)):
            if sign in data:
                run.waits_for = waits_for
        if b"D" in data:
            run.draining_since = time.monotonic()
        if not data:
            self.let_go(run)
            if not run.end:
                self.join(run)
        elif run.waits_for != before:
            self.report(run)  # ahead of what is still to be sent
        self.forget_if_wanted(run)
        self.queue(run)

    def let_go(self, run):
        """Hear of its supervisor no longer."""
        if run.supervisor:
            self.selector.unregister(run.supervisor)
            run.supervisor.close()
            run.supervisor = None

    def queue(self, run):
        if run.channel and run.unsent and not run.has_turn:
            run.has_turn = True
            run.channel.turns.append(run)
            self.pump()

    # The channel.

    def answer_relay(self):
        """A relay wants a server attached, or us to make room for a newer version."""
        peer, fds = None, ()
        try:
            peer = self.listener.accept()[0]
            peer.settimeout(2.0)
            if peer_uid(peer) != os.getuid():
                raise OSError("another user")
            peer.sendall(self.config["version"].encode() + b"\n")
            head, extra = peer.recvmsg(5, socket.CMSG_SPACE(8))[:2]
            if head[:1] == b"L":
                return self.leave("a newer version comes")  # the relay goes on when our end of this closes
            if head[:1] == b"I":
                self.leave_if_idle("asked to, since nothing runs")
                return peer.close()
            fds = struct.unpack("2i", extra[0][2][:8])
            size, data = int.from_bytes(head[1:5], "big"), b""
            while len(data) < size:
                more = peer.recv(size - len(data))
                if not more:
                    raise OSError("the relay left")
                data += more
            facts = json.loads(data.decode())
            environment = {bytes.fromhex(name): bytes.fromhex(value) for name, value in facts["environment"]}
            for fd in (peer.fileno(),) + fds:
                os.set_blocking(fd, False)
            self.watch(fds[0], self.on_channel)
        except (OSError, LookupError, TypeError, ValueError, struct.error) as error:
            log("a relay was refused: %r" % error)
            for fd in fds:
                os.close(fd)
            return peer and peer.close()
        return self.take_on(Channel(peer, *fds), facts, environment)

    def take_on(self, channel, facts, environment):
        """Attach this server instead of the one before it, if the fence admits it."""
        import pwd

        is_admitted = self.admits(facts["log"], facts["generation"])
        if is_admitted:
            self.close("superseded")
            self.channel, self.environment, self.account = channel, environment, pwd.getpwuid(os.getuid())
            self.watch(channel.leash, self.on_leash)
        channel.control.append(facts["nonce"].encode() + b"\n")
        channel.control.append(self.hello(is_admitted))
        if not is_admitted:
            return self.refuse(channel)
        return self.pump()

    def hello(self, is_admitted):
        return note(
            HELLO,
            protocol=PROTOCOL,
            version=self.config["version"],
            superseded=not is_admitted,
            instance=self.instance,
            boot=self.boot,
            pid=os.getpid(),
            python=sys.version.split()[0],
            directory=os.getcwdb().decode("utf-8", "replace"),
            system="%s %s" % (os.uname().sysname, os.uname().release),
            warning=self.warning,
            runs=[
                {"run": run.name, "task": run.spec["task"], "ended": bool(run.end or run.lost)}
                for run in self.runs.values()
            ],
        )

    def refuse(self, channel):
        self.selector.unregister(channel.reader)
        for part in channel.control:
            try:
                os.write(channel.writer, part)
            except OSError:
                pass
        channel.close()

    def close(self, why):
        """Let go of the server; the runs go on."""
        channel, self.channel = self.channel, None
        if channel is None:
            return
        log("channel closed: %s" % why)
        if why == "superseded":
            channel.control.clear()
            if channel.rest is None and channel.range is None:
                try:
                    os.write(channel.writer, self.hello(False))
                except OSError:
                    pass
        self.selector.unregister(channel.reader)
        self.selector.unregister(channel.leash)
        if channel.waits_for_room:
            self.selector.unregister(channel.writer)
        if channel.range is not None:
            os.close(channel.range[0])
        channel.close()
        for run in self.runs.values():
            run.channel, run.has_turn = None, False
            run.rewind(0)

    def on_leash(self):
        try:
            if self.channel and not self.channel.leash.recv(64):
                self.close("the session has ended")
        except BlockingIOError:
            pass  # it was about the channel before this one
        except OSError:
            self.close("the session has ended")

    def on_channel(self, mask):
        if mask & self.readable and self.channel:
            self.receive(self.channel)
        if self.channel:
            self.pump()

    def receive(self, channel):
        try:
            data = os.read(channel.reader, 1 << 18)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            return self.close("the session was closed")
        channel.heard_at = time.monotonic()
        inbox = channel.inbox
        inbox += data
        while len(inbox) >= HEAD_BYTES:
            head = head_of(inbox)
            if head is None or head[2] > FRAME_BYTES_MAX:
                return self.close("a damaged frame")
            kind, _, length, run_id = head[:4]
            if len(inbox) < HEAD_BYTES + length:
                break
            payload = bytes(inbox[HEAD_BYTES : HEAD_BYTES + length])
            if zlib.crc32(payload, head[7]) != head[8]:
                return self.close("a damaged frame")
            del inbox[: HEAD_BYTES + length]
            self.obey(kind, run_id, head[4], payload)
            if self.channel is not channel:
                break
        return None

    def obey(self, kind, run_id, position, payload):
        run = self.runs.get(run_id)
        if kind == ACK:
            if run:
                self.commit(run, position)
        elif kind == START:
            self.start(run_id, payload)
        elif kind == ATTACH:
            if run:
                self.attach(run, position)
            else:
                self.answer_unknown(run_id)
        elif kind == CANCEL:
            if run and not run.end:
                run.grace = position
                run.tell(b"C", position)  # or as soon as its supervisor is heard again
        elif kind == FORGET:
            if run:
                self.measure_lag(run, float("inf"))
                run.is_unwanted = True
                self.forget_if_wanted(run)
        elif kind == REMOVE and self.is_idle():
            self.remove_everything()
        elif kind == LEAVE:
            self.leave_if_idle("the server stops")

    def forget_if_wanted(self, run):
        """The server has everything of it, the end included: only the end is kept, for a while."""
        if not run.is_unwanted or not (run.end or run.lost):
            return
        if run.spec["remember"]:
            try:
                self.remember(run)
            except OSError as error:
                return log("run %s is kept: %s" % (run.name, error))  # and tried again
        if run.channel:
            run.channel.in_flight -= run.in_flight
        self.let_go(run)
        run.channel = None
        del self.runs[run.id]
        run.remove()

    def commit(self, run, position):
        before = run.in_flight
        run.commit(position)
        if run.channel:
            self.channel.in_flight -= before - run.in_flight
        self.measure_lag(run, position)
        self.queue(run)

    def measure_lag(self, run, position):
        """Learn from how long the newest took that is committed by now."""
        lag, now = None, time.monotonic()
        while run.sent_at and run.sent_at[0][0] <= position + HELD_BYTES_MAX:
            lag = now - run.sent_at.popleft()[1]
        if lag is not None and self.channel:
            run.window = self.channel.window_after(run.window, lag)

    def say(self, data):
        if self.channel:
            self.channel.control.append(data)
            self.pump()

    def pump(self):
        """Write until the channel is full: control frames first, then what runs have, in turns."""
        channel = self.channel
        if channel is None:
            return None
        is_full = False
        try:
            while True:
                if channel.rest is not None:
                    channel.rest = channel.rest[os.write(channel.writer, channel.rest) :] or None
                elif channel.range is not None:
                    fd, at, left = channel.range
                    sent = send_file(channel.writer, fd, at, left)
                    channel.range = (fd, at + sent, left - sent) if sent < left else os.close(fd)
                elif channel.control:
                    channel.rest = memoryview(b"".join(channel.control))
                    channel.control.clear()
                elif not self.take_turn(channel):
                    break
        except BlockingIOError:
            is_full = True
        except OSError as error:
            return self.close("cannot write: %s" % error)
        if is_full != channel.waits_for_room:
            channel.waits_for_room = is_full
            if is_full:
                self.selector.register(channel.writer, self.writable, self.on_channel)
            else:
                self.selector.unregister(channel.writer)
        return None

    def take_turn(self, channel):
        """Choose what to send next; False when nothing may be sent."""
        for _ in range(len(channel.turns)):
            run = channel.turns.popleft()
            run.has_turn = False
            room = min(run.window - run.in_flight, TURN_BYTES)
            if channel.in_flight >= CHANNEL_BYTES_MAX or room <= 0:
                room = 0 if run.in_flight >= HELD_BYTES_MAX else 1
            if run.channel is not channel or not run.unsent or room <= 0:
                continue  # the next commit queues it again
            first, total = run.unsent[0], 0
            while run.unsent and total < room:
                span = run.unsent[0]
                if span.fd != first.fd or span.at != first.at + total:
                    break
                total += span.size
                span.in_flight = span.size
                run.sent.append(run.unsent.popleft())
            run.in_flight += total
            channel.in_flight += total
            run.sent_at.append((run.sent[-1].last, time.monotonic()))
            # A descriptor of its own: a commit or the end of the run may close the other one meanwhile.
            channel.range = (os.dup(first.fd), first.at - first.segment, total)
            if run.unsent:
                run.has_turn = True
                channel.turns.append(run)
            return True
        return False

    def remove_everything(self):
        """The desktop was removed from its server: leave nothing behind."""
        for run in self.runs.values():
            run.remove()
        import shutil

        here = os.getcwd()
        os.chdir("/")
        shutil.rmtree(here, ignore_errors=True)
        try:
            os.rmdir(os.path.dirname(here))  # the server's, when it was the last machine
        except OSError:
            pass
        os._exit(0)


def send_file(out, fd, at, count):
    try:
        sent = os.sendfile(out, fd, at, count)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTSOCK):
            raise
        sent = os.write(out, os.pread(fd, min(count, 65536), at))  # macOS sends files to sockets only
    if not sent:
        raise OSError(errno.EIO, "the journal is shorter than it was")
    return sent


def load_for_supervisors():
    """Load once, before any fork, what each supervisor needs."""
    import termios  # noqa: F401

    try:
        import ctypes  # noqa: F401
    except ImportError:
        pass


def peer_uid(link):
    if hasattr(socket, "SO_PEERCRED"):
        return struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    return struct.unpack("2I", link.getsockopt(0, 1, 8))[1]  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred


def raise_limits():
    """Each run takes a few descriptors; commands get the account's own limit back."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 10240, hard))
        return soft, hard
    except (ImportError, ValueError, OSError):
        return None


def lower_limits(limits):
    if limits:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def outlive_session():
    """Where logind ends an account's processes at logout, move into a scope of our own; what to tell people if not."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    manager = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
    if said_by("busctl", "get-property", *(manager + ("KillUserProcesses",))) != "b true":
        return None
    import pwd

    account = pwd.getpwuid(os.getuid()).pw_name
    if not os.path.exists("/var/lib/systemd/linger/" + account):
        return "kill_user_processes"
    try:
        has_moved = enter_scope("/run/user/%d/systemd/private" % os.getuid())
    except OSError as error:
        log("the account's service manager does not answer: %s" % error)
        has_moved = False
    return None if has_moved else "kill_user_processes"


def enter_scope(manager):
    """Have the account's service manager move this process into a scope, as `systemd-run --user --scope` does.

    One D-Bus call over the manager's own socket: many servers have no bus for each account. Whether it has happened.
    """
    scope = b"mission-control-%d.scope" % os.getpid()
    name = b"org.freedesktop.systemd1"

    def padded(data, to):
        return data + bytes(-len(data) % to)

    def with_text(data, text):
        return padded(data, 4) + struct.pack("<I", len(text)) + text + b"\0"

    pids = padded(with_text(b"", b"PIDs") + b"\2au\0", 4) + struct.pack("<2I", 4, os.getpid())
    body = padded(with_text(with_text(b"", scope), b"fail"), 4)
    body = padded(body + struct.pack("<I", len(pids)), 8) + pids
    body = padded(padded(body, 4) + struct.pack("<I", 0), 8)  # no further units
    fields = b""
    for code, kind, value in (
        (1, b"o", b"/org/freedesktop/systemd1"),
        (2, b"s", name + b".Manager"),
        (3, b"s", b"StartTransientUnit"),
        (6, b"s", name),
    ):
        fields = with_text(padded(fields, 8) + bytes((code, 1)) + kind + b"\0", value)
    signature = b"ssa(sv)a(sa(sv))"
    fields = padded(fields, 8) + b"\x08\x01g\0" + bytes((len(signature),)) + signature + b"\0"
    head = padded(b"l\1\0\1" + struct.pack("<3I", len(body), 1, len(fields)) + fields, 8)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5.0)
        link.connect(manager)
        link.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n" + head + body)
        give_up_at = time.monotonic() + 5.0
        while time.monotonic() < give_up_at:  # the move follows the answer, which says only that it was asked for
            if scope in read("/proc/self/cgroup"):
                return True
            time.sleep(0.02)
    return False


def remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass


def write(path, data):
    """A small file, whole or as it was."""
    made = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(made, data)
    finally:
        os.close(made)
    os.replace(path + ".new", path)


def append_line(path, line):
    """Whole or not at all; its end comes first, so that what a power cut left of another one cannot spoil it."""
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(made).st_size
        try:
            write_all(made, b"\n" + line)
        except OSError:
            os.ftruncate(made, size)
            raise
    finally:
        os.close(made)


def log(text):
    try:
        if os.path.exists("log") and os.path.getsize("log") > LOG_BYTES_MAX:
            os.replace("log", "log.old")
        line = "%s %d %s" % (time.strftime("%Y-%m-%dT%H:%M:%S%z"), os.getpid(), text)
        append_line("log", line.encode("utf-8", "replace"))
    except OSError:
        pass  # no disk: nobody could read it


# --- the relay --------------------------------------------------------------------------------------------------------


def enter_directory(config):
    """Work inside our directory: relative names of sockets are never too long."""
    base = config.get("directory") or os.path.expanduser("~/.local/state/mission-control")
    path = os.path.join(os.path.expanduser(base), config["server"], machine_id())
    os.makedirs(path, 0o700, exist_ok=True)
    os.chdir(path)
    for folder in (path, os.path.dirname(path)):
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            sys.exit("mission-control: %s is not a directory of this account" % folder)
    os.chmod(".", 0o700)


def session_environment():
    """The environment that sshd made, before the account's shell read its start-up files.

    The next runs get it, and their shells read those files themselves, exactly once. Our parent is that shell.
    """
    try:
        found = read("/proc/%d/environ" % os.getppid())
        if b"SSH_C" in found and os.stat("/proc/%d" % os.getppid()).st_uid == os.getuid():
            return [tuple(one.split(b"=", 1)) for one in found.split(b"\0") if b"=" in one]
    except OSError:
        pass  # not Linux: what the shell made of it, without what each shell makes anew
    return [(name, value) for name, value in os.environb.items() if name not in (b"SHLVL", b"_", b"PWD", b"OLDPWD")]


def connect():
    """A connection to a living daemon and its version, or None."""
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(5.0)
        link.connect("sock-%d" % PROTOCOL)
        if peer_uid(link) != os.getuid():
            sys.exit("mission-control: the outpost here belongs to somebody else")
        version = b""
        while not version.endswith(b"\n"):
            more = link.recv(64)
            if not more:
                raise OSError("it left")
            version += more
        return link, version.strip().decode()
    except socket.timeout:
        sys.exit("mission-control: the outpost of this account does not answer; is it stopped?")
    except OSError:
        link.close()
        return None


def find_daemon(config):
    """A connection to a daemon of our version; one of another version makes room, its runs go on."""
    guard = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(guard, fcntl.LOCK_EX)
    found = connect()
    if found and found[1] != config["version"]:
        found[0].sendall(b"L0000")
        while found[0].recv(64):
            pass
        found = None
    if not found:
        start_daemon(config)
        found = connect()
    os.close(guard)
    if not found:
        sys.exit("mission-control: the outpost could not start; its log is %s/log" % os.getcwd())
    return found[0]


def start_daemon(config):
    name = "sock-%d" % PROTOCOL
    remove(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    os.chmod(name, 0o600)
    listener.listen(64)
    config["inode"] = os.stat(name).st_ino
    for folder in ("runs", "ended"):
        os.makedirs(folder, 0o700, exist_ok=True)
    if not os.path.exists("instance") or not os.path.getsize("instance"):
        write("instance", os.urandom(8).hex().encode())
    if os.fork():
        os.wait()
        listener.close()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    close_all_but(listener.fileno())
    try:
        Daemon(listener, config).main()
    except BaseException:  # noqa: BLE001 - said in the log, and the next relay starts another one
        import traceback

        log("daemon: %s" % traceback.format_exc())
    os._exit(1)


def attach(config):
    """Attach the server behind our stdin and stdout, and stay until it is let go."""
    if sys.version_info < (3, 6):
        sys.stderr.write("mission-control: Python 3.6 or newer is needed\n")
        sys.exit(126)  # as a shell says it: not to be run here
    environment = [(name.hex(), value.hex()) for name, value in session_environment()]
    try:
        enter_directory(config)
        link = find_daemon(config)
    except OSError as error:
        where = config.get("directory") or "~/.local/state/mission-control"
        sys.exit("mission-control: %s cannot hold what the outpost keeps (%s)" % (where, error))
    facts = {name: config[name] for name in ("nonce", "log", "generation")}
    facts["environment"] = environment
    data = json.dumps(facts).encode()
    handles = struct.pack("2i", 0, 1)
    try:
        link.sendmsg([b"H" + len(data).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
        link.sendall(data)
        link.settimeout(None)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        while link.recv(64):
            pass
    except OSError:
        pass
    sys.exit("mission-control: the outpost has let go")  # or was killed; matters to who has not heard of it yet
