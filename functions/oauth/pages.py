"""What a person sees before a consent, and when no address of the host can be trusted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from shared.domain.connect import ConnectSession
from shared.domain.refusal import Refusal
from shared.pages.headers import SECURITY
from shared.pages.kit import Kit
from shared.pages.texts import text
from shared.pages.web import page_answer

TEMPLATES: Final = Path(__file__).parent / "templates"
# Addresses here carry links and codes.
QUIET: Final = {"referrer-policy": "no-referrer"}


def about_page(session: ConnectSession, *, token: str) -> dict[str, Any]:
    """What will be read and what not, before the provider asks."""
    body = _kit().render("about.html", session=session, link=f"/connect/{token}")
    return page_answer(body, headers=QUIET).event()


def refusal_page(refusal: Refusal, *, status: int) -> dict[str, Any]:
    key = f"refused.{refusal}"
    return page(
        status,
        code=refusal.value,
        title=text(f"{key}.title"),
        sentence=text(key),
        step=text(f"{key}.next"),
    )


def page(
    status: int,
    *,
    code: str,
    title: str,
    sentence: str,
    step: str,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """An HTTP API answer with a page; `step` comes next, `code` is what support will ask for."""
    body = _kit().render(
        "message.html", title=title, sentence=sentence, next=step, code=code, link=None
    )
    return page_answer(body, status=status, headers={**QUIET, **(headers or {})}).event()


def redirect(location: str, *, cookies: tuple[str, ...] = ()) -> dict[str, Any]:
    headers = {**SECURITY, **QUIET, "cache-control": "no-store", "location": location}
    return {"statusCode": 302, "headers": headers, "cookies": list(cookies), "body": ""}


@cache
def _kit() -> Kit:
    return Kit(TEMPLATES)
