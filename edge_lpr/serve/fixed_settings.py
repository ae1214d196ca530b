"""What a running service does not heed of another configuration: where its page listens, and its models."""

from __future__ import annotations

from collections.abc import Callable

from edge_lpr.errors import InputError, shown
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.web.auth import is_loopback

__all__ = ["heeded"]

_TABLES = ("service", "reader")
_OF_WEB = ("listen", "certificate", "key")


def _candidates(settings: ServeSettings) -> int:
    return max((one.candidates for one in settings.lists.values()), default=0)


def heeded(settings: ServeSettings, before: ServeSettings, say: Callable[[str], None]) -> ServeSettings:
    """Returns what holds of another configuration.

    Who may look is decided by where the page listens, so that has to stay what it is: else a page that others
    reach would need no password, as the next start's needs none.

    Args:
        settings: The other configuration.
        before: The one that the service runs with.
        say: Is given a line for each change that is heeded at the next start.

    Raises:
        InputError: The page is reached from other machines until then, and would need no password.
    """
    for name in _TABLES:
        if getattr(before, name) != getattr(settings, name):
            say(f"[{name}] has changed: that is heeded at the next start")
    if _candidates(settings) > _candidates(before):
        say("[lists] candidates have grown beyond what the models give: that is heeded at the next start")
    kept = {name: getattr(before.web, name) for name in _OF_WEB}
    for name, value in kept.items():
        if getattr(settings.web, name) != value:
            say(f"[web] {name} has changed: that is heeded at the next start")
    web = settings.web.model_copy(update=kept)
    if web.listen and not (is_loopback(web.listen) or web.password or web.tokens):
        raise InputError(
            f"[web]: until the next start the page listens at {shown(web.listen)}, which other machines "
            "reach, and there is no password or token any more; keep one, or end the service and start it"
        )
    return settings.model_copy(update={"web": web})
