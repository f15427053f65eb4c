"""A person at the consent page, played by a program."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from infra.local.emulators.http import Request, Response

SEE_OTHER = 303


class NoRedirect(Exception):
    """The provider answered with a page of its own; `response` is that page."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the provider answered {response.status} with a page")
        self.response = response


def answer_consent(
    handle: Callable[[Request], Response],
    authorize_url: str,
    *,
    email: str,
    scopes: Sequence[str] | None = None,
    allow: bool = True,
) -> str:
    """Open the page, choose `email`, tick `scopes` (None: all), press a button.

    Returns where the browser is sent next; raises NoRedirect if it is not sent anywhere.
    """
    page = handle(Request(method="GET", url=authorize_url))
    if "location" in page.headers:
        return page.headers["location"]
    text = page.body.decode()
    asked = [html.unescape(scope) for scope in re.findall(r'name="scope" value="([^"]*)"', text)]
    fields = [
        ("enquiry", "".join(re.findall(r'name="enquiry" value="([^"]*)"', text))),
        ("account", "other"),
        ("email", email),
        *(("scope", scope) for scope in (asked if scopes is None else scopes)),
        ("decision", "allow" if allow else "cancel"),
    ]
    answer = handle(
        Request(
            method="POST",
            url=authorize_url.partition("?")[0],
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(fields).encode(),
        )
    )
    if answer.status != SEE_OTHER:
        raise NoRedirect(answer)
    return answer.headers["location"]
