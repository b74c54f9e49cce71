"""The checks of module 07's attack lab: forged tokens, an honest claim, killed mutants, a log."""

from __future__ import annotations

from datahall.checking import Check, Property
from datahall.serving import attack_answers, evasion, forging
from datahall.serving import attack_trials as trials
from datahall.serving import attacks_bank as bank
from datahall.serving import evidence_trials as worlds

# Checks are tables too: what is called, and what to look at.
# fmt: off

forge = Check(
    "07.11",
    reference=attack_answers.forge,
    ours=[forging.unsigned, forging.confused, forging.keyed, forging.joined],
    bank=bank.FORGE,
    steps=[
        Property("makes an unsigned token that is believed", trials.believes("unsigned"),
                 idea="Header, claims, and nothing behind the last dot."),
        Property("makes a confused token that is believed", trials.believes("confused"),
                 idea="The secret is the public key's file; sign what you send."),
        Property("makes a token whose kid is a path", trials.believes("path"),
                 idea="From the folder keys up to the root, then down to dev/null."),
        Property("makes each for one mistake only", trials.one_mistake_each,
                 idea="Change what the mistake needs, and no more."),
    ],
)

attack = Check(
    "07.12",
    reference=evasion.attack,
    bank=bank.ATTACK,
    steps=[Property(name, test, idea=idea) for name, test, idea in worlds.TRIALS],
)

attacks = Check(
    "07.13",
    reference=attack_answers.attacks,
    bank=bank.ATTACKS,
    steps=[
        Property(f"kills the service without {name}", trials.kills(name), idea=idea)
        for name, idea in (
            ("value_range", "256 is a whole number."),
            ("content_type", "The honest body, announced as something else."),
            ("datatype", "The honest numbers under another type."),
            ("batch_limit", "33 whole images."),
            ("strict_json", "One field more."),
            ("exact_shape", "The same pixels in another shape."),
            ("size_adds_up", "Announce 784 bytes and send fewer."),
        )
    ],
)

inject = Check(
    "07.14",
    reference=attack_answers.inject,
    bank=bank.INJECT,
    steps=[
        Property("writes a line", trials.writes({"who": "root"}), idea="Close, write, open."),
        Property("writes numbers as numbers", trials.writes({"status": 200, "verdict": "allowed"}),
                 idea="200 is no text."),
        Property("writes texts with quotation marks and line ends in them",
                 trials.writes({"who": 'a"b\\c', "note": "two\nlines"}),
                 idea="json.dumps knows what must be escaped."),
        Property("writes letters of any script", trials.writes({"who": "Zoë 你好"}),
                 idea="The line must say the same letters."),
    ],
)
