"""Answers to the exercises of module 07's first lab, on what is refused before a model is asked."""

from __future__ import annotations

from datahall.checking import Bank, Slip, Wrong
from datahall.serving import admission_answers as answers

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_FITS, _SIZES = "data.shape in (tuple(shape), (math.prod(shape),))", "not 1 <= shape[0] <= spec"
_VALUE = "type(v) is int and spec.low <= v <= spec.high"
_KEYS = 'set(tensor) != {"name", "datatype", "shape", "data"}'

ADMIT = Bank.of(
    "07.1",
    answers.NAMES,
    right=answers.RIGHT["07.1"],
    wrong=[
        Slip({_SIZES: "not shape[0] or not shape[0] <= spec", _FITS: "data.size % 2 == 0"},
             "−1 is the specification's own sign; a client says how many.", "−1 as any batch"),
        Slip({_SIZES: "not 0 <= shape[0] <= spec"}, "A batch has one example or more.", "batch 0"),
        Slip({f"{_SIZES}.max_batch": "shape[0] < 1"}, "See spec.max_batch.", "no limit"),
        Slip({"[tensor[\"name\"], tensor[\"datatype\"], shape[1:]] != wanted":
              "[tensor['name'], tensor['datatype']] != wanted[:2]",
              _FITS: "data.size == shape[0] * math.prod(wanted[2])"},
             "As many values are not the same shape: compare axis by axis.", "counts values only"),
        Slip({"type(v) is int": "isinstance(v, int)"},
             "In Python True is an int: ask for the type itself.", "True as 1"),
        Slip({"type(size) is int": "isinstance(size, int)"},
             "True is an int in Python, also as the size of an axis.", "True as a size"),
        Slip({"type(v) is int and": "type(v) in (int, float) and"},
             "1.0 is a float, and a float is no pixel.", "floats that are whole"),
        Slip({_VALUE: "type(v) is int", "data.astype": "np.clip(data, 0, spec.high).astype"},
             "Refuse a value that is out of range; do not bend it.", "clips"),
        Slip({_VALUE: "type(v) is int and 0 <= v <= 255"},
             "The range is the specification's, from spec.low to spec.high.", "the type's range"),
        Slip({_VALUE: "type(v) is int and 0 <= v <= spec.high"},
             "The range is the specification's, from spec.low to spec.high.", "0 as the least"),
        Slip({_VALUE: "type(v) is int", "data.astype": "(data % 256).astype"},
             "256 is 0 in a byte: look at values before they are converted.", "wraps round"),
        Slip({_FITS: "data.shape == tuple(shape)"},
             "Honest clients send flat data too: the protocol allows both.", "refuses flat data"),
        Slip({_FITS: "data.shape == (math.prod(shape),)"},
             "Honest clients nest data too: the protocol allows both.", "refuses nested data"),
        Slip({_FITS: "data.size == math.prod(shape)"},
             "Data is flat, or nested as the shape is; half of it is neither.", "any nesting"),
        Slip({_FITS: "data.shape in (tuple(shape), (math.prod(shape),), "
                     "(shape[0], math.prod(shape[1:])))"},
             "Data is flat, or nested as the shape is; half of it is neither.",
             "flat in each image"),
        Slip({_KEYS: 'not set(tensor) >= {"name", "datatype", "shape", "data"}'},
             "A key that the specification does not know is refused too.", "ignores other keys"),
        Slip({f"{_KEYS} or ": ""}, "A key may be missing: look first.", "trusts in keys"),
        Slip({"This is not the tensor that the model takes.\"": "Not \" + str(tensor.get('name'))"},
             "Say what is expected, never what came.", "echoes the input"),
    ],
)


_STATED, _PROD = 'one["parameters"]["binary_data_size"]', 'math.prod(one["shape"])'
_DIGITS = 're.fullmatch("[0-9]{1,9}", length)'
_ENDS = " or at + size > len(body)"

