"""The API's handler beside a stack: same tables, same queue, same emulated Recall and clock."""

from __future__ import annotations

import json
from typing import Any

import boto3

from functions.calendars import app
from tests.connect_stage import Answer, Context, gateway_event
from tests.stack import Stack
from tests.tables import REGION


class StackApi:
    def __init__(self, stack: Stack) -> None:
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="idempotency",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        more = {"PUBLIC_URL": "https://rollcall.example", "IDEMPOTENCY_TABLE": "idempotency"}
        self.service = app.compose(stack.environment | more, **stack._given())
        self._resolver = app.application(self.service)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        route = f"{method} {path}"
        event: dict[str, Any] = gateway_event(route, path=path, query=query, headers=headers)
        if body is not None:
            event["body"] = json.dumps(body)
        return Answer(self._resolver.resolve(event, Context()))
