"""The svix verifier without the svix API client.

The package's `__init__` imports hundreds of generated models (about 450 ms) to reach a verifier
that needs 20 ms. A parent that is found but never run lets `svix.webhooks` alone be imported.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svix.webhooks import Webhook


@cache
def webhook_class() -> type[Webhook]:
    """`svix.webhooks.Webhook`."""
    if "svix" in sys.modules:
        return _webhook()
    spec = find_spec("svix")
    if spec is None:
        raise ModuleNotFoundError("svix")
    sys.modules["svix"] = module_from_spec(spec)
    try:
        return _webhook()
    finally:
        # Whoever imports svix later must find the whole package.
        del sys.modules["svix"]


def _webhook() -> type[Webhook]:
    found: type[Webhook] = import_module("svix.webhooks").Webhook
    return found