TENSORS = Bank.of(
    "07.2",
    answers.NAMES,
    right=answers.RIGHT["07.2"],
    wrong=[
        Slip({"found if at == len(body) else no": "found"},
             "Bytes that belong to no tensor are left: the sizes must add up to the body.",
             "ignores what is left"),
        Slip({_ENDS: ""}, "Does the body have so many bytes? Look before you read.",
             "reads beyond the end"),
        Slip({"        at += size": "        pass"},
             "Each tensor begins where the one before it has ended.", "all from the same place"),
        Slip({f"size != {_STATED}": f"{_STATED} < 0",
              "        size =": f"        size, want = {_STATED},"},
             "The stated size must be that of the shape.", "trusts the stated size"),
        Slip({f"size != {_STATED}{_ENDS}": "at + size > len(body)"},
             "Two things say how large a tensor is: they must say the same.",
             "trusts the shape alone"),
        Slip({f"size != {_STATED}": f"abs(size) != abs({_STATED})"}, "A size has no sign.",
             "drops a sign"),
        Slip({_PROD: 'int(np.prod(one["shape"], dtype=np.int64))'},
             "np.prod counts in 64 bits, and 2⁶⁴ is 0 in them: math.prod has no limit.",
             "a product that overflows"),
        Slip({f"not {_DIGITS}": "not length.isdigit()"},
             "isdigit takes digits of every script: ask for 0–9.", "digits of any script"),
        Slip({f"not {_DIGITS} or int(length) > len(body)": "int(length) > len(body)"},
             "int() takes signs, spaces and underscores, and raises for the rest: look first.",
             "whatever int() takes"),
        Slip({f"{_DIGITS} or int(length) > len(body)": f"{_DIGITS}"},
             "The JSON cannot be longer than the body.", "a header beyond the body"),
        Slip({'json.loads(body[:at])["inputs"]':
              'sorted(json.loads(body[:at])["inputs"], key=lambda one: one["name"])'},
             "The values stand in the order of the JSON, whatever the names.", "sorts the inputs"),
        Slip({"The sizes of this request do not add up.\"": "No size: \" + length"},
             "Say what is expected, never what came.", "echoes the header"),
        Slip({'"<i8"': '">i8"', '"<f4"': '">f4"'}, "Values are little-endian: '<'.", "big-endian"),
        Slip({'"<i8"': '"<i4"'}, "INT64 has 8 bytes a value.", "another width"),
        Slip({_DIGITS: 're.fullmatch("[1-9][0-9]{0,8}", length)'},
             "A zero in front is one of the digits 0–9.", "no zeros in front"),
        Slip({_DIGITS: 're.match("[0-9]{1,9}", length)'},
             "re.match looks at the beginning only: what follows must be digits too.",
             "a beginning of digits"),
    ],
)


_KNOWN, _TIME = "keys.by_kid[kid]", "now < claims.expires"

DECIDE = Bank.of(
    "07.3",
    answers.NAMES,
    right=answers.RIGHT["07.3"],
    wrong=[
        Slip({'algorithms=["ES256"]':
              'algorithms=[extract_compact(token.encode()).headers()["alg"]]'},
             "The token proposes the algorithm, and one of them is none: allow ES256 alone.",
             "the algorithm from the header"),
        Wrong(answers.UNVERIFIED, "Everybody writes claims: verify first.", "does not verify"),
        Wrong(answers.CACHED, "An answer that is kept outlives the token: ask the clock each time.",
              "a cache that outlives the token"),
        Slip({_KNOWN: "keys.by_kid.get(kid, [*keys.by_kid.values()][-1])"},
             "A key that is not known by its name is no key: do not try another.",
             "tries another key"),
        Slip({_KNOWN: "keys.by_kid.get(kid, next(iter(keys.by_kid.values())))"},
             "A key that is not known by its name is no key: do not try another.",
             "tries the oldest key"),
        Slip({_KNOWN: 'keys.by_kid[kid.rpartition("/")[2]]'},
             "A name is the whole text, not its last part.", "the last part of kid"),
        Slip({"said[\"jti\"] in keys.revoked": "said['jti'] in str(keys.revoked)"},
             "A number is in the set or it is not: n1 is not n13.", "a part of a revoked number"),
        Slip({"keys.scope in scopes": '"infer" in scopes'},
             "What is asked for is keys.scope.", "one scope only"),
        Slip({'said["sub"], scopes': 'said.get("sub"), scopes'},
             "A token without one of its claims is refused, whatever you need of it.",
             "takes what has no subject"),
        Slip({"This token is not valid here and now.\"": "Not valid: \" + token"},
             "Say what is expected, never what came.", "echoes the token"),
        Slip({_KNOWN: "[*keys.by_kid.values()][-1]"},
             "During a rotation two keys are good: ask for the named one.", "the newest only"),
        Slip({f"ECKey.import_key({_KNOWN})": "ECKey.import_key(extract_compact(token.encode())"
              f".headers().get('jwk', {_KNOWN}))"},
             "A key that the token brings proves only that its maker has a key.",
             "a key from the header"),
        Slip({_TIME: "now <= claims.expires"}, "At `exp` the token has expired: now < exp.",
             "valid at its very end"),
        Slip({'said["exp"], kid': 'said.get("exp", math.inf), kid'},
             "A token without an end is refused.", "no end is no limit"),
        Slip({'said.get("nbf", 0) <= now': "now"}, "A token may be from the future: nbf ≤ now.",
             "forgets nbf"),
        Slip({'said.get("nbf", 0)': 'said["nbf"]'}, "Only nbf may be missing.", "demands nbf"),
        Slip({'said["aud"] == keys.audience': 'keys.audience in said["aud"]'},
             "One name may be a part of another: compare them whole.", "a part of the audience"),
        Slip({' and said["aud"] == keys.audience': ""}, "For whom is it? `aud`.", "forgets aud"),
        Slip({'said["iss"] == keys.issuer and ': ""}, "Who has made it? `iss`.", "forgets iss"),
        Slip({"keys.scope in scopes": 'keys.scope in said["scope"]'}, "Scopes are whole words.",
             "a part of a scope"),
        Slip({"Refusal(403": "Refusal(401"},
             "Who is known and may not gets 403; 401 asks who it is.", "one status for all"),
        Slip({' or said["jti"] in keys.revoked': ""}, "See keys.revoked.", "forgets revocation"),
        Slip({", LookupError, TypeError": ""},
             "What a stranger writes may be of any kind: nothing is raised.", "lets errors out"),
    ],
)


