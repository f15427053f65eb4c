"""The page at /: what is here and where to click, readable without style or script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from werkzeug.wrappers import Request, Response

from infra.local.gateway import Page

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rollcall on this machine</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ max-width: 42rem; margin: 0 auto; padding: 1.5rem 1rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
code, pre {{ font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere; }}
pre {{ white-space: pre-wrap; border: 1px solid; border-radius: 0.4rem; padding: 0.75rem; }}
li {{ margin: 0.35rem 0; }}
</style>
</head>
<body>
<main>
<h1>Rollcall on this machine</h1>
<p>The same functions that run on AWS Lambda, called in one process. AWS is emulated; {emulated}.
Nothing here leaves this machine unless a setting says so, and all of it is forgotten at the
end.</p>
<h2>What is here</h2>
<ul>
<li><a href="/console">Console</a>: what every calendar's bot will do, and why; sign in with the
API key that was printed in the terminal.</li>
{play}<li><a href="/health">Health</a>: answers while the stack runs.</li>
<li><code>{url}/v1/</code>: the API for the product's backend; it wants the same API key.</li>
<li><code>{url}/webhooks/recall</code>: where Recall delivers its webhooks.</li>
{emulators}</ul>
<h2>Try it</h2>
<pre>curl -H "Authorization: Bearer $ROLLCALL_API_KEY" {url}/v1/calendars</pre>
<pre>curl -H "Authorization: Bearer $ROLLCALL_API_KEY" -H "Content-Type: application/json" \\
  -d '{{"entity_id": "dana", "platform": "google_calendar", "return_url": "{url}/"}}' \\
  {url}/v1/connect-sessions</pre>
<p>The second answers with a <code>connect_url</code>: open it here in the browser to connect a
calendar.</p>
</main>
</body>
</html>
"""
_PLAY = """<li><a href="/play">Play the outside world</a>: people, their calendars and Recall, by
hand. From there a person's own page opens, too.</li>
"""
# Recall, Google, Microsoft.
EVERYTHING = 3


def index_page(public_url: str, *, emulated: Sequence[str]) -> Page:
    """`emulated` names the systems outside that are played on this machine."""
    text = _PAGE.format(
        url=escape(public_url),
        emulated=escape(f"so are {_listed(emulated)}" if emulated else "nothing else is"),
        play=_PLAY if len(emulated) == EVERYTHING else "",
        emulators="".join(
            f"<li><code>{escape(public_url)}/emulators/{escape(name.lower())}</code>: "
            f"the emulated {escape(name)}.</li>\n"
            for name in emulated
        ),
    )

    def page(request: Request) -> Response:
        del request
        return Response(text, content_type="text/html; charset=utf-8")

    return page


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
