"""Answers to the exercises of module 07's attack lab."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from datahall.checking import Bank, Slip, Wrong
from datahall.serving import attack_others as others
from datahall.serving.evasion import Evidence

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"base64": base64, "hashlib": hashlib, "hmac": hmac, "json": json, "np": np,
          "Callable": Callable, "Evidence": Evidence}  # that the solutions use


FORGE = Bank.of(
    "07.11",
    _NAMES,
    right=[others.by_hand],
    wrong=[
        Slip({'part.rstrip(b"=")': "part"},
             "A token has no padding: strip the \"=\" from each part.", "keeps the padding"),
        Slip({"base64.urlsafe_b64encode(proof)": "base64.b64encode(proof)"},
             "In a token - and _ stand for + and /: base64url, not base64.", "the other base64"),
        Slip({'{"alg": "none"}': "{}"},
             "The header itself must say that there is no signature: \"alg\": \"none\".",
             "drops the signature and leaves the header"),
        Slip({'b"" if secret is None else': 'b"none" if secret is None else'},
             "Nothing at all stands behind the last dot.", "a signature that says none"),
        Slip({'{"alg": "HS256"}, public)': '{"alg": "HS256"}, public.strip())'},
             "Byte for byte: the line end at the end of the PEM file belongs to it.",
             "strips the key's last line end"),
        Slip({'hmac.digest(secret, over, "sha256")':
              'hmac.digest(secret, over.partition(b".")[2], "sha256")'},
             "The signature is over header, dot and claims, as they are sent.",
             "signs the claims alone"),
        Slip({'hmac.digest(secret, over, "sha256")':
              'hmac.new(secret, over, "sha256").hexdigest().encode()'},
             "The signature is 32 bytes, in base64url; not their hexadecimal digits.",
             "signs in hexadecimal"),
        Slip({'("confused", {"alg": "HS256"}': '("confused", {}'},
             "The judge takes the algorithm from the header: it must say HS256.",
             "leaves ES256 in the header"),
        Slip({'claims | {"sub": "root"}': "claims"},
             "The token must say who you want to be: set sub.", "leaves the subject"),
        Slip({'claims | {"sub": "root"}': '{"sub": "root"}'},
             "Issuer, audience and expiry are still looked at: keep all other claims.",
             "drops the other claims"),
        Slip({'"../" * 9 + ': '"/" + '},
             "A text behind keys/ does not begin at the root: climb up first, with ../",
             "an absolute path"),
        Slip({'"../" * 9': '"../" * 3'}, "Climb as high as the deepest folder needs; above the "
             "root there is only the root.", "climbs too few levels"),
        Slip({'nowhere}, b"")': 'nowhere}, public)'},
             "Whoever reads an empty file has an empty secret.", "signs with the public key"),
    ],
)


_GRID = "np.clip(np.rint(images + each), 0, 255).astype(np.uint8)"
_SHARES = "float(np.mean(predict(each) == labels)) for each in pixels"

ATTACK = Bank.of(
    "07.12",
    _NAMES,
    right=[others.step_by_step],
    wrong=[
        Slip({_GRID: "np.rint(images + each).astype(int).astype(np.uint8)"},
             "260 wraps round to 4: clip before you cast.", "does not clip"),
        Slip({_GRID: "images + each"},
             "A service takes whole gray levels: round, clip and cast before you ask it.",
             "asks with floats"),
        Slip({_GRID: "np.clip(images + each, 0, 255).astype(np.uint8)"},
             "A cast cuts the fraction off: round to the nearest gray level first.",
             "pixels not rounded"),
        Slip({"right = predict(images) == labels": "right = np.ones(len(labels), bool)"},
             "An image that was named wrongly before says nothing about the attack: leave it out.",
             "counts images that were wrong before"),
        Slip({"[epsilon * np.sign(slopes)": "[-epsilon * np.sign(slopes)"},
             "The loss must rise: go with the gradient, not against it.", "downhill"),
        Slip({"[epsilon * np.sign(slopes)": "[epsilon * slopes"},
             "Each pixel moves by epsilon: take the sign of the gradient.", "forgets the sign"),
        Slip({"[epsilon * np.sign(slopes)": "[epsilon * slopes / (np.abs(slopes).max() or 1)"},
             "Each pixel moves by epsilon, however small its derivative: take the sign.",
             "scales the gradient"),
        Slip({"~slopes.reshape(len(images), -1).any(axis=1)":
              "slopes.reshape(len(images), -1).sum(axis=1) == 0"},
             "A sum is zero where pixels cancel: look at each pixel.", "sums the gradient"),
        Slip({"~slopes.reshape(len(images), -1).any(axis=1)":
              "np.abs(slopes).reshape(len(images), -1).mean(axis=1) < 1e-6"},
             "Blind is a gradient of exactly zero; a small one has a sign too.",
             "takes small gradients for none"),
        Slip({"np.mean(~slopes": "np.mean(slopes"}, "blind is the share without a gradient.",
             "the share that is seen"),
        Slip({"255 * np.sign": "epsilon * np.sign"},
             "The control asks whether the attack wins once nothing limits it: epsilon 255.",
             "no large epsilon"),
        Slip({"[epsilon * np.sign(slopes)": "[np.ceil(epsilon) * np.sign(slopes)"},
             "Round the pixel that comes out, not epsilon.", "rounds epsilon up"),
        Slip({"epsilon * coins":
              "(images + epsilon * coins).astype(int).astype(np.uint8) - images"},
             "Noise is clipped like the attack: 260 would wrap round.", "noise that wraps round"),
        Slip({"epsilon * coins": "epsilon * np.abs(coins)"},
             "Noise is lighter or darker: signs by chance.", "makes all pixels lighter"),
        Slip({"epsilon * coins": "epsilon * np.sign(slopes)"},
             "Noise knows no gradient: its signs come from a coin.", "noise along the gradient"),
        Slip({"epsilon * coins": "coins"},
             "A control is as large as the attack: times epsilon.", "small noise"),
        Slip({_SHARES: _SHARES.replace("==", "!=")},
             "The shares are of images that are still named rightly.", "counts the successes"),
    ],
)


ATTACKS = Bank.of(
    "07.13",
    _NAMES,
    right=[others.one_by_one],
    wrong=[
        Wrong(others.one_for_all, "One request that is wrong in every way is refused by any check "
              "that is left: one fault each.", "one attack for all"),
        Slip({"[256] * 784": "[200] * 784"},
             "0 to 255 are gray levels: nothing is wrong with them.", "an honest value"),
        Slip({"[256] * 784": "[256.5] * 784"},
             "A fraction, or a number of more than 64 bits, is refused by the check of the type: "
             "take a whole number such as 256.",
             "two faults in one value"),
        Slip({"[256] * 784": "[256]"},
             "One number is no image: the check of the shape refuses it first.", "too few values"),
        Slip({'"text/plain"': "kind"},
             "The body must be announced as something else than JSON.", "the honest type"),
        Slip({'{"datatype": "FP32"}': '{"datatype": "FP32", "data": [0.5] * 783}'},
             "A tensor with a number missing has another fault too.", "a number is missing"),
        Slip({"[0] * 33 * 784": "[0] * 784"},
             "33 images have 33 · 784 numbers; fewer are refused by the shape.",
             "33 images announced, one sent"),
        Slip({"[33, 28, 28, 1]": "[32, 28, 28, 1]", "[0] * 33": "[0] * 32"},
             "32 images are allowed: send one more.", "exactly at the limit"),
        Slip({'{"admin": True}': '{"datatype": "UINT8"}'},
             "A field that is there already is overwritten, not sent twice: add one.",
             "a field that is there already"),
        Slip({"[1, 784]": "[33, 784]"},
             "The first number is the batch: 33 are too many, that is another fault.",
             "another shape and too large a batch"),
        Slip({'{"inputs": [bare | one]}, b""': '{"inputs": [bare | one]}, bytes(784)'},
             "784 bytes announced and 784 sent: the sizes add up.", "honest bytes"),
        Slip({"[bare | one]": "[tensor | one]"},
             "Numbers and announced bytes together are refused as JSON that says two things.",
             "data and bytes together"),
    ],
)


def _spelled_out(entry: dict[str, Any]) -> str:
    fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in entry.items()]
    return "".join(['m", "y": "1"}', "\n{", ", ".join(fields), "}\n", '{"rest": "'])


_VALUE = "'x\"}\\n' + line + '\\n{\"x\":\"'"

INJECT = Bank.of(
    "07.14",
    _NAMES,
    right=[_spelled_out],
    wrong=[
        Slip({_VALUE: "line"}, "Your text is still inside the quotation marks: close them first.",
             "does not leave the field"),
        Slip({_VALUE: "'\\n' + line + '\\n'"},
             "A line end inside a text leaves half a line before it: close text and brace first.",
             "a line end alone"),
        Slip({_VALUE: "'x\"}\\n' + line"},
             "What stands behind your value is glued to your line: give it a line of its own.",
             "leaves the rest to follow"),
        Slip({_VALUE: "'x\"}\\n' + line + '\\n'"},
             "The rest of the template needs a beginning: a brace, a name, a quotation mark.",
             "leaves half a line behind"),
        Slip({_VALUE: "'x\"\\n' + line + '\\n{\"x\":\"'"},
             "The line before yours lacks its closing brace.", "leaves the first line open"),
        Slip({"line = json.dumps(entry)":
              "line = json.dumps({k: str(v) for k, v in entry.items()})"},
             "Numbers stay numbers: 200 is not \"200\".", "makes texts of numbers"),
        Slip({"line = json.dumps(entry)":
              "line = '{' + ','.join(f'\"{k}\":\"{v}\"' for k, v in entry.items()) + '}'"},
             "Pasting is the fault that you use; do not make it yourself: json.dumps.",
             "pastes itself"),
    ],
)
