"""The random mix for as long as one likes, on a new site with a new seed every minute or so."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.faults.mix import FAULTS, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Random faults against a real fleet of one.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10); a round that has begun is ended")
    parser.add_argument("--seed", type=int, help="of the first round; the next ones follow from it")
    parser.add_argument("--steps", type=int, default=60, help="runs and faults in a round (60)")
    parser.add_argument(
        "--only", action="append", choices=sorted(set(FAULTS)), help="this kind of fault; again for more"
    )
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    began, faults, violations = time.monotonic(), Counter[str](), 0
    rounds = runs = written = events = 0
    while not rounds or time.monotonic() < began + given.minutes * 60:
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
        rounds += 1
        try:
            history, met = asyncio.run(play(folder, seed, given.steps, given.only))
        except Exception:  # noqa: BLE001 - whatever it is, the rounds after it are worth as much
            violations += 1
            print(f"round {rounds}, seed {seed}: FAILED; its files are in {folder}")
            print(traceback.format_exc())
            only = "".join(f" --only {kind}" for kind in given.only or ())
            print(f"Repeat it with: scripts/soak --minutes 0 --steps {given.steps} --seed {seed}{only}")
        else:
            faults += met
            runs += len(history.runs)
            events += len(history.log)
            size = sum(one.payload["length"] for one in history.log if one.type == "task.output")
            written += size
            said = f"{len(history.runs)} runs, {size:,} bytes, {met.total()} faults"
            print(f"round {rounds}, seed {seed}: fine ({said}; {time.monotonic() - began:.0f} s)", flush=True)
            shutil.rmtree(folder)
        seed += 1
    print(f"\n{rounds} rounds: {runs} runs, {events:,} events, {written:,} bytes, {faults.total()} faults")
    for name, count in faults.most_common():
        print(f"  {count:5} {name}")
    print(f"{violations} rounds broke a promise" if violations else "every promise was kept")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
