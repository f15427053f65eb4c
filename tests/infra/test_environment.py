"""Each function is given exactly the variables that it reads when it is put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from functions.authorizer import app as authorizer
from functions.calendars import app as calendars
from functions.console import app as console
from functions.oauth import app as oauth
from functions.reconciler import app as reconciler
from functions.scheduler import app as scheduler
from functions.webhooks import app as webhooks
from shared.recall import new_session
from tests.connect_stage import open_stage
from tests.infra.template import Template, referred
from tests.tables import REGION

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
# Lambda says it by itself, and refuses a template that does.
SAID_BY_LAMBDA = {"AWS_REGION"}


class Read(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        self._values = values

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("a function asks for what it needs by name")

    def __len__(self) -> int:
        return len(self._values)


def _client(name: str) -> Any:
    return boto3.client(name, region_name=REGION)


def _clock() -> datetime:
    return NOON


COMPOSED: dict[str, Callable[[Read], object]] = {
    "AuthorizerFunction": authorizer.compose,
    "CalendarsFunction": lambda read: calendars.compose(
        read, client=_client, session=new_session(1), clock=_clock, chance=secrets.token_urlsafe
    ),
    "ConsoleFunction": lambda read: console.compose(
        read, client=_client, session=new_session(1), clock=_clock, chance=secrets.token_urlsafe
    ),
    "OauthFunction": lambda read: oauth.compose(
        read, client=_client, session=new_session(1), clock=_clock, chance=secrets.token_urlsafe
    ),
    "ReconcilerFunction": lambda read: reconciler.compose(
        read, client=_client, session=new_session(1), clock=_clock, chance=secrets.token_urlsafe
    ),
    "SchedulerFunction": lambda read: scheduler.compose(
        read, client=_client, session=new_session(1), clock=_clock, chance=secrets.token_urlsafe
    ),
    "WebhooksFunction": lambda read: webhooks.compose(read, client=_client, clock=_clock),
}


@pytest.fixture(scope="module")
def values() -> Iterator[dict[str, str]]:
    """Good values of every variable."""
    with open_stage(FEED_MODE="workspace") as stage:
        yield stage.environment


@pytest.mark.parametrize("function", COMPOSED)
def test_a_function_is_given_what_it_reads_and_no_more(
    template: Template, values: dict[str, str], function: str
) -> None:
    read = Read(values)
    COMPOSED[function](read)
    given = set(template.environment(function))

    assert {"missing": set(), "unused": set()} == {
        "missing": read.names - SAID_BY_LAMBDA - given,
        "unused": given - read.names,
    }


def test_every_function_is_composed(template: Template) -> None:
    assert set(template.functions()) == set(COMPOSED)


@pytest.mark.parametrize("function", COMPOSED)
def test_what_a_function_is_given_it_may_touch_and_nothing_else(
    template: Template, function: str
) -> None:
    stated = template.functions()[function]
    named = {referred(value) for value in template.environment(function).values()}
    allowed = {
        resource
        for statement in template.statements_of(function)
        for resource in statement.logical_resources()
    }

    assert named & set(template.resources) == allowed - {
        referred(stated["LoggingConfig"]["LogGroup"])
    }
