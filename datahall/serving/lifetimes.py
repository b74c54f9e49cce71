"""How long a token may live; a replica, which has no use for tokens, remembers nonces as long."""

LONGEST_S = 24 * 3600.0
