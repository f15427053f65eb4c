"""moto's SQS without the work that it repeats: its queues carry storms in linear time.

To answer for any one attribute moto looks at every message three times, at each send and each
receive, with a clock that takes two microseconds a look.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import moto.sqs.models
from moto.core.utils import camelcase_to_underscores
from moto.sqs.models import Queue

from infra.local.emulators.clock import Clock


@contextmanager
def quick_queues(clock: Clock | None = None) -> Iterator[None]:
    """Queues work like this, by the clock, for as long as the context is open."""
    seconds = time.time if clock is None else lambda: clock.now().timestamp()
    with (
        patch.object(moto.sqs.models, "unix_time", seconds),
        patch.object(moto.sqs.models, "unix_time_millis", lambda: seconds() * 1000),
        patch.object(Queue, "attributes", property(QueueAttributes)),
    ):
        yield


class QueueAttributes(Mapping[str, Any]):
    """What `Queue.attributes` of moto answers, each attribute found when it is asked for."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  numbers and texts
        if name not in self._names():
            raise KeyError(name)
        value = getattr(self._queue, camelcase_to_underscores(name))
        if name == "RedrivePolicy":
            return json.dumps(value)
        return str(value).lower() if isinstance(value, bool) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        queue = self._queue
        return [
            *queue.BASE_ATTRIBUTES,
            *(queue.FIFO_ATTRIBUTES if queue.fifo_queue else ()),
            *(queue.KMS_ATTRIBUTES if getattr(queue, "kms_master_key_id", None) else ()),
            *(["Policy"] if queue.policy else ()),
            *(["RedrivePolicy"] if queue.redrive_policy else ()),
        ]
