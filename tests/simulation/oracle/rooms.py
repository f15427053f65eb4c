"""Which room a link opens: what names it at its platform, without passwords and invitees."""

import re
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode, urlsplit

JOINABLE = {
    "zoom",
    "google_meet",
    "goto_meeting",
    "microsoft_teams",
    "microsoft_teams_live",
    "webex",
}


def room_of(link: str) -> str:
    """`platform:room`; links that no platform knows stand for themselves."""
    url = urlsplit(link.strip())
    for inside, read in _PLATFORMS:
        if inside(_host(url)):
            known = read(url)
            if known:
                return known
    return _itself(url)


def is_meeting_link(link: str) -> bool:
    return not room_of(link).startswith("link:")


def _host(url: SplitResult) -> str:
    return (url.hostname or "").lower().rstrip(".")


def _under(*domains: str) -> Callable[[str], bool]:
    return lambda host: any(host == name or host.endswith("." + name) for name in domains)


def _parts(path: str) -> list[str]:
    return [unquote(part) for part in path.split("/") if part]


def _zoom(url: SplitResult) -> str | None:
    service = "zoomgov" if _under("zoomgov.com")(_host(url)) else "zoom"
    parts = _parts(url.path)
    for part in parts:
        if re.fullmatch(r"\d{9,11}", part):
            return f"{service}:{part}"
    if len(parts) == 2 and parts[0] == "my":
        return f"{service}:my/{_host(url)}/{parts[1]}"
    return None


def _meet(url: SplitResult) -> str | None:
    parts = _parts(url.path)
    if len(parts) == 1 and re.fullmatch(r"[a-z]{3}-?[a-z]{4}-?[a-z]{3}", parts[0].lower()):
        return "google_meet:" + parts[0].lower().replace("-", "")
    if len(parts) == 2 and parts[0] == "lookup":
        return "google_meet:lookup/" + parts[1].lower()
    return None


def _teams(url: SplitResult) -> str | None:
    path = url.path if "meetup-join" in url.path else url.path + "/" + url.fragment.split("?")[0]
    parts = _parts(path)
    if "meetup-join" in parts:
        thread = parts[parts.index("meetup-join") + 1 :][:2]
        return "teams:" + "/".join(thread).removesuffix("/0") if thread else None
    if len(parts) == 2 and parts[0] == "meet" and parts[1].isdigit():
        return f"teams:{_host(url)}/{parts[1]}"
    return None


def _webex(url: SplitResult) -> str | None:
    site = _host(url).removesuffix(".webex.com").split(".")[0]
    mtid = {key.lower(): value for key, value in parse_qs(url.query).items()}.get("mtid")
    parts = _parts(url.path)
    if mtid and len(parts) > 1:
        return f"webex:{site}/{parts[0]}/mtid/{mtid[0]}"
    if len(parts) == 2 and parts[0] in {"meet", "join"}:
        return f"webex:{site}/room/{parts[1]}"
    return None


def _goto(url: SplitResult) -> str | None:
    parts = [part for part in _parts(url.path) if part not in {"join", "meeting"}]
    if len(parts) != 1:
        return None
    digits = parts[0].replace("-", "")
    return "goto:" + (digits if digits.isdigit() else parts[0].lower())


def _itself(url: SplitResult) -> str:
    query = urlencode(sorted(parse_qsl(url.query, keep_blank_values=True)))
    return f"link:{_host(url)}{url.path.rstrip('/')}?{query}"


_PLATFORMS: tuple[tuple[Callable[[str], bool], Callable[[SplitResult], str | None]], ...] = (
    (_under("zoom.us", "zoom.com", "zoomgov.com"), _zoom),
    (_under("meet.google.com"), _meet),
    (_under("teams.microsoft.com", "teams.live.com", "teams.microsoft.us"), _teams),
    (_under("webex.com"), _webex),
    (_under("gotomeeting.com", "goto.com", "gotomeet.me"), _goto),
)
