"""What every page tells the browser to refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SECURITY: Final = {
    # Without any referrer browsers would call the origin of our own forms null.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "strict-transport-security": "max-age=31536000",
}


def page_headers(
    *, framed_by: Iterable[str] = (), forms_lead_to: Iterable[str] = ()
) -> Mapping[str, str]:
    """Headers of a page: nothing but our own files, and never kept by anybody.

    `framed_by`: origins that may embed it (none by default). `forms_lead_to`: origins besides
    our own where a form may end after redirects, such as a provider's consent page.
    """
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        f"form-action {' '.join((chr(39) + 'self' + chr(39), *forms_lead_to))}",
        f"frame-ancestors {' '.join(framed_by) or chr(39) + 'none' + chr(39)}",
    )
    return {
        **SECURITY,
        "cache-control": "no-store",
        "content-security-policy": "; ".join(policy),
        "content-type": "text/html; charset=utf-8",
        "x-robots-tag": "noindex",
    }