_FOUND, _PATH = '{path.name: path for path in files}.get(f"{kid}.pem")', 'folder / f"{kid}.pem"'
_NO_PATH = "Make no path of what a stranger writes: compare it with the names that there are."

KEY_FOR = Bank.of(
    "07.4",
    answers.NAMES,
    right=answers.RIGHT["07.4"],
    wrong=[
        Slip({_FOUND: f"opened({_PATH})"}, _NO_PATH, "opens whatever it says"),
        Slip({_FOUND: f"None if '..' in kid else opened({_PATH})"},
             "Two dots are one way out of many: a whole path is another, and './' leads in.",
             "forbids two dots"),
        Slip({_FOUND: "opened(folder / (kid.replace('../', '') + '.pem'))"},
             "What is cut out of a text may leave behind what was cut: '....//'.", "cuts dots out"),
        Slip({_FOUND: f"(p if str(p := ({_PATH}).resolve()).startswith(str(folder)) and opened(p)"
              " else None)", "in folder.iterdir()": "in folder.glob('*')"},
             "As texts, 'keys-old' begins with 'keys': compare paths, not their letters.",
             "the beginning of a text"),
        Slip({_FOUND: f"(p if (p := ({_PATH}).resolve()).is_relative_to(folder) and opened(p)"
              " else None)"}, "Deeper is not directly in the folder.", "anything below"),
        Slip({_FOUND: f"(p if (p := ({_PATH}).resolve()).parent == folder and opened(p)"
              " else None)"},
             "After `resolve` a detour and a link look like the file itself.", "resolves first"),
        Slip({_FOUND: "opened(folder / (Path(kid).name + '.pem'))"},
             "'../keys/ada' is not the name of a key, although its end is.", "the last part only"),
        Slip({" and not path.is_symlink()": ""},
             "A link is a file for `is_file`: somebody else decides where it leads.",
             "follows links"),
        Slip({"path.is_file() and ": ""}, "A folder can be called like a key.", "takes folders"),
        Slip({"path.is_file() and ": "not path.is_dir() and "},
             "What is no folder is not yet a file: it may be a socket, which nobody can read.",
             "takes what is no folder"),
        Slip({_FOUND: f"None if '/' in kid or not ({_PATH}).is_file() or ({_PATH}).is_symlink() "
              f"else {_PATH}"}, "A name can be too long for the system: do not ask it.",
             "asks the system"),
        Slip({_FOUND: f"opened({_PATH}) if kid.isalnum() else None"},
             "Honest names have dots and dashes too.", "letters and digits only"),
        Slip({'.get(f"{kid}.pem")': '[f"{kid}.pem"]'}, "For a name that is not there: None.",
             "raises for the unknown"),
        Slip({"path.name: path": "path.stem: path", 'f"{kid}.pem"': "kid"},
             "Only files that end with .pem are keys.", "takes any file"),
    ],
)


_EARLY = "It stops at the first byte that differs, and so the time says where that is."
_NOT = "not any([one ^ other for one, other in zip(given, kept, strict=False)])"
_BOTH = ("digests = [hashlib.sha256(value).digest() for value in (given, kept)]\n"
         "    return hmac.compare_digest(*digests)")

