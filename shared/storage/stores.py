"""All stores of a process over one connection, each opened when first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from shared.errors import PermanentError
from shared.storage.accounts import AccountStore
from shared.storage.api_keys import ApiKeyStore
from shared.storage.calendars import CalendarStore
from shared.storage.claims import ClaimStore
from shared.storage.meetings import MeetingStore
from shared.storage.sessions import SessionStore
from shared.storage.settings import SettingsStore
from shared.storage.table import connect
from shared.storage.workspace import WorkspaceStore

if TYPE_CHECKING:
    from pynamodb.connection import Connection

    from shared.storage.tables import Tables


def open_stores(tables: Tables) -> Stores:
    """Calls nothing yet; a store whose table has no name raises when it is asked for."""
    return Stores(tables)


class Stores:
    """The stores of one stack; several stacks may live in one process."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @cached_property
    def calendars(self) -> CalendarStore:
        return CalendarStore(self._connection, _named(self._tables.calendars, "calendars"))

    @cached_property
    def meetings(self) -> MeetingStore:
        return MeetingStore(self._connection, _named(self._tables.meetings, "meetings"))

    @cached_property
    def claims(self) -> ClaimStore:
        return ClaimStore(self._connection, _named(self._tables.claims, "claims"))

    @cached_property
    def settings(self) -> SettingsStore:
        return SettingsStore(self._connection, _named(self._tables.settings, "settings"))

    @cached_property
    def sessions(self) -> SessionStore:
        return SessionStore(self._connection, _named(self._tables.sessions, "sessions"))

    @cached_property
    def accounts(self) -> AccountStore:
        return AccountStore(self._connection, _named(self._tables.accounts, "accounts"))

    @cached_property
    def workspace(self) -> WorkspaceStore:
        return WorkspaceStore(self._connection, _named(self._tables.workspace, "workspace"))

    @cached_property
    def api_keys(self) -> ApiKeyStore:
        return ApiKeyStore(self._connection, _named(self._tables.api_keys, "api_keys"))

    @cached_property
    def _connection(self) -> Connection:
        return connect(self._tables)


def _named(name: str | None, table: str) -> str:
    if not name:
        raise PermanentError("settings_missing", f"no name is set for the table of {table}")
    return name
