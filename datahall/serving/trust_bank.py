"""Answers to the exercises of module 07's second lab, on what is trusted, and for how long."""

from __future__ import annotations

from datahall.checking import Bank, Slip, Wrong
from datahall.serving import trust_answers as answers

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_ONCE = "A file that is read twice is two files: keep the bytes that you have judged."
_LISTED = "sorted(path.name for path in folder.iterdir()) != names"
_LINKS = "any((folder / name).is_symlink() for name in names)"
_SAID = "json.loads(card) if trust.signed(card, signature) else {}"
_OLD, _SCAN = 'said["version"] < trust.least_version', 'trust.scan(model) != "clean"'

LOAD = Bank.of(
    "07.7",
    answers.NAMES,
    right=answers.RIGHT["07.7"],
    wrong=[
        Slip({"return model": "return (folder / names[2]).read_bytes()"}, _ONCE,
             "opens the path again"),
        Wrong(answers.READS_AGAIN, _ONCE, "reads the open file again"),
        Slip({"hashlib.sha256(model)": "hashlib.sha256((folder / names[2]).read_bytes())"}, _ONCE,
             "hashes another read"),
        Slip({_SAID: "json.loads((folder / names[0]).read_bytes()) "
              "if trust.signed(card, signature) else {}"},
             "The card that was verified is the one in memory: judge by that.",
             "reads the card again"),
        Slip({_OLD: f"json.loads((folder / names[0]).read_bytes()){_OLD[4:]}"},
             "The card that was verified is the one in memory: judge by that.",
             "reads the version again"),
        Slip({"trust.scan(model)": "trust.scan((folder / names[2]).read_bytes())"},
             "What was scanned must be what comes back: scan the bytes that you have.",
             "scans another read"),
        Slip({_OLD: 'str(said["version"]) < str(trust.least_version)'},
             "Versions are numbers: as texts, 10 stands before 9.", "compares versions as texts"),
        Slip({_LISTED: 'sorted(path.name for path in folder.glob("[!.]*")) != names'},
             "A file whose name begins with a dot is a file.", "does not see hidden files"),
        Slip({_SAID: "json.loads(card)"}, "Everybody can write a card: is this one signed?",
             "forgets the signature"),
        Slip({'said.get("sha256") != hashlib.sha256(model).hexdigest()': "not said"},
             "The signature is the card's; only the digest ties the model to it.",
             "forgets the digest"),
        Slip({f"{_OLD} or ": ""}, "An old model is signed too: compare its version.",
             "forgets the version"),
        Slip({_OLD: 'said["version"] <= trust.least_version'}, "The least version is allowed.",
             "refuses the least version"),
        Slip({_SCAN: 'trust.scan(model) == "harmful"'},
             "A scan that was skipped has found nothing because it has not looked.",
             "takes skipped for clean"),
        Slip({f" or {_SCAN}": ""}, "A signed model can harm too: what does the scan say?",
             "does not scan"),
        Slip({_LISTED: "not {path.name for path in folder.iterdir()} >= set(names)"},
             "A file more may be what is run: the folder holds these three, and no other.",
             "allows more files"),
        Slip({_LISTED: "False"}, "Look first which files there are, and raise ValueError.",
             "does not look at names"),
        Slip({_LINKS: "False"}, "A link leads out of the folder, to what others can change.",
             "follows links"),
        Slip({'raise ValueError("the card or the model is not what was signed")': "return b''"},
             "Raise ValueError: whoever calls may not look at what comes back.",
             "returns nothing in place of raising"),
    ],
)

_HASH = "hashlib.sha256(body).hexdigest() != parts[2].decode()"
_SEQ, _PREV = 'entry["seq"] != index', 'entry["prev"] != before'
_END = "None if before == last else len(lines)"

FIRST_ALTERED = Bank.of(
    "07.8",
    answers.NAMES,
    right=answers.RIGHT["07.8"],
    wrong=[
        Slip({f" or {_HASH}": ""}, "Does the line's hash belong to its text? Compute it.",
             "believes the hash that is said"),
        Slip({f"{_SEQ} or {_PREV}": "False"},
             "A line fits by itself; does it fit to the one before it? Compare prev.",
             "looks at each line alone"),
        Slip({f" or {_PREV}": ""}, "A number can be invented, a hash cannot: compare prev.",
             "counts numbers only"),
        Slip({f"{_SEQ} or ": ""}, "The number of a line is its place, from 0.", "forgets seq"),
        Slip({_PREV: '(index and entry["prev"] != before)', f"{_SEQ} or": ""},
             "The first line has a prev too: 64 zeros.", "lets the log begin anywhere"),
        Slip({_PREV: '(index and entry["prev"] != before)'},
             "The first line has a prev too: 64 zeros.", "believes the first prev"),
        Slip({"enumerate(lines)": "enumerate(line for line in lines if line)"},
             "A line without text does not fit either: do not pass over it.", "skips empty lines"),
        Slip({_END: "None"}, "Is the last line the one that is known? Lines may be cut off.",
             "does not miss the end"),
        Slip({_END: "None if before == last else len(lines) - 1"},
             "Every line that is there fits: the first that does not is len(lines).",
             "names the last line"),
        Slip({"            return index": "            return index + 1"},
             "Lines are counted from 0.", "counts from 1"),
        Slip({"if not parts or ": "if "},
             "A line may be anything: look whether it has a hash at all.", "trusts the form"),
        Slip({"re.fullmatch": "re.match"},
             "What stands behind the brace is not hashed, and is read all the same: the whole line "
             "has to fit.", "lets text follow"),
        Slip({_HASH: 'hashlib.sha256(json.dumps(json.loads(body)).encode()).hexdigest() '
              "!= parts[2].decode()"},
             "JSON that is written anew has other spaces: hash the bytes that are there.",
             "hashes JSON of its own"),
        Slip({"enumerate(lines)": "reversed([*enumerate(lines)])", _PREV: "False"},
             "The first of them, from the beginning.", "begins at the end"),
        Slip({"        before = parts": "        last_seen = parts"},
             "Each line names the one before it: keep the hash that you have just seen.",
             "never moves on"),
    ],
)

