"""The door to Recall: the client, its errors, and the rate budget."""

from shared.recall.budget import Budget, SharedBudget, parse_limits
from shared.recall.client import BotPage, CalendarPage, EventPage, RecallClient, base_url_of
from shared.recall.errors import (
    AlreadyDispatched,
    Blocked,
    Conflicted,
    NotFound,
    OutOfCredit,
    PoolEmpty,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
)
from shared.recall.transport import new_session

__all__ = [
    "AlreadyDispatched",
    "Blocked",
    "BotPage",
    "Budget",
    "CalendarPage",
    "Conflicted",
    "EventPage",
    "NotFound",
    "OutOfCredit",
    "PoolEmpty",
    "RecallClient",
    "Refused",
    "SharedBudget",
    "Throttled",
    "Unauthorized",
    "Unavailable",
    "base_url_of",
    "new_session",
    "parse_limits",
]
