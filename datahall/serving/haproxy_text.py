"""The gateway's configuration, written from a plan: what stands between a stranger and the model.

Read `text` first, then `_rules`: the order in which a request is judged. Each defence is a few
lines, and without it they are left out. What costs the caller most and us least comes first: sizes,
paths, the token, the rate, and only then the body.

Source:
    HAProxy 2.8 Configuration Manual, sections 4.2 and 7.3; Mozilla Server Side TLS 5.7.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from datahall.serving.defences import Defence
from datahall.serving.gateway_plan import Entrance, GatewayPlan
from datahall.serving.tokens import ALGORITHM, READ

SUBJECT_HEADER, HASH_HEADER = "X-Datahall-Subject", "X-Datahall-Token-Hash"
NONCE_HEADER = "Datahall-Nonce"
MOST_CONNECTIONS = 4_000
HEALTH = ("/v2/health/live", "/v2/health/ready")
TOKEN_DEFENCES = frozenset(
    {
        Defence.TOKEN_SIGNATURE,
        Defence.ONE_ALGORITHM,
        Defence.ISSUER,
        Defence.AUDIENCE,
        Defence.EXPIRY,
        Defence.SCOPE,
        Defence.REVOCATION,
    }
)
# Mozilla's lists "modern" (TLS 1.3 alone) and "intermediate" (with 1.2).
_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
_CURVES = "X25519:prime256v1:secp384r1"
_OWN_ERRORS = {
    400: "The request is not well-formed HTTP.",
    408: "The request took too long.",
    500: "The gateway failed.",
    502: "No replica answered as HTTP demands.",
    503: "No replica is ready.",
    504: "No replica answered in time.",
}


def text(plan: GatewayPlan, *, connections: int = MOST_CONNECTIONS) -> str:
    """Return the configuration of HAProxy for a plan.

    Args:
        plan: What it is to do.
        connections: The most that all ways in may hold together: each takes two descriptors.
    """
    blocks = [_global(plan, connections), _defaults(), _metrics(plan)]
    for way in plan.ways:
        blocks += [_frontend(plan, way), *_tables(way), _backend(way)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _global(plan: GatewayPlan, connections: int) -> list[str]:
    largest = max(way.limits.body_bytes + way.limits.header_bytes for way in plan.ways)
    user = [f"    uid {plan.user}", f"    gid {plan.user}"] if plan.user is not None else []
    return [
        "global",
        "    log stdout format raw local0",
        *user,
        f"    stats socket unix@{plan.runtime} mode 600 level admin",
        f"    maxconn {min(connections, sum(way.limits.connections for way in plan.ways))}",
        "    nbthread 1  # a thread more makes each request dearer; replicas are the limit",
        f"    tune.bufsize {largest + 16_384}  # what fits can be sent to another replica",
        "    tune.maxrewrite 4096",
        "    hard-stop-after 30s  # what an old process still does after a reload",
        f"    ssl-default-bind-ciphersuites {_SUITES}",
        f"    ssl-default-bind-ciphers {_CIPHERS}",
        f"    ssl-default-bind-curves {_CURVES}",
        "    ssl-default-bind-options prefer-client-ciphers no-tls-tickets ssl-min-ver TLSv1.2",
    ]


def _defaults() -> list[str]:
    errors = [
        f"    http-error status {status} content-type application/json string '{_error(says)}'"
        for status, says in _OWN_ERRORS.items()
    ]
    return [
        "defaults",
        "    mode http",
        "    log global",
        "    option dontlognull",
        "    timeout connect 2s",
        "    timeout queue 5s",
        "    timeout check 2s",
        *errors,
    ]


def _metrics(plan: GatewayPlan) -> list[str]:
    return [
        "frontend metrics",
        f"    bind unix@{plan.metrics} mode 600",
        "    timeout client 5s",
        "    http-request use-service prometheus-exporter if { path /metrics }",
        "    http-request return status 404",
    ]


def _frontend(plan: GatewayPlan, way: Entrance) -> list[str]:
    slow = Defence.SLOW_CLIENT_LIMIT in way.defences
    within, idle = (way.limits.slow_s, way.limits.idle_s) if slow else (3600.0, 3600.0)
    return [
        f"frontend {way.name}",
        f"    bind fd@{way.descriptor}{_tls(plan, way)}",
        f"    maxconn {way.limits.connections}",
        f"    timeout http-request {_ms(within)}",
        f"    timeout client {_ms(max(within, way.limits.answer_s) if slow else within)}",
        f"    timeout http-keep-alive {_ms(idle)}",
        f"    log-format '{_LOG}'",
        *(f"    {line}" for line in _rules(plan, way)),
        f"    default_backend {way.name}_replicas",
    ]


_LOG = (
    '{"at":%Ts,"way":"%f","status":%ST,"reason":"%[var(txn.reason)]",'
    '"who":"%[var(txn.hash)]","what":"%[var(txn.what),json(utf8s)]","end":"%ts"}'
)


def _tls(plan: GatewayPlan, way: Entrance) -> str:
    if Defence.TLS not in way.defences:
        return ""
    client = f" ca-file {plan.root} verify required" if way.mtls else ""
    oldest = f" ssl-min-ver TLSv{way.oldest_tls}"
    return f" ssl crt {plan.certificate} alpn h2,http/1.1{oldest}{client}"


def _rules(plan: GatewayPlan, way: Entrance) -> Iterator[str]:
    """Yield the rules of a frontend in the order in which a request meets them."""
    on, limits = way.defences, way.limits
    yield "http-request set-var-fmt(txn.what) '%HM %HP'"
    yield "acl health path " + " ".join(HEALTH)
    # Not the path: /inf%65r is the same to the app, which infers on POST alone.
    yield "acl infer method POST"
    if Defence.HEADER_LIMIT in on:
        much = f"{{ req.hdrs,length gt {limits.header_bytes} }}"
        yield from _refuse(431, "header_too_large", "The headers are too large.", much)
    if Defence.CLOSED_PATHS in on:
        closed = "!{ path /v2 } !{ path_beg /v2/ }"
        yield from _refuse(404, "closed_path", "There is nothing here.", closed)
    if TOKEN_DEFENCES & on.on:
        yield from _token(plan, way)
    else:
        yield "http-request set-var(txn.bearer) http_auth_bearer"
        yield "http-request set-var(txn.hash) var(txn.bearer),sha2(256),hex,lower"
    yield from _amounts(way)
    yield from _body(way)
    yield from _identity(way)
    yield f"http-request disable-l7-retry if {{ req.hdr({NONCE_HEADER}) -m found }}"
    yield "http-response set-log-level silent  # the app keeps the log of what reaches it"
    if Defence.TLS in on:
        yield "http-response set-header Strict-Transport-Security max-age=63072000"


def _token(plan: GatewayPlan, way: Entrance) -> Iterator[str]:
    """Yield the rules for a token; see `tokens.decide`, which asks the same."""
    yield "http-request set-var(txn.bearer) http_auth_bearer"
    yield "http-request set-var(txn.hash) var(txn.bearer),sha2(256),hex,lower"
    yield from _refuse(401, "no_token", "A token is needed.", "!health !{ var(txn.hash) -m found }")
    yield from _signature(plan, way)
    kinds = dict.fromkeys(("iss", "aud", "sub", "jti", "scope"), "") | {
        "exp": ",int",
        "nbf": ",int",
    }
    for claim, kind in kinds.items():
        query = f"jwt_payload_query('$.{claim}'{kind})"
        yield f"http-request set-var(txn.{claim}) var(txn.bearer),{query}"
    yield "http-request set-var(txn.now) date"
    for defence, status, reason, says, condition in _claims(plan):
        if defence is None or defence in way.defences:
            yield from _refuse(status, reason, says, f"!health {condition}")


def _signature(plan: GatewayPlan, way: Entrance) -> Iterator[str]:
    yield "http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')"
    yield "http-request set-var(txn.kid) var(txn.bearer),jwt_header_query('$.kid')"
    algorithm = "txn.alg"
    if Defence.ONE_ALGORITHM in way.defences:
        algorithm = f'"{ALGORITHM}"'
        other = f"!health !{{ var(txn.alg) -m str {ALGORITHM} }}"
        yield from _refuse(401, "wrong_algorithm", f"Only {ALGORITHM} is accepted.", other)
    if Defence.TOKEN_SIGNATURE not in way.defences:
        return
    unknown = f"!health !{{ var(txn.kid) -m str -f {plan.accepted} }}"
    yield from _refuse(401, "unknown_key", "The token names no key of this service.", unknown)
    # A signature once proven stays proven: the hash is of the whole token.
    yield f"http-request set-var(txn.proven) var(txn.hash),table_gpt0({way.name}_tokens)"
    for kid, pem in plan.known().items():
        ours = f"!{{ var(txn.proven) -m int 1 }} {{ var(txn.kid) -m str {kid} }}"
        verify = f'jwt_verify({algorithm},"{plan.key_file(kid)}")'
        yield f"http-request set-var(txn.proven) var(txn.bearer),{verify} if {ours}"
        if Defence.ONE_ALGORITHM not in way.defences:  # the key as a secret: what confusion is
            yield f"http-request set-var-fmt(txn.pem) {_quoted(pem)} if {ours}"
            verify = "jwt_verify(txn.alg,txn.pem)"
            hmac = f"{ours} {{ var(txn.alg) -m str HS256 }}"
            yield f"http-request set-var(txn.proven) var(txn.bearer),{verify} if {hmac}"
    unproven = "!health !{ var(txn.proven) -m int 1 }"
    yield from _refuse(401, "bad_signature", "The signature does not hold.", unproven)


def _claims(plan: GatewayPlan) -> list[tuple[Defence | None, int, str, str, str]]:
    """Return what each claim is asked: defence, status, reason, words, when it is refused."""
    word = "(^| ){}( |$)".format
    infer, read = f"'{word(plan.keys.scope)}'", f"'{word(READ)}'"
    mayread = f"!{{ var(txn.scope) -m reg {read} }} !{{ var(txn.scope) -m reg {infer} }}"
    may = "The token does not allow this."
    return [
        (Defence.ISSUER, 401, "wrong_issuer", "Another issuer made the token.",
         f"!{{ var(txn.iss) -m str {plan.keys.issuer} }}"),
        (Defence.AUDIENCE, 401, "wrong_audience", "The token is for another service.",
         f"!{{ var(txn.aud) -m str {plan.keys.audience} }}"),
        (Defence.EXPIRY, 401, "expired", "The token has expired.",
         "!{ var(txn.exp),sub(txn.now) -m int gt 0 }"),
        (Defence.EXPIRY, 401, "not_yet", "The token is not valid yet.",
         "{ var(txn.nbf),sub(txn.now) -m int gt 0 }"),
        (None, 401, "malformed", "The token lacks sub or jti.",
         "!{ var(txn.sub) -m reg '^[A-Za-z0-9._@-]{1,64}$' }"),
        (Defence.REVOCATION, 401, "malformed", "The token lacks sub or jti.",
         "!{ var(txn.jti) -m found }"),
        (Defence.REVOCATION, 401, "revoked", "The token has been revoked.",
         f"{{ var(txn.jti) -m str -f {plan.revoked} }}"),
        (Defence.SCOPE, 403, "wrong_scope", may, f"infer !{{ var(txn.scope) -m reg {infer} }}"),
        (Defence.SCOPE, 403, "wrong_scope", may, f"!infer {mayread}"),
    ]  # fmt: skip


def _amounts(way: Entrance) -> Iterator[str]:
    """Yield the rate of a token, the budget of a subject, and the mark of a proven token."""
    yield f"http-request track-sc0 var(txn.hash) table {way.name}_tokens if !health"
    if Defence.TOKEN_SIGNATURE in way.defences:
        yield "http-request sc-set-gpt0(0) 1 if !health"
    if Defence.RATE_LIMIT in way.defences:
        often = f"!health {{ sc_http_req_rate(0) gt {way.limits.rate} }}"
        says = "Too many requests of this token."
        yield from _refuse(429, "rate_limit", says, often, hdr="Retry-After 1")
    if Defence.DAILY_BUDGET in way.defences:
        yield f"http-request track-sc1 var(txn.sub) table {way.name}_subjects if infer"
        spent = f"infer {{ sc_gpc0_rate(1) ge {way.limits.daily_budget} }}"
        says = "The budget of a day is spent."
        yield from _refuse(429, "daily_budget", says, spent, hdr="Retry-After 3600")
        yield "http-request sc-inc-gpc0(1) if infer"


def _body(way: Entrance) -> Iterator[str]:
    limit, says = way.limits.body_bytes, "The body is too large."
    if Defence.BODY_LIMIT in way.defences:
        announced = f"{{ req.hdr_val(content-length) gt {limit} }}"
        yield from _refuse(413, "body_too_large", says, announced)
    if Defence.SLOW_CLIENT_LIMIT in way.defences:
        whole = f"time {_ms(way.limits.slow_s)} at-least {limit + 1}"
        yield f"http-request wait-for-body {whole}"
    if Defence.BODY_LIMIT in way.defences:  # a chunked body announces nothing
        yield from _refuse(413, "body_too_large", says, f"{{ req.body_size gt {limit} }}")


def _identity(way: Entrance) -> Iterator[str]:
    """Yield who asks, for the app: from the token alone, never from the client's own headers."""
    for name, value in ((SUBJECT_HEADER, "sub"), (HASH_HEADER, "hash")):
        given = f"{{ var(txn.{value}) -m found }}"
        if Defence.IDENTITY_HEADER in way.defences:
            yield f"http-request del-header {name}"
        else:
            given += f" !{{ req.hdr({name}) -m found }}"
        yield f"http-request set-header {name} %[var(txn.{value})] if {given}"
    if Defence.HASHED_TOKEN in way.defences:
        yield "http-request del-header Authorization"


