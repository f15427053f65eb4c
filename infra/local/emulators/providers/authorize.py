"""The authorization endpoint: check the request, ask the person, send the browser back."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from infra.local.emulators.http import Request, Response
from infra.local.emulators.providers import consent_page
from infra.local.emulators.providers.forms import RepeatedParameterError, form, once
from infra.local.emulators.providers.ledger import CONSENT_LIFE, Account, Enquiry, Ledger
from infra.local.emulators.providers.traits import NO_STORE, Traits

CHALLENGE_LENGTH = 43
SCOPE_FIELD = frozenset({"scope"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeEndpoint:
    """`refused_scopes` are never granted, whatever the person ticks (an administrator's no)."""

    ledger: Ledger
    traits: Traits
    url: str
    client_id: str
    redirect_uris: frozenset[str]
    issuer: str
    refused_scopes: set[str]

    def ask(self, request: Request) -> Response:
        """GET: the consent page, an error page, or an error carried back to the client."""
        try:
            asked = once(urlsplit(request.url).query)
        except RepeatedParameterError:
            return self._error_page("invalid_request", "A parameter came more than once.")
        if asked.get("client_id") != self.client_id:
            return self._error_page("invalid_client", "The OAuth client was not found.")
        redirect_uri = asked.get("redirect_uri", "")
        if redirect_uri not in self.redirect_uris:
            return self._error_page("redirect_uri_mismatch", "This address is not registered.")
        if problem := self._problem(asked):
            return self._back(redirect_uri, {"error": problem}, state=asked.get("state"))
        enquiry_id = self.ledger.new_text()
        self.ledger.enquiries[enquiry_id] = self._enquiry(asked)
        return self._page(enquiry_id)

    def answer(self, request: Request) -> Response:
        """POST: the form of the consent page."""
        sent = form(request, many=SCOPE_FIELD)
        enquiry_id = sent.get("enquiry", "")
        enquiry = self.ledger.enquiries.get(enquiry_id)
        if enquiry is None or enquiry.expires_at <= self.ledger.clock.now():
            return self._error_page("invalid_request", "This page has been used or is too old.")
        if sent.get("decision") != "allow":
            del self.ledger.enquiries[enquiry_id]
            return self._back(enquiry.redirect_uri, {"error": "access_denied"}, state=enquiry.state)
        chosen = sent.get("account", "other")
        email = sent.get("email", "").strip() if chosen == "other" else chosen
        if "@" not in email[1:-1] or " " in email:
            return self._page(enquiry_id, problem="Type an e-mail address or choose an account.")
        del self.ledger.enquiries[enquiry_id]
        return self._allowed(
            enquiry, self.ledger.account(email), ticked=sent.get("scope", "").split()
        )

    def _problem(self, asked: dict[str, str]) -> str | None:
        scopes = asked.get("scope", "").split()
        if asked.get("response_type") != "code":
            return "unsupported_response_type"
        if not scopes or not all(self.traits.knows(scope) for scope in scopes):
            return "invalid_scope"
        # Stricter than the real ones, which do not insist on PKCE.
        challenge = asked.get("code_challenge", "")
        if asked.get("code_challenge_method") != "S256" or len(challenge) != CHALLENGE_LENGTH:
            return "invalid_request"
        return None

    def _enquiry(self, asked: dict[str, str]) -> Enquiry:
        return Enquiry(
            redirect_uri=asked["redirect_uri"],
            scopes=tuple(dict.fromkeys(asked["scope"].split())),
            state=asked.get("state"),
            code_challenge=asked["code_challenge"],
            login_hint=asked.get("login_hint", ""),
            offline=asked.get("access_type") == "offline",
            consent_forced="consent" in asked.get("prompt", "").split(),
            expires_at=self.ledger.clock.now() + CONSENT_LIFE,
        )

    def _allowed(self, enquiry: Enquiry, account: Account, *, ticked: list[str]) -> Response:
        scopes = self._granted(enquiry, ticked)
        if not scopes:
            return self._back(enquiry.redirect_uri, {"error": "access_denied"}, state=enquiry.state)
        permission = self.ledger.grant(
            account, scopes=scopes, refreshable=self._refreshable(enquiry, account)
        )
        code = self.ledger.new_code(permission, enquiry)
        return self._back(enquiry.redirect_uri, {"code": code}, state=enquiry.state)

    def _granted(self, enquiry: Enquiry, ticked: list[str]) -> tuple[str, ...]:
        return tuple(
            scope
            for scope in enquiry.scopes
            if (self.traits.is_sign_in(scope) or scope in ticked)
            and scope not in self.refused_scopes
        )

    def _refreshable(self, enquiry: Enquiry, account: Account) -> bool:
        if self.traits.rotates_refresh_tokens:
            return "offline_access" in self._granted(enquiry, [])
        first = not self.ledger.has_consented(account)
        return enquiry.offline and (enquiry.consent_forced or first)

    def _back(self, redirect_uri: str, outcome: dict[str, str], *, state: str | None) -> Response:
        query = dict(outcome)
        if state is not None:
            query["state"] = state
        if self.traits.answers_issuer:
            query["iss"] = self.issuer
        joint = "&" if "?" in redirect_uri else "?"
        location = redirect_uri + joint + urlencode(query, quote_via=quote)
        return Response(status=303, headers={"location": location, **NO_STORE}, body=b"")

    def _page(self, enquiry_id: str, *, problem: str = "") -> Response:
        enquiry = self.ledger.enquiries[enquiry_id]
        return consent_page.consent(
            self.traits,
            action=self.url,
            enquiry_id=enquiry_id,
            enquiry=enquiry,
            accounts=list(self.ledger.accounts.values()),
            problem=problem,
        )

    def _error_page(self, error: str, text: str) -> Response:
        return consent_page.error(self.traits, error=error, text=text)
