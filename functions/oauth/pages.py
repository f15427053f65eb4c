"""The few plain pages that a person may see when no address of the host can be trusted."""

from __future__ import annotations

import html
from string import Template
from typing import Any, Final

from shared.domain.refusal import SENTENCES, Refusal

STYLE: Final = (
    "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}h1{font-size:1.5rem}code{color:#555}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#1b1b1b}code{color:#aaa}}"
)
HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
}
PAGE: Final = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="robots" content="noindex"><title>$title</title><style>$style</style></head>'
    "<body><main><h1>$title</h1><p>$sentence</p><p><code>$code</code></p></main></body></html>"
)
TITLE: Final = "The calendar was not connected"


def refusal_page(refusal: Refusal, *, status: int) -> dict[str, Any]:
    return page(status, code=refusal.value, sentence=SENTENCES[refusal])


def page(
    status: int, *, code: str, sentence: str, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """An HTTP API answer with a page; `code` is what support will ask for."""
    body = PAGE.substitute(
        title=html.escape(TITLE),
        style=STYLE,
        sentence=html.escape(sentence),
        code=html.escape(code),
    )
    content = {"content-type": "text/html; charset=utf-8"}
    return {
        "statusCode": status,
        "headers": {**HEADERS, **content, **(headers or {})},
        "body": body,
    }


def redirect(location: str, *, cookies: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "statusCode": 302,
        "headers": {**HEADERS, "location": location},
        "cookies": list(cookies),
        "body": "",
    }
