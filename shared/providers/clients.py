"""The stack's OAuth clients, each with the secret of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from requests import Session

from shared.domain.calendar import Platform
from shared.domain.secret import Secret
from shared.errors import CallerError
from shared.providers.door import OAuthDoor
from shared.providers.provider import Provider, google, microsoft
from shared.secrets import SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """One OAuth client at one provider, and the door that speaks for it."""

    provider: Provider
    client_id: str
    client_secret: Secret
    door: OAuthDoor


def providers_of(settings: Mapping[str, str]) -> dict[Platform, Provider]:
    """Both providers; a setting such as GOOGLE_TOKEN_URL that is blank means the real one."""
    return {
        Platform.GOOGLE: google(
            authorize_url=settings.get("GOOGLE_AUTHORIZE_URL", ""),
            token_url=settings.get("GOOGLE_TOKEN_URL", ""),
            revoke_url=settings.get("GOOGLE_REVOKE_URL", ""),
            userinfo_url=settings.get("GOOGLE_USERINFO_URL", ""),
            issuer=settings.get("GOOGLE_ISSUER", ""),
        ),
        Platform.MICROSOFT: microsoft(
            authorize_url=settings.get("MICROSOFT_AUTHORIZE_URL", ""),
            token_url=settings.get("MICROSOFT_TOKEN_URL", ""),
            userinfo_url=settings.get("MICROSOFT_USERINFO_URL", ""),
            issuer=settings.get("MICROSOFT_ISSUER", ""),
        ),
    }


class OAuthClients:
    """Ours from the stack's secret, read anew each time so that a rotation is seen."""

    def __init__(
        self,
        providers: Mapping[Platform, Provider],
        secrets: SecretStore,
        *,
        session: Session,
    ) -> None:
        self._providers = providers
        self._secrets = secrets
        self._session = session

    def ours(self, platform: Platform) -> OAuthClient:
        """CallerError `platform_not_offered` when the operator entered no client for it."""
        client_id, client_secret = self._credentials(platform)
        if not (client_id and client_secret.reveal()):
            raise CallerError(
                "platform_not_offered", "No OAuth client is set up for it.", field="platform"
            )
        return self.given(platform, client_id=client_id, client_secret=client_secret)

    def offered(self) -> list[Platform]:
        """The platforms that the operator entered a client for."""
        known = {platform: self._credentials(platform) for platform in Platform}
        return [platform for platform, (name, secret) in known.items() if name and secret.reveal()]

    def given(self, platform: Platform, *, client_id: str, client_secret: Secret) -> OAuthClient:
        provider = self._providers[platform]
        return OAuthClient(
            provider=provider,
            client_id=client_id,
            client_secret=client_secret,
            door=OAuthDoor(self._session, provider, client_id, client_secret),
        )

    def _credentials(self, platform: Platform) -> tuple[str, Secret]:
        secrets = self._secrets.get()
        match platform:
            case Platform.GOOGLE:
                return secrets.google_client_id, secrets.google_client_secret
            case Platform.MICROSOFT:
                return secrets.microsoft_client_id, secrets.microsoft_client_secret
