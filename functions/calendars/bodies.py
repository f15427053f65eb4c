"""The bodies that the API takes; unknown keys and wrong types are refused, naming the field."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from shared.domain.calendar import Platform
from shared.domain.rules import Choice
from shared.entrypoints.http import Body, printable

DEFAULT_TENANT = "default"
PAGE_LINK_MINUTES_MAX = 30 * 24 * 60
OPT_OUT_LINK_MINUTES_MAX = 90 * 24 * 60

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(printable)
]
MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(printable)
]
Metadata = Annotated[
    dict[MetadataKey, Annotated[str, StringConstraints(max_length=500)]], Field(max_length=50)
]
# Recall's own limits, so that what passes here passes there.
Token = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Credential = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class Scope(StrEnum):
    """How far an override reaches."""

    OCCURRENCE = "occurrence"
    SERIES = "series"


class ConnectSessionBody(Body):
    """`calendar_id` makes a link that reconnects this calendar, with the same account only."""

    entity_id: Identifier
    platform: Platform
    return_url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    tenant_id: Identifier = DEFAULT_TENANT
    metadata: Metadata = Field(default_factory=dict)
    confirm: bool = True
    calendar_id: Identifier | None = None


class CompleteBody(Body):
    completion_code: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        repr=False
    )


class CalendarBody(Body):
    entity_id: Identifier
    platform: Platform
    oauth_refresh_token: Token = Field(repr=False)
    oauth_client_id: Credential | None = None
    oauth_client_secret: Credential | None = Field(default=None, repr=False)
    tenant_id: Identifier = DEFAULT_TENANT
    metadata: Metadata | None = None


class CalendarPatch(Body):
    entity_id: Identifier | None = None
    metadata: Metadata | None = None
    oauth_refresh_token: Token | None = Field(default=None, repr=False)
    oauth_client_id: Credential | None = None
    oauth_client_secret: Credential | None = Field(default=None, repr=False)


class OverrideBody(Body):
    choice: Choice
    scope: Scope


class PageLinkBody(Body):
    """`embed`: the page may stand in a frame of the origins that the stack names.

    `connect`: from the page further accounts may be connected.
    """

    expires_in_minutes: Annotated[int, Field(ge=5, le=PAGE_LINK_MINUTES_MAX)] = 24 * 60
    embed: bool = False
    connect: bool = False


class OptOutLinkBody(Body):
    scope: Scope = Scope.OCCURRENCE
    expires_in_minutes: Annotated[int, Field(ge=5, le=OPT_OUT_LINK_MINUTES_MAX)] = 30 * 24 * 60


Some = Annotated[int, Field(ge=1, le=100)]


class RedriveBody(Body):
    limit: Some = 50


class ReplayBody(Body):
    """`reason`: the code of the refusal, None for any; `cursor`: where the last answer ended."""

    reason: Identifier | None = None
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] | None = None
    limit: Some = 50
