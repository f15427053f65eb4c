"""The story: told step by step in the terminal, held or not by what the world shows."""

from __future__ import annotations

import time
from collections import Counter

from infra.local.host import LocalHost
from infra.local.product import UnexpectedAnswerError
from infra.local.rules_scenes import RulesScenes
from infra.local.steps import Step, steps
from infra.local.terminal import Terminal
from infra.local.watch import StepFailedError
from shared.domain.rules import Scheduling


def tell_story(host: LocalHost, terminal: Terminal, *, mode: Scheduling, began: float) -> bool:
    """Play every step; False when one did not hold (the rest is then left out).

    `mode`: how bots are scheduled at first. `began`: the monotonic time at which the process
    started.
    """
    world = host.outside.recall
    if world is None:
        raise ValueError("the story needs the emulated Recall")
    scenes = RulesScenes(
        host,
        world,
        mode=mode,
        began=began,
        tell=lambda text: terminal.paragraph(text, mark="     "),
    )
    try:
        held = all(
            _play(step, scenes, title=f"{number:2d}  {title}", terminal=terminal)
            for number, (title, step) in enumerate(steps(mode), 1)
        )
    finally:
        scenes.close()
    terminal.heading("Figures")
    terminal.rows(scenes.figures.lines)
    took = time.monotonic() - began
    terminal.say()
    if held:
        terminal.say(f"story: every step held, {took:.0f} s", colour="green")
    else:
        terminal.say(f"story: not every step held, {took:.0f} s", colour="red")
    return held


def _play(step: Step, scenes: RulesScenes, *, title: str, terminal: Terminal) -> bool:
    terminal.heading(title)
    began = time.monotonic()
    try:
        step(scenes)
    except (StepFailedError, UnexpectedAnswerError) as error:
        terminal.paragraph(f"FAILED: {error}", mark="     ", colour="red")
        return False
    finally:
        news = Counter(scenes.bus_news())
        if news:
            told = ", ".join(f"{name} x{count}" for name, count in sorted(news.items()))
            terminal.paragraph(f"bus: {told}", mark="     ", colour="faint")
    terminal.say(f"     held, {time.monotonic() - began:.1f} s", colour="green")
    return True
