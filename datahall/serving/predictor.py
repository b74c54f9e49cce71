"""The app on a TCP port: what a container runs as a KServe custom predictor.

`python -m datahall.serving.predictor SETTINGS.json --host ADDRESS --port PORT`. No gateway is
started: TLS, tokens and limits are the cluster's, and its network policy lets nobody else come near
(`deploy/`). The model is verified before it is loaded, as everywhere.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from datahall.errors import CourseError
from datahall.serving.app import build
from datahall.serving.replica import REFUSED, options
from datahall.serving.settings import ServiceSettings


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; return the exit code: 78 if the model is not to be trusted.

    Args:
        arguments: The words after the program's name.
    """
    words = argparse.ArgumentParser(prog="predictor", description=__doc__)
    words.add_argument("settings", type=Path)
    words.add_argument("--host", required=True)
    words.add_argument("--port", type=int, default=8080)
    given = words.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        app = build(ServiceSettings.load(given.settings))
    except CourseError as error:
        print(f"not served: {error}", file=sys.stderr)
        return REFUSED
    uvicorn.run(app, host=given.host, port=given.port, loop="uvloop", **options(app))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
