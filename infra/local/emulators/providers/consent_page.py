"""The pages a person sees at an emulated provider."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from infra.local.emulators.http import Response
from infra.local.emulators.providers.ledger import Account, Enquiry
from infra.local.emulators.providers.traits import NO_STORE, Traits

STYLE = """
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:#f0f3f7;
 color:#1b1b1f;font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:29rem;background:#fff;border:1px solid #d5d9e0;border-radius:.75rem;
 padding:1.75rem}
.logo{display:flex;gap:.2rem;margin-bottom:.9rem}
.logo span{width:.75rem;height:.75rem;border-radius:var(--dot)}
.local{margin:0 0 1rem;color:#4a4f57;font-size:.875rem}
h1{margin:0 0 .25rem;font-size:1.4rem;line-height:1.25}
.lead{margin:0 0 1.25rem;overflow-wrap:anywhere}
fieldset{border:0;margin:0 0 1.25rem;padding:0;min-width:0}
legend{padding:0;margin-bottom:.4rem;font-weight:600}
.row{display:flex;gap:.75rem;align-items:center;min-height:2.75rem;padding:.35rem .75rem;
 border:1px solid #d5d9e0;border-radius:.5rem;margin-bottom:.4rem;cursor:pointer}
.row:hover{background:#f5f7fa}
.row:has(input:checked){border-color:var(--accent)}
.row span{min-width:0;overflow-wrap:anywhere}
.row small{display:block;color:#4a4f57}
input[type=radio],input[type=checkbox]{flex:none;width:1.15rem;height:1.15rem;margin:0;
 accent-color:var(--accent)}
.typed{margin-top:.6rem}
.typed label{display:block;margin-bottom:.4rem;font-weight:600}
.choice:not(:has(#account-other:checked)) .typed{display:none}
input[type=email]{width:100%;min-height:2.75rem;padding:.4rem .75rem;font:inherit;
 border:1px solid #747a84;border-radius:.5rem}
ul{margin:0;padding-left:1.2rem}
.problem{margin:0 0 1.25rem;padding:.6rem .75rem;border-left:4px solid #b3261e;
 background:#fdeceb}
.buttons{display:flex;flex-wrap:wrap;gap:.6rem}
button{min-height:2.75rem;padding:.4rem 1.5rem;font:inherit;font-weight:600;cursor:pointer;
 border:1px solid #747a84;border-radius:var(--button);background:#fff;color:#1b1b1f}
button.allow{background:var(--accent);border-color:var(--accent);color:#fff}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:30rem){body{padding:0;background:#fff;place-items:start stretch}
 main{border:0;border-radius:0;padding:1.25rem}.buttons button{flex:1}}
"""


def consent(
    traits: Traits,
    *,
    action: str,
    enquiry_id: str,
    enquiry: Enquiry,
    accounts: Sequence[Account],
    problem: str,
) -> Response:
    """The page that asks; status 400 when it comes back with a `problem`."""
    app = escape(urlsplit(enquiry.redirect_uri).netloc)
    alert = f'<p class="problem" id="problem" role="alert">{escape(problem)}</p>' if problem else ""
    content = f"""
<h1>{escape(traits.heading)}</h1>
<p class="lead"><strong>{app}</strong> {escape(traits.question)}</p>
{alert}
<form method="post" action="{escape(action)}">
<input type="hidden" name="enquiry" value="{escape(enquiry_id)}">
{_account_choice(accounts, enquiry.login_hint, problem=problem)}
{_scope_choice(traits, enquiry.scopes)}
<div class="buttons">
<button class="allow" name="decision" value="allow">Allow</button>
<button name="decision" value="cancel" formnovalidate>Cancel</button>
</div>
</form>"""
    return _page(traits, status=400 if problem else 200, title=traits.heading, content=content)


def error(traits: Traits, *, error: str, text: str) -> Response:
    """A refusal that must not be sent to the address in the request."""
    content = f"""
<h1>This sign-in cannot go on</h1>
<p class="lead">{escape(text)}</p>
<p>Error: <code>{escape(error)}</code></p>"""
    return _page(traits, status=400, title="Sign-in error", content=content)


def _account_choice(accounts: Sequence[Account], hint: str, *, problem: str) -> str:
    hinted = next(
        (account for account in accounts if account.email.casefold() == hint.casefold()), None
    )
    chosen = hinted or (accounts[0] if accounts and not hint else None)
    if problem:
        chosen = None  # only a typed address can be wrong
    known = "".join(_account_row(account, checked=account is chosen) for account in accounts)
    typed = escape("" if hinted else hint)
    return f"""<fieldset class="choice"><legend>Choose an account</legend>
{known}
<label class="row"><input type="radio" id="account-other" name="account" value="other"
{"" if chosen else "checked"}><span>Use another account</span></label>
<div class="typed"><label for="email">E-mail address</label>
<input type="email" id="email" name="email" value="{typed}" autocomplete="email"
{'aria-invalid="true" aria-describedby="problem" autofocus' if problem else ""}></div>
</fieldset>"""


def _account_row(account: Account, *, checked: bool) -> str:
    email = escape(account.email)
    return (
        f'<label class="row"><input type="radio" name="account" value="{email}"'
        f"{' checked' if checked else ''}><span>{escape(account.name)}"
        f"<small>{email}</small></span></label>"
    )


def _scope_choice(traits: Traits, scopes: Sequence[str]) -> str:
    asked = [scope for scope in scopes if not traits.is_sign_in(scope)]
    included = dict.fromkeys(traits.label(scope) for scope in scopes if scope not in asked)
    if not traits.boxes:
        fields = "".join(_scope_field(scope) for scope in asked)
        lines = [*(traits.label(scope) for scope in asked), *included]
        return f"<fieldset><legend>Permissions requested</legend>{fields}{_list(lines)}</fieldset>"
    boxes = "".join(_scope_box(scope, traits.label(scope)) for scope in asked)
    legend = "Select what it can access"
    return f"<fieldset><legend>{legend}</legend>{boxes}{_list(list(included))}</fieldset>"


def _scope_field(scope: str) -> str:
    return f'<input type="hidden" name="scope" value="{escape(scope)}">'


def _scope_box(scope: str, label: str) -> str:
    return (
        f'<label class="row"><input type="checkbox" name="scope" value="{escape(scope)}" checked>'
        f"<span>{escape(label)}</span></label>"
    )


def _list(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _page(traits: Traits, *, status: int, title: str, content: str) -> Response:
    shape = "999px" if traits.boxes else "2px"
    variables = f":root{{--accent:{traits.colour};--dot:{shape};--button:{shape}}}"
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{variables}{STYLE}</style></head>
<body><main>
<div class="logo" aria-hidden="true">{traits.logo}</div>
<p class="local">Emulated {escape(traits.brand)}: no real account is involved.</p>{content}
</main></body></html>"""
    headers = {
        "content-type": "text/html; charset=utf-8",
        # No form-action: browsers apply it to the redirect after the form as well.
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        **NO_STORE,
    }
    return Response(status=status, headers=headers, body=text.encode())
