"""Fuzz the borders: `python -m tests.fuzz --deliveries 1000000`, and `--only N` replays one."""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout

from tests import conftest  # noqa: F401 - settings that reach no real account
from tests.fuzz.api import ask, open_site
from tests.fuzz.deliveries import delivery
from tests.fuzz.verifier import Findings, play, play_stretch

STRETCH = 5_000
SHOWN_MAX = 20


def main() -> int:
    options = _options()
    if options.only is not None:
        return _replay(options.only, seed=options.seed)
    started = time.monotonic()
    total = Findings(Counter(), {})
    for done, found in _played(options.deliveries, seed=options.seed, workers=options.workers):
        total.statuses.update(found.statuses)
        total.differences.update(found.differences)
        _tell_progress(done, options.deliveries, seconds=time.monotonic() - started)
    _tell_findings(total, seed=options.seed)
    seconds = time.monotonic() - started
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(total.statuses.items()))
    print(f"answers {answers}; {options.deliveries / seconds:.0f} deliveries a second")
    sound = _ask_api(options.questions, seed=options.seed)
    print(
        f"fuzz: {options.deliveries} deliveries, {len(total.differences)} differences, "
        f"{total.errors} errors"
    )
    return 0 if sound and not total.differences else 1


def _ask_api(questions: int, *, seed: int) -> bool:
    """Whether the HTTP API answers as its description promises."""
    with redirect_stdout(io.StringIO()), open_site() as site:
        found = ask(site, examples=questions, seed=seed)
    for name, example in found.wrong.items():
        print(f"{name}\n{example}")
    print(f"api: {found.asked} requests, {len(found.wrong)} kinds of wrong answers")
    return not found.wrong


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument(
        "--questions", type=int, default=100, help="to each operation of the HTTP API"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", type=int, help="replay the delivery of this number and show it")
    return parser.parse_args()


def _played(count: int, *, seed: int, workers: int) -> Iterator[tuple[int, Findings]]:
    """Stretches as they come, with how many deliveries are done."""
    stretches = [range(at, min(at + STRETCH, count)) for at in range(0, count, STRETCH)]
    done = 0
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        work = [(stretch, seed) for stretch in stretches]
        for size, found in pool.imap_unordered(play_stretch, work):
            done += size
            yield done, found


def _tell_progress(done: int, of: int, *, seconds: float) -> None:
    end = "\n" if done == of else "\r"
    print(f"{done} of {of} deliveries, {seconds:.0f} s", end=end, file=sys.stderr, flush=True)


def _tell_findings(total: Findings, *, seed: int) -> None:
    for number, found in sorted(total.differences.items())[:SHOWN_MAX]:
        story = ", ".join(delivery(number, seed=seed).story)
        print(f"delivery {number} ({story}): {'; '.join(found)}")
        print(f"  replay: python -m tests.fuzz --seed {seed} --only {number}")


def _replay(number: int, *, seed: int) -> int:
    given = delivery(number, seed=seed)
    print(", ".join(given.story))
    print(f"secrets {given.configuration!r}, queue {given.refusal or 'takes it'}")
    print(given.event())
    found = play(range(number, number + 1), seed=seed)
    print(f"answered {next(iter(found.statuses))}")
    for difference in found.differences.get(number, []):
        print(f"difference: {difference}")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
