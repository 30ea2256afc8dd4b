"""What the demo agent can do without a model: a few skills that really run, chosen by words in the prompt.

It finds commands in backticks, knows some questions about the machine and its folder, and says honestly what it
cannot do. Every figure in an answer comes out of a command that ran for it.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

from .voice import Ran, Voice

FILES_MAX = 8  # summarised in one answer
FILE_BYTES_MAX = 48 * 1024  # read of each
COMMANDS_MAX = 10  # run for one prompt
SHOWN_LINES_MAX = 40  # of a command's output in the answer; all of it stands with the tool

FEEDBACK_MARK = "Feedback on the previous attempt:\n"  # how a retried prompt carries what its reviewer wrote

Detail = Literal["brief", "normal", "detailed"]


class Asked(NamedTuple):
    """A prompt as the agent understands it."""

    prompt: str
    feedback: str | None
    detail: Detail

    @classmethod
    def of(cls, messages: Sequence[str]) -> Asked:
        """What a person wants, from all their messages of this conversation, oldest first.

        A retry is the same prompt with the newest feedback below it, or only the feedback where both would be too
        long; then the first message says what it is about.
        """
        first, last = messages[0], messages[-1]
        prompt = last.partition(FEEDBACK_MARK)[0].strip() or first.partition(FEEDBACK_MARK)[0].strip()
        feedback = last.rpartition(FEEDBACK_MARK)[2].strip() if FEEDBACK_MARK in last else None
        return cls(prompt, feedback, _detail(feedback or "") or _detail(prompt) or "normal")

    @property
    def rows(self) -> int:
        """How many lines of a ranking are wanted."""
        return {"brief": 3, "normal": 8, "detailed": 20}[self.detail]


async def answer(voice: Voice, asked: Asked) -> None:
    """Do what the prompt asks for, or say what is possible."""
    commands = commands_in(asked.feedback or "") or commands_in(asked.prompt)
    if asked.feedback:
        await voice.say(_heard(asked, commands))
    if commands:
        await _run_commands(voice, commands)
        return
    skill = next((skill for skill in SKILLS if skill.matches(asked.prompt)), None)
    if skill is None:
        await voice.say(explanation())
    else:
        await skill.perform(voice, asked)


class Skill(NamedTuple):
    """Something the agent can do, the words that ask for it, and an example for people."""

    name: str
    words: re.Pattern[str]
    example: str
    perform: Callable[[Voice, Asked], Awaitable[None]]

    def matches(self, prompt: str) -> bool:
        return self.words.search(prompt) is not None


def commands_in(text: str) -> list[str]:
    """The commands that a text names in backticks, single or fenced, each once."""
    fenced = re.findall(r"```(?:\w*\n)?(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return list(dict.fromkeys(command.strip() for command in [*fenced, *inline] if command.strip()))[:COMMANDS_MAX]


def explanation() -> str:
    """What this agent is, for a prompt that no skill fits."""
    skills = "\n".join(f"- **{skill.name}** — “{skill.example}”" for skill in SKILLS)
    return (
        "I am the demo agent: a small set of rules, and no language model is configured for me. "
        "No skill of mine fits this prompt, so I have done nothing.\n\n"
        "What I can really do, in this desktop's own folder:\n\n"
        "- **Run commands** — put them in backticks: “Run `uname -a` and `ls -l`”\n"
        f"{skills}\n\n"
        "To have me think for myself, start Mission Control with `OPENAI_BASE_URL`, `OPENAI_API_KEY` and "
        "`OPENAI_MODEL` set: then I work on any prompt with that model and a shell. "
        "For real work, add a desktop of your own with its agent."
    )


def _detail(text: str) -> Detail | None:
    if re.search(r"\b(brief|briefly|short|shorter|less|concise|compact)\b", text, re.IGNORECASE):
        return "brief"
    if re.search(r"\b(more|detail|details|detailed|longer|complete|everything)\b", text, re.IGNORECASE):
        return "detailed"
    return None


def _heard(asked: Asked, commands: Sequence[str]) -> str:
    quoted = "\n".join(f"> {line}" for line in (asked.feedback or "").strip().splitlines())
    wish = _detail(asked.feedback or "")
    if commands:
        follows = "So this time I run what you named."
    elif wish:
        follows = {"brief": "So this time: shorter.", "normal": "", "detailed": "So this time: in more detail."}[wish]
    else:
        follows = (
            "My rules find nothing in it that I could follow (I understand *shorter*, *more detail* and commands in "
            "backticks), so I do the task once more as it stands."
        )
    return f"You rejected my earlier answer:\n\n{quoted}\n\n{follows}\n\n"


# --- the skills -------------------------------------------------------------------------------------------------------


async def _run_commands(voice: Voice, commands: Sequence[str]) -> None:
    steps = [f"Run {command.splitlines()[0]}" for command in commands]
    ran: list[Ran] = []
    for at, command in enumerate(commands):
        await voice.plan(steps, at)
        ran.append(await voice.run(command))
    await voice.plan(steps, len(steps))
    failed = [run for run in ran if not run.is_good]
    what = "the command" if len(ran) == 1 else f"{len(ran)} commands"
    if failed:
        await voice.say(f"I ran {what}; **{len(failed)} of {len(ran)} failed**.\n\n")
    else:
        await voice.say(
            f"I ran {what}, and all went well.\n\n" if len(ran) > 1 else "I ran the command; it went well.\n\n"
        )
    for run in ran:
        await voice.say(f"{_inline(run.command)} — {_ending(run)}\n\n")
        await voice.pass_on(_block(run.output))


async def _disk(voice: Voice, asked: Asked) -> None:
    steps = ["Look at the file system", "Find what takes the most room", "Tell what stands out"]
    await voice.plan(steps, 0)
    system = await voice.run("df -hP .")
    await voice.plan(steps, 1)
    usage = await voice.run(f"du -ak . | sort -rn | head -n {asked.rows + 1}")
    await voice.plan(steps, 2)
    await voice.say("## Disk\n\n")
    fields = system.output.splitlines()[-1].split() if system.is_good and system.output.strip() else []
    if len(fields) >= 6:
        await voice.say(
            f"The file system of this folder has **{fields[3]} free** of {fields[1]} ({fields[4]} used).\n\n"
        )
    else:
        await voice.say(f"`df` did not say how full the file system is ({_ending(system)}).\n\n")
    await voice.say(_table("Size", "In this desktop's folder", _sizes(usage.output)))
    await voice.plan(steps, 3)


async def _largest(voice: Voice, asked: Asked) -> None:
    steps = ["Measure every file", "List the largest"]
    await voice.plan(steps, 0)
    ran = await voice.run(f"find . -type f -exec du -k {{}} + | sort -rn | head -n {asked.rows}")
    await voice.plan(steps, 1)
    await voice.say("## Largest files\n\n" + _table("Size", "File", _sizes(ran.output)))
    await voice.plan(steps, 2)


async def _summary(voice: Voice, asked: Asked) -> None:
    named = re.findall(r"[\w./-]+\.\w+", asked.prompt)
    steps = ["Find the files", "Read them", "Summarise"]
    await voice.plan(steps, 0)
    if named:
        files = list(dict.fromkeys(named))[:FILES_MAX]
    else:
        found = await voice.run("find . -type f -not -path '*/.*' -size -1024k | sort")
        files = found.output.splitlines()[:FILES_MAX]
    await voice.plan(steps, 1)
    texts = [await voice.run(f"head -c {FILE_BYTES_MAX} -- {shlex.quote(file)}") for file in files]
    await voice.plan(steps, 2)
    if not files:
        await voice.say("There are no files here to summarise.")
    for file, text in zip(files, texts, strict=True):
        await voice.say(f"### {_inline(file)}\n\n{summary_of(file, text, asked.detail)}\n\n")
    await voice.plan(steps, 3)


async def _report(voice: Voice, asked: Asked) -> None:
    facts = {
        "System": "uname -srm",
        "Up": "uptime",
        "Processors": "getconf _NPROCESSORS_ONLN",
        "Memory": "free -h || vm_stat",
        "Disk": "df -hP .",
    }
    if asked.detail == "brief":
        facts = {name: facts[name] for name in ("System", "Up")}
    elif asked.detail == "detailed":
        facts["Busiest processes"] = _PROCESSES.format(rows=asked.rows)
    steps = [f"Ask for: {name.lower()}" for name in facts]
    ran: dict[str, Ran] = {}
    for at, (name, command) in enumerate(facts.items()):
        await voice.plan(steps, at)
        ran[name] = await voice.run(command)
    await voice.plan(steps, len(steps))
    await voice.say("## System report\n\n")
    for name, run in ran.items():
        if not run.is_good:
            await voice.say(f"- **{name}**: not to be found out ({_ending(run)})\n")
        elif run.output.count("\n") <= 1:
            await voice.say(f"- **{name}**: {' '.join(run.output.split())}\n")
        else:
            await voice.say(f"- **{name}**:\n\n")
            await voice.pass_on(_block(run.output))


async def _list(voice: Voice, asked: Asked) -> None:
    steps = ["List the folder"]
    await voice.plan(steps, 0)
    ran = await voice.run("ls -la" if asked.detail == "detailed" else "ls -lhp")
    await voice.plan(steps, 1)
    await voice.say("This desktop's folder holds:\n\n")
    await voice.pass_on(_block(ran.output))


_PROCESSES = "ps -eo pid,pcpu,pmem,etime,comm | sort -k2 -rn | head -n {rows}"


async def _processes(voice: Voice, asked: Asked) -> None:
    steps = ["Look at what runs"]
    await voice.plan(steps, 0)
    ran = await voice.run(_PROCESSES.format(rows=asked.rows))
    await voice.plan(steps, 1)
    await voice.say("The busiest processes (pid, CPU %, memory %, running since, name):\n\n")
    await voice.pass_on(_block(ran.output))


async def _write(voice: Voice, asked: Asked) -> None:
    match = _WRITE.search(asked.prompt)
    assert match is not None, "the skill was chosen by this pattern"
    name, text = match["name"], match["text"].strip().strip("\"“”'")
    steps = [f"Write {name}", "Look whether it is there"]
    await voice.plan(steps, 0)
    written = await voice.run(f"printf '%s\\n' {shlex.quote(text)} > {shlex.quote(name)}")
    await voice.plan(steps, 1)
    seen = await voice.run(f"ls -l -- {shlex.quote(name)} && cat -- {shlex.quote(name)}")
    await voice.plan(steps, 2)
    if written.is_good and seen.is_good:
        await voice.say(f"I wrote {_inline(name)}:\n\n")
    else:
        await voice.say(f"I could not write {_inline(name)}:\n\n")
    await voice.pass_on(_block(written.output + seen.output))


_WRITE = re.compile(
    r"\b(?:create|write|make)\b.{0,20}?\bfile\s+(?:called\s+|named\s+)?[\"“']?(?P<name>[\w.-]+)[\"”']?\s+"
    r"(?:with|containing|that says|saying)(?:\s+(?:the\s+)?(?:text|content|words?))?:?\s+(?P<text>.+)",
    re.IGNORECASE | re.DOTALL,
)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


SKILLS: tuple[Skill, ...] = (
    Skill("Write a file", _WRITE, "Create a file hello.txt with “Hello, world”", _write),
    Skill(
        "Largest files",
        _words(r"(?:largest|biggest|big|huge) (?:\d+ )?files?"),
        "What are the largest files?",
        _largest,
    ),
    Skill("Summaries", _words(r"summar\w+"), "Summarise the files", _summary),
    Skill(
        "System report",
        _words(r"system (?:report|info\w*|status)|health (?:check|report)|uptime|memory|cpu|ram"),
        "Give me a system report",
        _report,
    ),
    Skill("Disk usage", _words(r"disks?|disk (?:usage|space)|space|storage"), "How full is the disk?", _disk),
    Skill("Processes", _words(r"process(?:es)?|what is running"), "Which processes are busiest?", _processes),
    Skill(
        "List files", _words(r"(?:list|show|which|what) .{0,20}(?:files|folders?|director\w+)"), "List the files", _list
    ),
)


# --- telling ----------------------------------------------------------------------------------------------------------


def summary_of(file: str, read: Ran, detail: Detail = "normal") -> str:
    """What can be said about a text without understanding it: its size, its shape, its outstanding parts."""
    if not read.is_good:
        return f"I could not read it: {' '.join(read.output.split()) or _ending(read)}"
    text = read.output
    if "\x00" in text:
        return "It is not a text."
    lines = text.splitlines()
    counted = f"{len(lines)} lines, {len(text.split())} words"
    if detail == "brief" or not lines:
        return counted + "."
    if file.endswith(".csv"):
        return f"{counted}. {_csv(lines)}"
    if file.endswith(".log"):
        return f"{counted}. {_log(lines)}"
    headings = [line.lstrip("# ").strip() for line in lines if re.match(r"#{1,3} ", line)]
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    prose = next((part for part in paragraphs if part and not part.startswith("#")), "")
    told = [f"{counted}."]
    if headings:
        told.append("Headings: " + "; ".join(headings[:8]) + ".")
    if prose:
        told.append(f"It begins: “{prose[:240]}{'…' if len(prose) > 240 else ''}”")
    common = Counter(re.findall(r"[a-zà-ÿ]{5,}", text.lower())).most_common(6)
    if detail == "detailed" and common:
        told.append("Frequent words: " + ", ".join(f"{word} ({count})" for word, count in common) + ".")
    return " ".join(told)


def _csv(lines: Sequence[str]) -> str:
    head, *rows = ([cell.strip() for cell in line.split(",")] for line in lines if line.strip())
    told = [f"A table of {len(rows)} rows with the columns {', '.join(head)}."]
    for at, name in enumerate(head):
        try:
            figures = [float(row[at]) for row in rows]
        except (ValueError, IndexError):
            continue  # a column of words
        if figures:
            mean = sum(figures) / len(figures)
            told.append(f"{name}: {min(figures):g} to {max(figures):g}, mean {mean:,.1f}, sum {sum(figures):,g}.")
    return " ".join(told)


def _log(lines: Sequence[str]) -> str:
    levels = Counter(
        match[0] for line in lines if (match := re.search(r"\b(DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL)\b", line))
    )
    told = "Levels: " + ", ".join(f"{level} {count}" for level, count in levels.most_common()) + "." if levels else ""
    last = next((line.strip() for line in reversed(lines) if re.search(r"\b(ERROR|FATAL)\b", line)), None)
    return f"{told} Last error: `{last[:160].replace('`', chr(39))}`" if last else told


def _sizes(du: str) -> list[tuple[str, str]]:
    """Lines of `du -k` as sizes that people read, without the folder itself."""
    rows: list[tuple[str, str]] = []
    for line in du.splitlines():
        size, _, path = line.partition("\t")
        if size.isdigit() and path not in (".", ""):
            kib = int(size)
            rows.append((f"{kib} KiB" if kib < 1024 else f"{kib / 1024:.1f} MiB", _inline(path)))
    return rows


def _table(left: str, right: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return "Nothing was found.\n"
    return f"| {left} | {right} |\n|---:|---|\n" + "".join(f"| {one} | {other} |\n" for one, other in rows)


def _inline(text: str) -> str:
    """Text as code within a line of Markdown."""
    first, *more = text.replace("`", "'").replace("|", "\\|").splitlines() or [""]
    return f"`{first}{' …' if more else ''}`"


def _block(output: str) -> str:
    """Output as a block of Markdown that its own backticks cannot end."""
    lines = output.rstrip("\n").splitlines()
    left_out = len(lines) - SHOWN_LINES_MAX
    if left_out > 0:
        lines = [*lines[: SHOWN_LINES_MAX - 10], f"… {left_out} lines left out …", *lines[-10:]]
    fence = "`" * (max(map(len, re.findall(r"`{3,}", output)), default=2) + 1)
    return f"{fence}\n" + "\n".join(lines or ["(no output)"]) + f"\n{fence}\n\n"


def _ending(run: Ran) -> str:
    if run.code is None:
        return "ended at its time limit"
    return (
        "exit code 0" if run.code == 0 else f"**exit code {run.code}**" if run.code > 0 else f"**signal {-run.code}**"
    )
