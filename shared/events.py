"""The event bus: the only door to EventBridge."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.notice import Notice, notice_detail
from shared.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE: Final = "rollcall"
ENTRIES_MAX: Final = 10


class EventBus:
    """Tells the host what happened, at least once; the detail's `id` is equal in repetitions."""

    def __init__(self, client: EventBridgeClient, name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, notices: Iterable[Notice]) -> None:
        """Publish all; TransientError `events_unavailable` when one was refused."""
        for batch in _batches(map(self._entry, notices)):
            self._put(batch)

    def _entry(self, notice: Notice) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": notice.TYPE,
            "Detail": json.dumps(notice_detail(notice)),
        }

    def _put(self, batch: list[PutEventsRequestEntryTypeDef]) -> None:
        message = "The event bus did not take every event."
        try:
            answer = self._client.put_events(Entries=batch)
        except (BotoCoreError, ClientError) as error:
            raise TransientError("events_unavailable", message) from error
        if answer["FailedEntryCount"]:
            raise TransientError("events_unavailable", message)


def _batches(
    entries: Iterator[PutEventsRequestEntryTypeDef],
) -> Iterator[list[PutEventsRequestEntryTypeDef]]:
    while batch := list(islice(entries, ENTRIES_MAX)):
        yield batch
