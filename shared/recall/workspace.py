"""The client of the stack's own workspace, as each function composes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import requests

from shared.config import require
from shared.domain.secret import Secret
from shared.recall.budget import BudgetStore, SharedBudget, parse_limits
from shared.recall.client import RecallClient
from shared.secrets import SecretStore


def open_recall(
    environment: Mapping[str, str],
    session: requests.Session,
    *,
    secrets: SecretStore,
    store: BudgetStore,
    clock: Callable[[], datetime],
    share: float = 1.0,
) -> RecallClient:
    """From RECALL_BASE_URL, RECALL_LIMITS and the secret; `share` is the part of the budget."""

    def api_key() -> Secret:
        return secrets.get().recall_api_key

    limits = parse_limits(environment.get("RECALL_LIMITS", ""))
    return RecallClient(
        session,
        base_url=require(environment, "RECALL_BASE_URL")["RECALL_BASE_URL"],
        api_key=api_key,
        budget=SharedBudget(store, limits, clock=clock, share=share),
        clock=clock,
    )
