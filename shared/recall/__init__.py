"""The door to Recall: the client, what it answers, its errors, and the rate budget."""

from shared.recall.budget import (
    DEFAULT_LIMITS,
    RATE_BUDGET,
    Budget,
    BudgetStore,
    SharedBudget,
    parse_limits,
)
from shared.recall.client import (
    BotPage,
    CalendarClientPage,
    CalendarPage,
    EventPage,
    RecallClient,
)
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
    Unexpected,
)
from shared.recall.parse import CalendarClient, RecallBot
from shared.recall.transport import new_session
from shared.recall.workspace import open_recall

__all__ = [
    "DEFAULT_LIMITS",
    "RATE_BUDGET",
    "AlreadyDispatched",
    "Blocked",
    "BotPage",
    "Budget",
    "BudgetStore",
    "CalendarClient",
    "CalendarClientPage",
    "CalendarPage",
    "Conflicted",
    "EventPage",
    "NotFound",
    "OutOfCredit",
    "PoolEmpty",
    "RecallBot",
    "RecallClient",
    "Refused",
    "SharedBudget",
    "Throttled",
    "Unauthorized",
    "Unavailable",
    "Unexpected",
    "new_session",
    "open_recall",
    "parse_limits",
]
