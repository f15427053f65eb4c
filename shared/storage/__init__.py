"""The storage: stores over DynamoDB that take and return domain values."""

from shared.storage.accounts import AccountStore, Claim
from shared.storage.api_keys import ApiKey, ApiKeyStore
from shared.storage.calendars import CalendarStore
from shared.storage.claims import ClaimStore
from shared.storage.errors import Conflict, Refused, StorageUnavailable
from shared.storage.meetings import MeetingStore
from shared.storage.pages import Page
from shared.storage.sessions import SessionStore
from shared.storage.settings import RulesVersion, SettingsStore, Together
from shared.storage.stores import Stores, open_stores
from shared.storage.tables import Tables
from shared.storage.workspace import WorkspaceStore

__all__ = [
    "AccountStore",
    "ApiKey",
    "ApiKeyStore",
    "CalendarStore",
    "Claim",
    "ClaimStore",
    "Conflict",
    "MeetingStore",
    "Page",
    "Refused",
    "RulesVersion",
    "SessionStore",
    "SettingsStore",
    "StorageUnavailable",
    "Stores",
    "Tables",
    "Together",
    "WorkspaceStore",
    "open_stores",
]
