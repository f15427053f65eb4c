"""What the function is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from shared.entrypoints.idempotency import Idempotency
from shared.events import EventBus
from shared.flows.connect import BrowserDoors, ConnectDoors
from shared.flows.dead_letters import DeadLetterDoors
from shared.flows.doors import CalendarDoors
from shared.flows.erase import ErasureDoors
from shared.flows.meetings import MeetingDoors
from shared.flows.neighbours import Neighbours, Workers
from shared.flows.preview import Previewer
from shared.flows.rules import RulesDoors
from shared.observability import Log
from shared.providers.clients import OAuthClients
from shared.queue import DeadLetterQueue, Queue
from shared.recall.client import RecallClient
from shared.secrets import Seal, SecretStore
from shared.storage import Stores

UNIQUE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Doors and settings."""

    stores: Stores
    queue: Queue
    dead: DeadLetterQueue
    bus: EventBus
    secrets: SecretStore
    seal: Seal
    clients: OAuthClients
    recall: RecallClient
    limits: Mapping[str, int]
    idempotency: Idempotency
    log: Log
    clock: Callable[[], datetime]
    chance: Callable[[int], str]
    workers: Workers
    public_url: str
    return_urls: tuple[str, ...]
    allow_unconfirmed: bool
    embed_origins: tuple[str, ...]

    def once(
        self, app: APIGatewayHttpResolver, work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """What `work` returned, now or when this Idempotency-Key came first."""
        return self.idempotency.once(app.current_event, app.lambda_context, work=work)

    def dead_letter_doors(self) -> DeadLetterDoors:
        unique = partial(self.chance, UNIQUE_BYTES)
        return DeadLetterDoors(dead=self.dead, queue=self.queue, unique=unique, log=self.log)

    def calendar_doors(self) -> CalendarDoors:
        return CalendarDoors.over(self.stores, recall=self.recall, queue=self.queue, bus=self.bus)

    def connect_doors(self) -> ConnectDoors:
        return ConnectDoors(
            browser=BrowserDoors(
                sessions=self.stores.sessions,
                clients=self.clients,
                secrets=self.secrets,
                seal=self.seal,
                public_url=self.public_url,
                chance=self.chance,
            ),
            calendar=self.calendar_doors(),
            log=self.log,
            return_urls=self.return_urls,
            allow_unconfirmed=self.allow_unconfirmed,
        )

    def rules_doors(self) -> RulesDoors:
        return RulesDoors(
            settings=self.stores.settings, workspace=self.stores.workspace, queue=self.queue
        )

    def erasure_doors(self) -> ErasureDoors:
        return ErasureDoors(
            workspace=self.stores.workspace, settings=self.stores.settings, queue=self.queue
        )

    def previewer(self) -> Previewer:
        return Previewer(self.stores, self._neighbours())

    def meeting_doors(self) -> MeetingDoors:
        return MeetingDoors(
            meetings=self.stores.meetings,
            settings=self.stores.settings,
            neighbours=self._neighbours(),
            queue=self.queue,
        )

    def _neighbours(self) -> Neighbours:
        return Neighbours(self.stores, clock=self.clock, workers=self.workers)
