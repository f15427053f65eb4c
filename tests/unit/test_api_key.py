"""API keys: recognised without being kept."""

from __future__ import annotations

import hashlib
import re

import pytest

from shared.domain.api_key import fingerprint, key_text, may_call, same_digest
from shared.domain.secret import Secret


def test_a_new_key_is_43_url_safe_characters_behind_rk():
    assert re.fullmatch(r"rk_[A-Za-z0-9_-]{43}", key_text(bytes(range(32))))


@pytest.mark.parametrize("text", ["rk_abc", "any string at all", "ключ", "\ud800"])
def test_one_rule_finds_keys_of_every_format(text):
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    assert fingerprint(Secret(text)) == (digest[:12], digest)


def test_only_the_stored_digest_is_the_same():
    _, digest = fingerprint(Secret("key"))
    assert same_digest(digest, digest)
    assert not same_digest(digest, "1" * 64)
    assert not same_digest(digest, None)
    assert not same_digest(digest, "")


@pytest.mark.parametrize(
    ("scopes", "route", "allowed"),
    [
        ({"read"}, "GET /v1/calendars", True),
        ({"write", "admin"}, "GET /v1/calendars", False),
        ({"write"}, "POST /v1/calendars", True),
        ({"write"}, "DELETE /v1/calendars/{calendar_id}", True),
        ({"read", "admin"}, "PUT /v1/rules/{scope}", False),
        ({"admin"}, "DELETE /v1/entities/{tenant_id}/{entity_id}", True),
        ({"read", "write"}, "DELETE /v1/entities/{tenant_id}/{entity_id}", False),
        ({"write"}, "POST /v1/entities/{tenant_id}/{entity_id}/page-link", True),
        ({"read"}, "GET /v1/dead-letters", True),
        ({"read", "write"}, "POST /v1/dead-letters/redrive", False),
        ({"admin"}, "POST /v1/dead-letters/redrive", True),
        ({"read", "write"}, "DELETE /v1/dead-letters/{message_id}", False),
        ({"read"}, "GET /v1/meetings/set-aside", True),
        ({"read", "write"}, "POST /v1/meetings/set-aside/replay", False),
        ({"admin"}, "POST /v1/meetings/set-aside/replay", True),
        ({"write"}, "POST /v1/calendars/{calendar_id}/meetings/{event_id}/replay", True),
        (set(), "GET /v1/status", False),
        ({"read"}, "GET /v1/entities/{tenant_id}/{entity_id}", True),
        ({"read", "admin"}, "$default", False),
    ],
)
def test_scopes(scopes, route, allowed):
    assert may_call(scopes, route=route) is allowed
