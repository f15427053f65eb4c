"""A small fixed part of the fuzzed deliveries, and that the fuzzer sees what it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.webhooks import app
from tests.fuzz import verifier
from tests.fuzz.deliveries import delivery
from tests.fuzz.verifier import play

SEED = 1
NUMBERS = range(5_000)


@pytest.fixture(scope="module")
def findings():
    return play(NUMBERS, seed=SEED)


def test_every_delivery_is_answered_as_the_library_would_have_it(findings):
    assert {} == findings.differences


def test_all_answers_come_about_often_enough_to_mean_something(findings):
    least = {204: 1_500, 401: 1_500, 413: 5, 500: 50, 503: 20}
    assert least.keys() == findings.statuses.keys()
    assert all(findings.statuses[status] >= count for status, count in least.items())


def test_a_number_and_a_seed_make_the_same_delivery_again():
    assert [delivery(n, seed=7) for n in range(300)] == [
        delivery(n, seed=7) for n in reversed(range(300))
    ][::-1]
    assert delivery(1, seed=7) != delivery(1, seed=8)


def caught(numbers=range(1_500)):
    verifier.bench.cache_clear()
    return play(numbers, seed=SEED).differences


@pytest.fixture
def _fresh_benches():
    yield
    verifier.bench.cache_clear()


@pytest.mark.usefixtures("_fresh_benches")
class TestAPlantedBugIsSeen:
    def test_believing_everybody(self, monkeypatch):
        monkeypatch.setattr(
            app, "verified_delivery", lambda body, headers, **_: headers.get("svix-id", "msg")
        )
        assert caught()

    def test_a_wider_tolerance_is_the_librarys_to_refuse(self, monkeypatch):
        from functions.webhooks import signature

        monkeypatch.setattr(signature, "TOLERANCE", timedelta(minutes=6))
        assert not caught()

    def test_a_narrower_tolerance(self, monkeypatch):
        from functions.webhooks import signature

        monkeypatch.setattr(signature, "TOLERANCE", timedelta(seconds=299))
        assert caught()

    def test_an_error_that_the_library_lets_through(self, monkeypatch):
        from functions.webhooks import signature

        def naive(body, headers, *, verifier):
            verifier.verify(body, headers)
            return True

        monkeypatch.setattr(signature, "_signed", naive)
        assert any("uncaught" in found for each in caught().values() for found in each)

    def test_an_acknowledgement_before_the_queue_has_it(self, monkeypatch):
        real = app._receive

        def hasty(event, service):
            return real(event, replace(service, queue=Forgetful()))

        monkeypatch.setattr(app, "_receive", hasty)
        assert caught()

    def test_the_calendar_as_deduplication_id(self, monkeypatch):
        real = app.Queue.send
        monkeypatch.setattr(
            app.Queue,
            "send",
            lambda self, message, unique: real(
                self, message, unique=getattr(message, "calendar_id", unique)
            ),
        )
        assert caught()


class Forgetful:
    def send(self, message, *, unique):
        """Keeps nothing and complains of nothing."""
