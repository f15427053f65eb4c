"""`python -m tests.simulation`: many seeds on all cores, or one seed told in full.

--seeds 10000 [--first 0] [--workers 2]     last line: simulate: 10000 seeds, 0 violations
--seed 4711                                 its story, its faults, and what went wrong
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections import Counter

PROGRESS_SECONDS = 5.0
SHOWN_MAX = 10
# What a world keeps for good would be looked through again and again, at 700 as by default.
GARBAGE_OBJECTS = 10_000


def main() -> int:
    given = _arguments()
    # Nothing here goes to AWS; botocore wants to be told so.
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return _one(given.seed) if given.seed is not None else _many(given)


def _one(seed: str) -> int:
    from tests.simulation.seeds import play

    outcome = play(seed)
    print(*outcome.story, sep="\n")
    print(f"faults: {outcome.faults}")
    print(*outcome.violations or ("no violation",), sep="\n")
    return 1 if outcome.violations else 0


def _many(given: argparse.Namespace) -> int:
    from tests.simulation.seeds import play

    _set_up()
    started = told = time.monotonic()
    seeds = range(given.first, given.first + given.seeds)
    bad: list[str] = []
    violations, faults = 0, Counter[str]()
    with multiprocessing.Pool(given.workers, maxtasksperchild=500) as pool:
        for done, outcome in enumerate(pool.imap_unordered(play, seeds, chunksize=4), start=1):
            faults.update(outcome.faults)
            if outcome.violations:
                violations += len(outcome.violations)
                bad.append(outcome.seed)
                _tell(outcome.seed, outcome.violations, shown=len(bad) <= SHOWN_MAX)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                rate = done / (told - started)
                print(f"{done}/{given.seeds} seeds, {rate:.1f} a second", flush=True)
    seconds = time.monotonic() - started
    kinds = ", ".join(f"{name} {count}" for name, count in faults.most_common())
    print(f"faults met: {kinds}")
    print(f"{sum(faults.values())} faults in {seconds:.0f} s; seeds with violations: {bad}")
    print(f"simulate: {given.seeds} seeds, {violations} violations")
    return 1 if violations else 0


def _set_up() -> None:
    """What a first world leaves behind serves all others: no search for garbage looks there again.

    Workers are forks of this process, and so the first world is theirs, too.
    """
    from tests.simulation.seeds import play

    play("set-up")
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


def _tell(seed: str, violations: tuple[str, ...], *, shown: bool) -> None:
    if shown:
        print(f"seed {seed}:", *violations, sep="\n  ")
        print(f"  replay: make simulate SEED={seed}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
