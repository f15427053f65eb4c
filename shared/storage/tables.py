"""The tables: their names in one stack, and the keys that stores and template agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

ALL: Final = "ALL"
KEYS_ONLY: Final = "KEYS_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Names of the tables that a function is given; the others stay None and are never touched.

    `host` is an endpoint address for stand-ins; None means AWS.
    """

    region: str
    host: str | None = None
    calendars: str | None = None
    meetings: str | None = None
    claims: str | None = None
    settings: str | None = None
    sessions: str | None = None
    accounts: str | None = None
    workspace: str | None = None
    api_keys: str | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """From a function's variables: AWS_REGION and the tables it is given."""
        return cls(
            region=settings["AWS_REGION"],
            calendars=settings.get("CALENDARS_TABLE"),
            meetings=settings.get("MEETINGS_TABLE"),
            claims=settings.get("CLAIMS_TABLE"),
            settings=settings.get("SETTINGS_TABLE"),
            sessions=settings.get("CONNECT_SESSIONS_TABLE"),
            accounts=settings.get("ACCOUNTS_TABLE"),
            workspace=settings.get("WORKSPACE_TABLE"),
            api_keys=settings.get("API_KEYS_TABLE"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index; every key attribute of Rollcall is a string.

    `projection` is ALL, KEYS_ONLY, or the names of the attributes included besides the keys.
    """

    name: str
    hash_key: str
    range_key: str
    projection: str | tuple[str, ...] = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Keys of one table; `variable` names the environment variable with the table's name.

    `expires`: the attribute (epoch seconds) after which DynamoDB deletes a row, sometime.
    """

    variable: str
    hash_key: str
    indexes: tuple[Index, ...] = ()
    expires: str | None = None


CALENDARS = Schema(
    variable="CALENDARS_TABLE",
    hash_key="calendar_id",
    indexes=(
        Index(name="by_tenant", hash_key="tenant_id", range_key="entity_id"),
        Index(name="by_status", hash_key="status", range_key="calendar_id"),
        Index(name="by_due", hash_key="due", range_key="calendar_id", projection=KEYS_ONLY),
        Index(name="by_email", hash_key="email_key", range_key="calendar_id", projection=KEYS_ONLY),
    ),
)

MEETINGS = Schema(
    variable="MEETINGS_TABLE",
    hash_key="event_id",
    indexes=(
        Index(name="by_calendar", hash_key="calendar_id", range_key="start_time"),
        Index(name="by_key", hash_key="meeting_key", range_key="event_id", projection=KEYS_ONLY),
        Index(
            name="by_due",
            hash_key="due",
            range_key="start_time",
            projection=("next_attempt",),
        ),
        Index(name="by_wake", hash_key="waking", range_key="wake_at", projection=KEYS_ONLY),
        Index(
            name="by_set_aside",
            hash_key="set_aside",
            range_key="start_time",
            projection=("problem",),
        ),
        Index(
            name="by_day",
            hash_key="day",
            range_key="start_time",
            projection=("end_time", "meeting_key", "assignment"),
        ),
        Index(name="by_room", hash_key="room", range_key="start_time", projection=KEYS_ONLY),
    ),
    expires="expires_at",
)

# Only what was said of series has a calendar.
SETTINGS = Schema(
    variable="SETTINGS_TABLE",
    hash_key="scope",
    indexes=(
        Index(name="by_calendar", hash_key="calendar_id", range_key="scope", projection=KEYS_ONLY),
    ),
)

CLAIMS = Schema(
    variable="CLAIMS_TABLE",
    hash_key="meeting_key",
    indexes=(
        Index(name="by_bot", hash_key="bot_id", range_key="meeting_key", projection=KEYS_ONLY),
        Index(name="by_day", hash_key="day", range_key="start_time", projection=KEYS_ONLY),
        Index(name="by_due", hash_key="due", range_key="next_attempt", projection=KEYS_ONLY),
    ),
    expires="expires_at",
)


# Only keys in the index: sealed codes and tokens exist once.
SESSIONS = Schema(
    variable="CONNECT_SESSIONS_TABLE",
    hash_key="session_id",
    indexes=(
        Index(name="by_waiting", hash_key="waiting", range_key="created_at", projection=KEYS_ONLY),
    ),
    expires="expires_at",
)

ACCOUNTS = Schema(variable="ACCOUNTS_TABLE", hash_key="account_key")
WORKSPACE = Schema(variable="WORKSPACE_TABLE", hash_key="name")
API_KEYS = Schema(variable="API_KEYS_TABLE", hash_key="prefix")

# Powertools reads and writes this one; its keys are listed here for the template's test.
IDEMPOTENCY = Schema(variable="IDEMPOTENCY_TABLE", hash_key="id", expires="expiration")

SCHEMAS = (
    CALENDARS,
    MEETINGS,
    CLAIMS,
    SETTINGS,
    SESSIONS,
    ACCOUNTS,
    WORKSPACE,
    API_KEYS,
    IDEMPOTENCY,
)
