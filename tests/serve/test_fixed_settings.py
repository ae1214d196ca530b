"""What a running service does not heed: said, and nothing that is guarded is open for it."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.errors import InputError
from edge_lpr.serve.fixed_settings import heeded
from edge_lpr.serve.settings import ServeSettings

EVERYWHERE, HERE = "0.0.0.0:8470", "127.0.0.1:8470"


def settings(**tables: Any) -> ServeSettings:
    return ServeSettings.model_validate({"cameras": {"gate": {"source": "0"}}, **tables})


def test_a_page_that_others_reach_is_not_opened_by_an_address_of_the_next_start() -> None:
    said: list[str] = []
    guarded = settings(web={"listen": EVERYWHERE, "password": "a hash"})
    with pytest.raises(InputError, match=r"'0\.0\.0\.0:8470', which other machines reach.*start it$"):
        heeded(settings(web={"listen": HERE}), guarded, said.append)
    now = heeded(settings(web={"listen": HERE, "password": "another"}), guarded, said.append)
    assert (now.web.listen, now.web.password) == (EVERYWHERE, "another")
    assert said == ["[web] listen has changed: that is heeded at the next start"] * 2
    local = heeded(settings(web={"listen": EVERYWHERE, "password": "a"}), settings(), said.append)
    assert local.web.listen == HERE


def test_what_is_heeded_later_is_said() -> None:
    said: list[str] = []
    other = settings(
        service={"watchdog": 5},
        reader={"threads": 1},
        web={"certificate": "c.pem", "key": "k.pem"},
        lists={"a": {"action": "allow", "candidates": 3}},
    )
    now = heeded(other, settings(), said.append)
    assert [line.replace(" have", " has").partition(" has")[0] for line in said] == [
        "[service]",
        "[reader]",
        "[lists] candidates",
        "[web] certificate",
        "[web] key",
    ]
    assert now.web.certificate is None and now.service == other.service
    said.clear()
    assert heeded(settings(), settings(), said.append) == settings() and not said
