"""The claims ledger: what articles state, what a run measures, and the verdict.

`ledger` reads `datahall/claims/` and judges; `records` keeps the measured values with the
digests of the code that gave them; `page` writes `docs/claims.md`; `command` is `datahall claims`.
"""
