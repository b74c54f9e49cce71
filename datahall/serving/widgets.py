"""Panels of module 07: a request that is changed byte by byte, a token that is changed by claim."""

from __future__ import annotations

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datahall.plotting import Panel
from datahall.serving import anatomy, figures, forging, inspecting, tokens, trust_figures
from datahall.serving.tokens import Issuer

__all__ = ["asked", "explore_request", "explore_token", "inspected"]

MINUTE_S = 60


def asked(
    images: NDArray[np.uint8], *, number: int = 1, form: str = "JSON", change: str = "nothing"
) -> Figure:
    """Show a request and what the service says to it.

    Args:
        images: Pixels, (batch, height, width, channels).
        number: How many of the images are sent.
        form: "JSON" or "binary".
        change: One of `anatomy.CHANGES`.
    """
    return figures.page_of_bytes(anatomy.request_of(images[:number], form, change))


def explore_request(images: NDArray[np.uint8]) -> Panel:
    """Choose the form of a request and change it in one place; read what the service says.

    Args:
        images: Pixels, (batch, height, width, channels); so many can be sent at most.
    """

    def draw(**values: object) -> Figure:
        return asked(images, **values)  # type: ignore[arg-type]

    return Panel(
        draw,
        title="A request, byte by byte",
        change=ipywidgets.Dropdown(options=list(anatomy.CHANGES), description="change"),
        form=ipywidgets.Dropdown(options=anatomy.FORMS, description="form"),
        number=ipywidgets.IntSlider(1, min=1, max=len(images), description="images"),
    )


def inspected(
    issuer: Issuer,
    token: str,
    *,
    change: str = "nothing",
    signed_again: bool = False,
    minutes: int = 1,
) -> Figure:
    """Show a token, changed in one place, and what the service says to it.

    Args:
        issuer: Whose token it is.
        token: The token.
        change: One of `inspecting.CHANGES`.
        signed_again: Whether the issuer signs the changed claims.
        minutes: How long after its making it is shown to the service.
    """
    made = inspecting.changed(issuer, token, change, signed_again=signed_again)
    now = forging.parts(token)[1]["iat"] + MINUTE_S * minutes
    decision = tokens.decide(made, issuer.keys(), now)
    by = "Signed by the issuer as it stands" if signed_again else "Changed without the key"
    shown = f"{'Not changed' if made == token else by}; shown {minutes} min after its making."
    return trust_figures.token(made, inspecting.told(decision), shown=shown)


def explore_token(issuer: Issuer, token: str) -> Panel:
    """Change a token, with and without the issuer's key, and wait; read what the service says.

    Args:
        issuer: Whose token it is.
        token: The token.
    """

    def draw(**values: object) -> Figure:
        return inspected(issuer, token, **values)  # type: ignore[arg-type]

    return Panel(
        draw,
        title="A token, claim by claim",
        change=ipywidgets.Dropdown(options=inspecting.CHANGES, description="change"),
        signed_again=ipywidgets.Checkbox(value=False, description="signed again"),
        minutes=ipywidgets.IntSlider(1, min=0, max=10, description="minutes later"),
    )
