"""Emulated Google and Microsoft sign-in: worlds with accounts, consents and tokens."""

from infra.local.emulators.providers.person import NoRedirect, answer_consent
from infra.local.emulators.providers.world import ProviderWorld

__all__ = ["NoRedirect", "ProviderWorld", "answer_consent"]