SAME = Bank.of(
    "07.5",
    answers.NAMES,
    right=answers.RIGHT["07.5"],
    wrong=[
        Slip({_BOTH: "return given == kept"}, _EARLY, "=="),
        Wrong(answers.STOPS_EARLY, _EARLY, "returns from the loop"),
        Slip({_BOTH: "return len(given) == len(kept) and all(map(int.__eq__, given, kept))"},
             _EARLY, "all() of a generator"),
        Slip({_BOTH: f"return {_NOT}"}, "zip stops at the shorter one: compare the lengths too.",
             "forgets the length"),
        Slip({_BOTH: "return kept.startswith(given)"},
             "A beginning is not the whole, and nothing is the beginning of everything.",
             "takes a beginning"),
        Slip({_BOTH: "return sum(given) == sum(kept)"},
             "Differences of two places can cancel: keep each one, with |.", "sums up"),
        Slip({_BOTH: "return sorted(given) == sorted(kept)"},
             "The same bytes in another order are another value.", "forgets the order"),
        Slip({_BOTH: "return int.from_bytes(given, 'big') == int.from_bytes(kept, 'big')"},
             "As a number, zeros in front do not count.", "compares numbers"),
        Slip({_BOTH: "return given.ljust(len(kept), b'\\0') == kept.ljust(len(given), b'\\0')"},
             "A zero byte is a byte too.", "fills up with zeros"),
        Slip({_BOTH: "return given[-1:] == kept[-1:] and len(given) == len(kept)"},
             "All places count, not the last one only.", "forgets what it has seen"),
        Slip({_BOTH: "return zlib.crc32(given) == zlib.crc32(kept)"},
             "A check sum finds accidents; whoever wants can find a value with the same one.",
             "a check sum"),
        Slip({_BOTH: "return given == kept or hmac.compare_digest(given, kept)"},
             "What is compared with == first is told already, whatever follows.", "== first"),
    ],
)


_LEVEL, _SECOND = "max(0, level - (now - before) * rate) + 60", "60 * burst + rate <="

LIMIT = Bank.of(
    "07.6",
    answers.NAMES,
    right=answers.RIGHT["07.6"],
    wrong=[
        Wrong(answers.BY_THE_MEAN, "A mean has no bursts in it: three at once need a burst of 3.",
              "the mean rate"),
        Slip({_LEVEL: "level - (now - before) * rate + 60"},
             "A full bucket gains nothing: who rests does not save up.", "saves up for ever"),
        Slip({_LEVEL: "level + 60"}, "The bucket gains tokens between two requests.",
             "a burst for the whole trace"),
        Slip({_LEVEL: "(level if now == before else 0) + 60"},
             "After a second the bucket is not full again: count what comes back.",
             "every second begins anew"),
        Slip({"burst + 1440 * rate <=": "1440 * rate <="},
             "A thief gets the burst too, once a day.", "no burst in the day"),
        Slip({_SECOND: "60 * burst <="}, "In a second tokens come back too: rate / 60.",
             "no gain in the second"),
        Slip({_SECOND: "rate <="}, "The first second begins with the whole burst.",
             "no burst in the second"),
        Slip({f"{_SECOND} 60": "60 * burst + rate < 60"}, "'At most' holds for the bound itself.",
             "strictly below"),
        Slip({"for trace in traces": "for trace in [sorted(sum(traces, []))]"},
             "Every client has a bucket of its own.", "one bucket for all"),
        Slip({"for trace in traces": "for trace in traces[:1]"}, "All clients are honest ones.",
             "the first client only"),
        Slip({"range(1, per_day // 1440 + 1)": "range(per_day // 1440, 0, -1)"},
             "Of all pairs the one with the smallest rate.", "the fastest rate"),
        Slip({"math.ceil(need / 60)": "need // 60"}, "Half a token serves nobody: round up.",
             "rounds down"),
        Slip({"math.ceil(need / 60)": "need // 60 + 1"}, "3 tokens are 3, not 4: round up only "
             "what is no whole number.", "always one more"),
        Slip({_LEVEL: "max(0, level - (now - before) * rate / 60) + 1",
              "math.ceil(need / 60)": "math.ceil(need)"},
             "Sums of floats end a little too high, and are rounded up: count in sixtieths.",
             "floats"),
        Slip({"range(1, per_day // 1440 + 1)": "range(1, per_day // 1440)"},
             "The last rate that a day allows has to be tried too.", "one rate too few"),
    ],
)
