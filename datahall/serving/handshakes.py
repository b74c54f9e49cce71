"""A TLS handshake in memory: whom a client accepts, without a socket.

`handshake` lets a client and a server of this process shake hands over two buffers, with the
certificates that they are given, and says what the client thought of it. It is the standard
library's TLS, as every client of this course uses it.
"""

from __future__ import annotations

import ssl

from datahall.serving.authority import Leaf

ROUNDS = 10  # a handshake takes three


def handshake(
    leaf: Leaf, root_pem: bytes, *, name: str = "localhost", client: Leaf | None = None
) -> str:
    """Return what comes of a handshake, in a few words.

    Args:
        leaf: Certificate and key of the server.
        root_pem: The root that both sides trust, PEM.
        name: Whom the client wants to reach.
        client: Certificate and key of the client; given, the server demands one (mutual TLS).

    Returns:
        "accepted, TLSv1.3", or "refused: " and the reason that the library gives.
    """
    near, far = ssl.MemoryBIO(), ssl.MemoryBIO()  # to the client, to the server
    asks = ssl.create_default_context(cadata=root_pem.decode("ascii"))
    gives = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    gives.load_cert_chain(leaf.certificate, leaf.key)
    if client is not None:
        gives.verify_mode = ssl.CERT_REQUIRED
        gives.load_verify_locations(cadata=root_pem.decode("ascii"))
        asks.load_cert_chain(client.certificate, client.key)
    sides = [
        asks.wrap_bio(near, far, server_hostname=name),
        gives.wrap_bio(far, near, server_side=True),
    ]
    try:
        for _ in range(ROUNDS):
            if all([_shaken(side) for side in sides]):
                break
    except ssl.SSLCertVerificationError as error:
        return f"refused: {error.verify_message.rstrip('.')}"
    except ssl.SSLError as error:
        return f"refused: {(error.reason or 'no reason').lower().replace('_', ' ')}"
    return f"accepted, {sides[0].version()}"


def _shaken(side: ssl.SSLObject) -> bool:
    """Go on with a handshake as far as the buffers allow; tell whether it is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
