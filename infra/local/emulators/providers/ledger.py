"""What an emulated provider remembers: accounts, permissions, codes and tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from infra.local.emulators.clock import Clock

Ending = Literal["revoked", "expired", "replayed"]

CODE_LIFE = timedelta(minutes=10)
CONSENT_LIFE = timedelta(minutes=10)
ACCESS_TOKEN_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person; `email_claim` False: a work account whose id_token names no e-mail."""

    email: str
    name: str
    email_claim: bool = True

    @property
    def subject(self) -> str:
        """Stable, and not the address."""
        return str(int(hashlib.sha256(self.email.casefold().encode()).hexdigest()[:16], 16))


@dataclass(slots=True, kw_only=True)
class Permission:
    """What one account granted once; all its tokens die with it. `ended` says how."""

    account: Account
    scopes: tuple[str, ...]
    refreshable: bool
    ended: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """An authorization request that passed its checks and waits for a person."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    code_challenge: str
    login_hint: str
    offline: bool
    consent_forced: bool
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class Code:
    permission: Permission
    redirect_uri: str
    code_challenge: str
    expires_at: datetime
    spent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    text: str
    permission: Permission
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The state behind one provider; `new_text` makes unguessable texts."""

    clock: Clock
    new_text: Callable[[], str]
    accounts: dict[str, Account] = field(default_factory=dict)
    enquiries: dict[str, Enquiry] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    permissions: list[Permission] = field(default_factory=list)
    refresh_tokens: dict[str, Permission] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)

    def account(self, email: str) -> Account:
        """The known account of an address, else a new one (people type addresses)."""
        key = email.casefold()
        return self.accounts.setdefault(key, Account(email=email, name=email.partition("@")[0]))

    def has_consented(self, account: Account) -> bool:
        return any(
            permission.account.subject == account.subject and permission.ended is None
            for permission in self.permissions
        )

    def grant(self, account: Account, *, scopes: tuple[str, ...], refreshable: bool) -> Permission:
        permission = Permission(account=account, scopes=scopes, refreshable=refreshable)
        self.permissions.append(permission)
        return permission

    def end(self, how: Ending, *, account: Account | None = None) -> None:
        """End the permissions of an account, or of everybody."""
        for permission in self.permissions:
            if account is None or permission.account.subject == account.subject:
                permission.ended = permission.ended or how

    def new_code(self, permission: Permission, enquiry: Enquiry) -> str:
        text = self.new_text()
        self.codes[text] = Code(
            permission=permission,
            redirect_uri=enquiry.redirect_uri,
            code_challenge=enquiry.code_challenge,
            expires_at=self.clock.now() + CODE_LIFE,
        )
        return text

    def new_refresh_token(self, permission: Permission) -> str:
        text = self.new_text()
        self.refresh_tokens[text] = permission
        return text

    def new_access_token(self, permission: Permission) -> AccessToken:
        token = AccessToken(
            text=self.new_text(),
            permission=permission,
            expires_at=self.clock.now() + ACCESS_TOKEN_LIFE,
        )
        self.access_tokens[token.text] = token
        return token

    def live_access_token(self, text: str) -> AccessToken | None:
        token = self.access_tokens.get(text)
        if token is None or token.permission.ended or token.expires_at <= self.clock.now():
            return None
        return token
