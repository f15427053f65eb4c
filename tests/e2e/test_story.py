"""A stranger runs the story: every step holds, and nothing secret is on the screen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

full = pytest.mark.full
ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 400


@pytest.fixture(scope="module", params=["managed", pytest.param("self_managed", marks=full)])
def telling(request: pytest.FixtureRequest) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.local", "--exit", "--port", "0", "--mode", request.param],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "the-developers-own"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_every_step_holds(telling: subprocess.CompletedProcess[str]) -> None:
    assert telling.returncode == 0, telling.stdout + telling.stderr
    assert re.search(r"^ready: http://127\.0\.0\.1:\d+$", telling.stdout, re.MULTILINE)
    assert "story: every step held" in telling.stdout
    assert "FAILED" not in telling.stdout


def test_the_figures_are_told(telling: subprocess.CompletedProcess[str]) -> None:
    _, _, figures = telling.stdout.partition("Figures")
    for name in (
        "From start to the first bot",
        "Change to bot, with webhooks",
        "Change to bot, webhooks lost (tick 5 s)",
        "Storm of 500 doorbells",
        "Import of 300 events",
        "Sweep over an unchanged world",
        "New rules until every bot fits",
        "bots to managed",
        "bots to self_managed",
    ):
        assert name in figures


def test_nothing_secret_is_told(telling: subprocess.CompletedProcess[str]) -> None:
    log = (ROOT / "build" / "local-host.log").read_text()
    for text in (telling.stdout, telling.stderr, log):
        assert not re.search(r"rk_|whsec_|AKIA|completion_code=|[?&]code=|/connect/\w", text)
        assert "@" not in text.replace("@timestamp", "")


def test_without_a_terminal_there_are_no_colours(
    telling: subprocess.CompletedProcess[str],
) -> None:
    assert "\x1b[" not in telling.stdout


def test_missing_settings_are_named_all_at_once() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "infra.local", "--exit", "--port", "0"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "RECALL_API_KEY": "x",
            "GOOGLE_CLIENT_ID": "y",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    for name in ("RECALL_BASE_URL", "RECALL_WEBHOOK_SECRET", "GOOGLE_CLIENT_SECRET"):
        assert name in refused.stderr
    assert "Traceback" not in refused.stderr