def _tables(way: Entrance) -> list[list[str]]:
    window = _ms(way.limits.rate_window_s)
    keyed = "type string len 65 size 20k expire 1d store"
    return [
        [
            f"backend {way.name}_tokens",
            f"    stick-table {keyed} gpt0,http_req_rate({window})",
        ],
        [f"backend {way.name}_subjects", f"    stick-table {keyed} gpc0,gpc0_rate(1d)"],
    ]


def _backend(way: Entrance) -> list[str]:
    check = " check inter 500ms fall 2 rise 1" if way.watched else ""
    again = "conn-failure empty-response response-timeout junk-response 503"
    lines = [
        f"backend {way.name}_replicas",
        "    balance leastconn",
        "    http-reuse always",
        f"    timeout server {_ms(way.limits.answer_s)}",
        "    retries 3",
        "    option redispatch 1",
        f"    retry-on {again}",
    ]
    if way.watched:
        lines += ["    option httpchk", f"    http-check send meth GET uri {HEALTH[1]}"]
    servers = [
        f"    server r{number} unix@{path}{check}" for number, path in enumerate(way.sockets)
    ]
    return [*lines, *servers]


def _refuse(status: int, reason: str, says: str, when: str, *, hdr: str = "") -> Iterator[str]:
    """Yield the rules that refuse, and leave the reason for the log."""
    kind = "content-type application/json"
    more = f" hdr {hdr}" if hdr else " hdr WWW-Authenticate Bearer" if status == 401 else ""
    yield f"http-request set-var(txn.reason) str({reason}) if {when}"
    yield (
        f"http-request deny status {status} {kind} string '{_error(says)}'{more} "
        f"if {{ var(txn.reason) -m str {reason} }}"
    )


def _error(says: str) -> str:
    return json.dumps({"error": says})


def _quoted(pem: bytes) -> str:
    return '"' + pem.decode().replace("\n", "\\n").replace(" ", "\\ ") + '"'


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
