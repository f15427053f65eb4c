"""An emulated Recall workspace; see `world.RecallWorld`."""

from infra.local.emulators.recall.accounts import (
    GOOGLE,
    MICROSOFT,
    Account,
    GrantFailure,
    GrantResult,
)
from infra.local.emulators.recall.calendars_api import AccessToken
from infra.local.emulators.recall.fleet import LiveBot
from infra.local.emulators.recall.raw import Guest
from infra.local.emulators.recall.switches import Switches, Timings
from infra.local.emulators.recall.webhooks import Delivery, deliver_to
from infra.local.emulators.recall.world import Call, RecallWorld

__all__ = [
    "GOOGLE",
    "MICROSOFT",
    "AccessToken",
    "Account",
    "Call",
    "Delivery",
    "GrantFailure",
    "GrantResult",
    "Guest",
    "LiveBot",
    "RecallWorld",
    "Switches",
    "Timings",
    "deliver_to",
]
