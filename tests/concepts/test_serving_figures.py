"""What module 07's pictures and panels show is computed from what they are given."""

from __future__ import annotations

import httptools
import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.plotting import description
from datahall.serving import (
    anatomy,
    costing,
    figures,
    forging,
    inspecting,
    tokens,
    trust_figures,
    widgets,
)
from datahall.serving.defences import LEVELS, PLACES, Defence, Defences

IMAGES = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28, 1)
NOW = 1_000_000


class Heard:
    """Collects what an independent reader of HTTP finds in a request."""

    def __init__(self) -> None:
        self.url, self.headers, self.body = b"", {}, b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body


@pytest.mark.parametrize("form", anatomy.FORMS)
def test_a_request_is_read_by_another_reader_as_by_ours(form: str) -> None:
    message = anatomy.request_of(IMAGES, form)
    heard = Heard()
    httptools.HttpRequestParser(heard).feed_data(message)
    found = anatomy.parts(message)
    assert b"".join(found.values()) == message
    assert heard.url == b"/v2/models/mnist_cnn/infer"
    assert heard.headers == anatomy.headers_of(message)
    assert heard.body == found["JSON"] + found.get("raw bytes", b"")
    assert found.get("raw bytes", IMAGES.tobytes()) == IMAGES.tobytes()


@pytest.mark.parametrize("form", anatomy.FORMS)
def test_an_honest_request_is_accepted_and_each_change_that_it_shows_is_refused(form: str) -> None:
    honest = anatomy.request_of(IMAGES, form)
    assert anatomy.verdict(honest) == "accepted: images, shape [2, 28, 28, 1]"
    for change in anatomy.CHANGES:
        message = anatomy.request_of(IMAGES, form, change)
        assert anatomy.verdict(message).startswith("refused, 400") == (message != honest), change


def test_each_change_is_seen_in_one_of_the_forms() -> None:
    for change in list(anatomy.CHANGES)[1:]:
        assert any(
            anatomy.request_of(IMAGES, form) != anatomy.request_of(IMAGES, form, change)
            for form in anatomy.FORMS
        ), change


def test_an_unknown_form_or_change_is_refused() -> None:
    with pytest.raises(ParameterError, match="'XML'"):
        anatomy.request_of(IMAGES, "XML")
    with pytest.raises(ParameterError, match="'magic'"):
        anatomy.request_of(IMAGES, "JSON", "magic")


def test_a_message_without_an_end_of_headers_is_refused() -> None:
    with pytest.raises(ParameterError, match="no empty line"):
        anatomy.parts(b"GET / HTTP/1.1\r\nHost: x\r\n")


def test_the_way_counts_the_defences_that_are_on() -> None:
    counts = {place: sum(one.place == place for one in Defence) for place in PLACES}
    every, none = (description(figures.way(on)) for on in (Defences.all(), LEVELS["open"]))
    for place, count in counts.items():
        assert f"{place} {count} of {count}" in every
        assert f"{place} 0 of {count}" in none


def test_strips_tell_the_bytes_of_each_part() -> None:
    told = description(figures.strips({"binary": anatomy.request_of(IMAGES, "binary")}))
    assert "raw bytes 1,568" in told


def test_costs_are_told_as_they_are_given() -> None:
    told = description(figures.costs([("model", 20.0), ("HTTP", 200.4)]))
    assert "model 20, HTTP 200" in told
    assert costing.steps([("model", 20.0), ("HTTP", 200.0)])[1] == ("HTTP", 180.0)


def test_harms_count_what_succeeds_where() -> None:
    found = {"forged": {"open": True, "all": False}, "replayed": {"open": False, "all": False}}
    assert "open 1 of 2, all 0 of 2" in description(figures.harms(found))


STOPPED = {  # by the claim's own check, once the issuer has signed it
    "iss: another issuer": "wrong_issuer",
    "aud: another service": "wrong_audience",
    "nbf: an hour later": "not_yet",
    "scope: read only": "wrong_scope",
    "jti: left out": "malformed",
    "alg: none": "wrong_algorithm",
    "alg: HS256 with the public key": "wrong_algorithm",
    "kid: a path": "unknown_key",
    "signature: one bit": "bad_signature",
}


def decided(change: str, *, signed_again: bool) -> str:
    issuer = tokens.Issuer()
    token = inspecting.changed(
        issuer, issuer.issue("ada", now=NOW), change, signed_again=signed_again
    )
    return inspecting.told(tokens.decide(token, issuer.keys(), NOW + 1))


@pytest.mark.parametrize("change", inspecting.CHANGES[1:])
def test_no_change_of_a_token_is_accepted_from_one_without_the_key(change: str) -> None:
    assert decided(change, signed_again=False).startswith("refused, 401")


@pytest.mark.parametrize("change", inspecting.CHANGES)
def test_what_the_issuer_signs_is_stopped_by_the_check_of_that_claim(change: str) -> None:
    said = decided(change, signed_again=True)
    assert f" {STOPPED[change]}:" in said if change in STOPPED else said.startswith("accepted")


def test_every_control_of_the_token_panel_changes_words_and_picture() -> None:
    issuer = tokens.Issuer()
    token = issuer.issue("ada", now=NOW)
    words = [
        description(widgets.inspected(issuer, token, **values))
        for values in ({}, {"minutes": 2}, {"signed_again": True}, {"change": "alg: none"})
    ]
    assert len(set(words)) == 4
    assert "expired" in description(widgets.inspected(issuer, token, minutes=5))
    header, claims, _ = forging.parts(token)
    assert header["kid"] not in " ".join(words)
    assert claims["jti"] not in " ".join(words)


def test_the_request_panel_draws_what_its_controls_say() -> None:
    panel = widgets.explore_request(IMAGES)
    assert panel.draws == 1
    told = description(widgets.asked(IMAGES, number=2, form="binary", change="another name"))
    assert "raw bytes 1,568 B" in told
    assert "unknown_tensor" in told


def test_the_race_tells_its_events_in_order_and_refuses_strangers() -> None:
    events = [("service", "hashes"), ("attacker", "swaps"), ("service", "loads")]
    told = description(trust_figures.race(["service", "attacker"], events, title="Twice"))
    assert told == "Twice. In order of time: service: hashes; attacker: swaps; service: loads."
    with pytest.raises(ParameterError, match="attacker"):
        trust_figures.race(["service"], events)


def test_the_chain_tells_the_first_line_that_does_not_fit() -> None:
    lines = [("ada", "0" * 64, "a" * 64), ("bob", "b" * 64, "c" * 64)]
    assert "line 1 is the first" in description(trust_figures.chain(lines, 1))
    assert "all fit" in description(trust_figures.chain(lines, None))


def test_a_rotation_counts_requests_by_key_and_refusals() -> None:
    moments = [(0.0, "old", 200), (1.0, "new", 200), (1.1, "old", 401)]
    told = description(trust_figures.rotation(moments, [(0.5, "rotate")]))
    assert told == "3 requests (2 by old, 1 by new), 1 of them refused."
