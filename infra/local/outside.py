"""The outside world on this machine: emulated Recall, Google and Microsoft on one port."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.local.emulators.clock import Clock
from infra.local.emulators.providers import ProviderWorld
from infra.local.emulators.recall import (
    AccessToken,
    GrantFailure,
    GrantResult,
    RecallWorld,
    Timings,
    deliver_to,
)
from infra.local.emulators.recall.accounts import Account
from infra.local.emulators.recall.records import Calendar
from infra.local.gateway import Gateway, emulator_page
from infra.local.settings import OAuthClient, Settings
from shared.domain.calendar import Platform
from shared.domain.secret import Secret

WEBHOOK_SECRET_BYTES = 24
SLUGS = {Platform.GOOGLE: "google", Platform.MICROSOFT: "microsoft"}
# Seconds instead of minutes and hours, so that a person can watch.
TIMINGS = Timings(connect=0.3, sync=0.2, revocation=1.0, retry_scale=0.2)


@dataclass(slots=True, kw_only=True)
class Outside:
    """What is emulated here; `recall` is None when a real one is used.

    `secret` is the content of the stack's secret, `parameters` are values for the template.
    """

    recall: RecallWorld | None
    providers: Mapping[Platform, ProviderWorld]
    secret: dict[str, str]
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def emulated_names(self) -> tuple[str, ...]:
        """Names for people: Recall, Google, Microsoft, as far as they are played here."""
        recall = ("Recall",) if self.recall is not None else ()
        return (*recall, *(SLUGS[platform].capitalize() for platform in self.providers))

    def mount(self, gateway: Gateway) -> None:
        if self.recall is not None:
            prefix = "/emulators/recall"
            gateway.mount(prefix, emulator_page(self.recall.handle, prefix=prefix))
        for platform, provider in self.providers.items():
            gateway.mount(f"/emulators/{SLUGS[platform]}", emulator_page(provider.handle))

    def start(self) -> None:
        if self.recall is not None:
            self.recall.start()

    def stop(self) -> None:
        if self.recall is not None:
            self.recall.stop()


def open_outside(
    settings: Settings, *, loopback_url: str, public_url: str, clock: Clock
) -> Outside:
    """Emulate whatever the settings do not name; nothing is reachable before `mount`.

    Servers talk over loopback; the person's browser is sent to the public address.
    """
    clients = {
        platform: settings.clients.get(platform) or _made_up_client(platform)
        for platform in Platform
    }
    providers = {
        platform: ProviderWorld(
            clock,
            base_url=f"{public_url}/emulators/{slug}",
            platform=platform.value,
            client_id=clients[platform].client_id,
            client_secret=clients[platform].client_secret.reveal(),
            redirect_uris={f"{public_url}/oauth/{word}/callback" for word in (slug, platform)},
        )
        for platform, slug in SLUGS.items()
        if platform not in settings.clients
    }
    secret = {"link_secret": secrets.token_urlsafe(32), **_client_secrets(clients)}
    parameters = _provider_urls(providers, loopback_url=loopback_url)
    if settings.recall is not None:
        secret["recall_api_key"] = settings.recall.api_key.reveal()
        secret["recall_webhook_secret"] = settings.recall.webhook_secret.reveal()
        parameters["RecallBaseUrl"] = settings.recall.base_url
        return Outside(recall=None, providers=providers, secret=secret, parameters=parameters)
    secret["recall_api_key"] = secrets.token_hex(20)
    secret["recall_webhook_secret"] = _webhook_secret(settings)
    parameters["RecallBaseUrl"] = f"{loopback_url}/emulators/recall"
    recall = _recall(providers, secret=secret, loopback_url=loopback_url, clock=clock)
    return Outside(recall=recall, providers=providers, secret=secret, parameters=parameters)


def _recall(
    providers: Mapping[Platform, ProviderWorld],
    *,
    secret: Mapping[str, str],
    loopback_url: str,
    clock: Clock,
) -> RecallWorld:
    world = RecallWorld(
        clock,
        base_url=f"{loopback_url}/emulators/recall",
        api_key=secret["recall_api_key"],
        webhook_secret=secret["recall_webhook_secret"],
        deliver=deliver_to(f"{loopback_url}/webhooks/recall"),
        timings=TIMINGS,
        seed=secrets.randbits(64),
        resolve_account=_Grants(providers).resolve,
        mint_access_token=_Grants(providers).mint,
    )
    world.on_revoked = _Grants(providers).revoked
    return world


class _Grants:
    """Lets the emulated Recall ask the emulated providers what a refresh token opens."""

    def __init__(self, providers: Mapping[Platform, ProviderWorld]) -> None:
        self._providers = providers

    def resolve(
        self, *, platform: str, client_id: str, client_secret: str, refresh_token: str
    ) -> GrantResult | GrantFailure:
        provider = self._providers.get(Platform(platform))
        if provider is None:
            return GrantFailure(reason="invalid_grant: the emulated Recall knows no such provider")
        found = provider.resolve(refresh_token, client_id=client_id, client_secret=client_secret)
        if found is None:
            return GrantFailure(reason="invalid_grant: token has been expired or revoked")
        email, scopes = found
        return GrantResult(email=email, scopes=tuple(scopes.split()))

    def mint(self, calendar: Calendar) -> AccessToken | GrantFailure:
        provider = self._providers.get(Platform(calendar.platform))
        found = provider.access_token_for(calendar.live_token) if provider else None
        if found is None:
            return GrantFailure(reason="invalid_grant")
        token, expires_at = found
        return AccessToken(token=token, expires_at=expires_at)

    def revoked(self, account: Account) -> None:
        if provider := self._providers.get(Platform(account.platform)):
            provider.revoke(account.email)


def _provider_urls(
    providers: Mapping[Platform, ProviderWorld], *, loopback_url: str
) -> dict[str, str]:
    """Template parameters; what only our servers call goes over loopback."""
    found: dict[str, str] = {}
    for platform, provider in providers.items():
        word = SLUGS[platform].capitalize()
        server = f"{loopback_url}/emulators/{SLUGS[platform]}"
        found[f"{word}AuthorizeUrl"] = provider.authorize_url
        found[f"{word}TokenUrl"] = f"{server}/token"
        found[f"{word}UserinfoUrl"] = f"{server}/userinfo"
        found[f"{word}Issuer"] = provider.issuer
    if Platform.GOOGLE in providers:
        found["GoogleRevokeUrl"] = f"{loopback_url}/emulators/google/revoke"
    return found


def _made_up_client(platform: Platform) -> OAuthClient:
    return OAuthClient(
        client_id=f"rollcall-local-{SLUGS[platform]}",
        client_secret=Secret(secrets.token_urlsafe(24)),
    )


def _client_secrets(clients: Mapping[Platform, OAuthClient]) -> dict[str, str]:
    found: dict[str, str] = {}
    for platform, client in clients.items():
        found[f"{SLUGS[platform]}_client_id"] = client.client_id
        found[f"{SLUGS[platform]}_client_secret"] = client.client_secret.reveal()
    return found


def _webhook_secret(settings: Settings) -> str:
    if settings.webhook_secret is not None:
        return settings.webhook_secret.reveal()
    return "whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()