_KNOWN = "    while not all(gateway.knows(new) for gateway in gateways):\n        wait(0.5)\n"
_USE, _WAIT = "    issuer.use(new)\n", "    wait(issuer.lifetime_s)\n"
_NAME = "Drop the old key; after `use` the issuer has forgotten its name: keep it before."
_DROP = "    for gateway in gateways:\n        gateway.drop(old)\n"

ROTATE = Bank.of(
    "07.9",
    answers.NAMES,
    right=answers.RIGHT["07.9"],
    wrong=[
        Slip({_USE: "", "    for gateway in gateways:\n        gateway.accept(new)\n":
              f"{_USE}    for gateway in gateways:\n        gateway.accept(new)\n"},
             "Nobody knows the new key yet: let it sign when all gateways do.",
             "signs before it is known"),
        Slip({_KNOWN: ""}, "Told is not known: ask every gateway with `knows`, and wait.",
             "does not wait until it is known"),
        Slip({"all(gateway": "any(gateway"}, "One gateway is not all of them.",
             "asks until one knows"),
        Slip({_KNOWN: "",
              "        gateway.accept(new)\n": "        gateway.accept(new)\n"
              "        while not gateway.knows(new):\n            wait(0.5)\n"},
             "All gateways can learn at the same time: tell all of them first, then ask.",
             "one gateway after the other"),
        Slip({_WAIT: ""}, "Tokens of the old key are used until they expire: wait for that.",
             "drops at once"),
        Slip({_USE: "", _WAIT: f"{_WAIT}{_USE}"},
             "The last old token is made just before the new key signs: wait after that.",
             "waits before it signs"),
        Slip({"wait(issuer.lifetime_s)": "wait(issuer.lifetime_s / 2)"},
             "A token that was made a moment ago lives its whole life.", "half a life"),
        Slip({_DROP: ""}, "A stolen key is good until it is dropped.", "never drops"),
        Slip({_DROP: "    gateways[0].drop(old)\n"}, "Every gateway has to drop it.",
             "drops at one gateway"),
        Slip({"gateway.drop(old)": "gateway.drop(new)"}, _NAME, "drops the new one"),
        Slip({_USE: ""}, "The new key is known, and nobody signs with it: issuer.use.",
             "forgets to sign"),
        Slip({"old, new = issuer.kid, issuer.make()": "new = issuer.make()",
              _WAIT: f"{_WAIT}    old = issuer.kid\n"},
             _NAME, "asks for the name too late"),
        Slip({"wait(issuer.lifetime_s)": "wait(3 * issuer.lifetime_s)"},
             "The old key is of use to a thief all that time: one lifetime is enough.",
             "waits far too long"),
    ],
)

_FOUND = '(rule["effect"] == "allow", n)'
_MIN, _HOUR = "min(found, default=(False, None))", "< ((end - begin) % 24 or 24)"
_FITS = "said == text or (open_ and said.startswith(text))"

PERMITS = Bank.of(
    "07.10",
    answers.NAMES,
    right=answers.RIGHT["07.10"],
    wrong=[
        Slip({_MIN: "next(iter(found), (False, None))"},
             "A rule that denies outweighs those that allow, wherever it stands.",
             "the first rule that applies"),
        Slip({_MIN: "max(found, key=lambda one: (one[0], -one[1]), default=(False, None))"},
             "One rule that denies is enough, however many allow.", "one that allows is enough"),
        Slip({_MIN: "min(found, default=(True, None))"}, "What no rule allows is denied.",
             "allows by default"),
        Slip({_MIN: "(bool(found) and min(found)[0], found[0][1] if found else None)"},
             "Name the rule that has decided: the first that denies, if one does.",
             "names the first that applies"),
        Slip({_MIN: "(min(found)[0], max(n for kind, n in found if kind == min(found)[0])) "
              "if found else (False, None)"}, "Of several name the first.", "names the last"),
        Slip({'rule.get(field, ["*"])': "rule.get(field, [])"},
             "A field that is left out applies to everything.", "left out is nothing"),
        Slip({'rule.get(field, ["*"])': 'rule.get(field) or ["*"]'},
             "An empty list applies to nothing.", "empty is everything"),
        Slip({"if not any(": "if any(", "return False": "return True",
              "return (request": 'return not {"who", "action", "model"} & {*rule} and (request'},
             "All fields have to apply, not one of them.", "one field is enough"),
        Slip({_FITS: "said.startswith(text)"}, "Without a star a pattern is the whole text.",
             "a beginning is enough"),
        Slip({_FITS: "said == text or (open_ and text in said)"},
             "A pattern with a star is a beginning, not any part.", "a part is enough"),
        Slip({_FITS: "said == text or (open_ and not text)"},
             "A star at the end stands for any rest.", "no stars"),
        Slip({_FITS: "re.fullmatch(text + ('.*' if open_ else ''), said)"},
             "A dot is a dot here: only the star has a meaning.", "regular expressions"),
        Slip({_FITS: f"said.lower() == text.lower() or {_FITS}"}, "Capital letters count.",
             "any case"),
        Slip({_HOUR: "<= ((end - begin) % 24 or 24)"}, "Until before the second hour.",
             "one hour too many"),
        Slip({f'(request["hour"] - begin) % 24 {_HOUR}': 'begin <= request["hour"] < end'},
             "(22, 6) goes over midnight.", "no nights"),
    ],
)
