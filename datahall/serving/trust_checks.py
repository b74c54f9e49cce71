"""The checks of module 07's second lab: a model's folder, a log, a rotation, a table of rules."""

from __future__ import annotations

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.serving import audit, custody, policy, rotation
from datahall.serving import trust_bank as bank
from datahall.serving import trust_draws as draws
from datahall.serving import trust_trials as trials

# Checks are tables too: what is called, and what to look at.
# fmt: off

load = Check(
    "07.7",
    reference=custody.load,
    bank=bank.LOAD,
    steps=[
        Property("loads what is in order", trials.gives(), idea="Return the bytes."),
        Property("loads the least version", trials.gives(least_version=3), idea="Not below 3."),
        Property("loads version 10", trials.gives(version=10, least_version=9),
                 idea="Versions are numbers: 10 is not below 9."),
        *(Property(f"refuses a {what}", trial, idea=idea) for what, trial, idea in trials.FOLDERS),
        Property("returns what it has judged", trials.survives_a_swap, idea="Read once."),
        Property("judges by what is signed", trials.survives_a_swapped_card, idea="Read once."),
        Property("judges all by what is signed", trials.survives_a_newer_card, idea="Read once."),
        Property("scans what it returns", trials.survives_a_clean_decoy, idea="Read once."),
    ],
)

first_altered = Check(
    "07.8",
    reference=lambda lines, last: audit.first_altered(lines, last=last),
    ours=[audit.first_altered],
    bank=bank.FIRST_ALTERED,
    steps=[
        Example(draws.log(), idea="As it was written."),
        Example(draws.log(draws.at(2, draws.edited(draws.LOG[2]))), idea="Line 2 is another one."),
        *(Trap(what, args, idea=idea) for what, args, idea in draws.ALTERED),
        Search(draws.LOGS, idea="Ask each line its three questions.", examples=100),
    ],
)

rotate = Check(
    "07.9",
    reference=rotation.rotate,
    bank=bank.ROTATE,
    seconds=6,
    steps=[
        Property("lets another key sign", trials.lets_another_key_sign, idea="issuer.use."),
        Property("loses nothing", trials.loses_nothing,
                 idea="Which tokens are in use then, and who knows their key?"),
        Property("leaves one key less and one more", trials.forgets_the_old, idea="Everywhere."),
        Property("does not dawdle", trials.does_not_dawdle, idea="Which wait is for whom?"),
        Property("exchanges real keys", trials.exchanges_real_keys, steady=False,
                 idea="Which tokens are in use then, and who knows their key?"),
    ],
)

_ASKED, _ALLOW, _DENY = draws.asked, draws.allow, draws.deny

permits = Check(
    "07.10",
    reference=policy.permits,
    bank=bank.PERMITS,
    steps=[
        Example(_ASKED(_ALLOW(who=["ada"])), idea="Rule 0 allows it."),
        Example(_ASKED(_ALLOW(model=["mnist_*"]), _DENY(who=["ada"])), idea="Rule 1 denies it."),
        Example(_ASKED(), idea="No rule, no right."),
        Trap("a rule of somebody else", _ASKED(_ALLOW(who=["eve"])), idea="No rule applies."),
        Trap("a rule that denies others", _ASKED(_DENY(who=["eve"])), idea="No rule applies."),
        Trap("deny before allow", _ASKED(_DENY(), _ALLOW()), idea="Rule 0."),
        Trap("two that allow", _ASKED(_ALLOW(who=["eve"]), _ALLOW(), _ALLOW()), idea="Rule 1."),
        Trap("two that deny", _ASKED(_ALLOW(), _DENY(), _DENY()), idea="Rule 1."),
        Trap("an empty list", _ASKED(_ALLOW(who=[])), idea="Nobody."),
        Trap("all fields", _ASKED(_ALLOW(who=["ada"], action=["read"])), idea="All of them."),
        Trap("a longer name", _ASKED(_ALLOW(who=["ad"])), idea="Equal, without a star."),
        Trap("in the middle", _ASKED(_ALLOW(who=["da*"])), idea="A beginning."),
        Trap("a dot and a letter", _ASKED(_ALLOW(who=["a.a", "?da"])), idea="No other signs."),
        Trap("another case", _ASKED(_ALLOW(who=["Ada"])), idea="Texts are equal or not."),
        Trap("at the second hour", _ASKED(_ALLOW(hours=(7, 9))), idea="Until before 9."),
        Trap("at the first hour", _ASKED(_ALLOW(hours=(9, 11))), idea="From 9 on."),
        Trap("the last hour", _ASKED(_ALLOW(), hour=23), idea="Every hour."),
        Trap("at night", _ASKED(_ALLOW(hours=(22, 6)), hour=23), idea="Over midnight."),
        Trap("not at night", _ASKED(_ALLOW(hours=(22, 6))), idea="9 is day."),
        Search(draws.REQUESTS, idea="Which rules apply? Of these: does one deny?", examples=120),
    ],
)
