"""The rate budget over the Workspace table: two instances, one window."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from shared.errors import TransientError
from shared.recall import DEFAULT_LIMITS, SharedBudget
from shared.storage import Tables, WorkspaceStore, open_stores

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
REGION = "eu-central-1"


@pytest.fixture
def workspace(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="workspace",
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield open_stores(Tables(workspace="workspace", region=REGION)).workspace


def spend_until_refused(budget: SharedBudget, endpoint: str) -> int:
    for spent in range(1_000):
        try:
            budget.spend(endpoint)
        except TransientError:
            return spent
    return 1_000


@pytest.mark.parametrize("endpoint", ["calendar_events_list", "calendar_events_bot_create"])
def test_two_instances_share_one_window(workspace: WorkspaceStore, endpoint):
    first, second = (SharedBudget(workspace, clock=lambda: NOW) for _ in range(2))
    for _ in range(10):
        first.spend(endpoint)

    spent = 10 + spend_until_refused(second, endpoint)

    # Tokens leased by the first and not used yet are not lost to it.
    assert spent + spend_until_refused(first, endpoint) == DEFAULT_LIMITS[endpoint]


def test_a_429_is_known_to_the_next_instance(workspace: WorkspaceStore):
    SharedBudget(workspace, clock=lambda: NOW).block("bot_create", seconds=30)

    with pytest.raises(TransientError) as refused:
        SharedBudget(workspace, clock=lambda: NOW).spend("bot_create")

    assert 30 <= refused.value.retry_after <= 40
