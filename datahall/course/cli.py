"""The `datahall` command: its verbs, and what becomes of an error.

Exit codes, the same for every verb: 0 all is well · 1 something failed · 2 bad input, nothing was
run · 3 this machine cannot · 130 interrupted. See `datahall.course.exits`.
"""

from __future__ import annotations

import contextlib
import os
import sys

import typer

from datahall.course.exits import Exit, exit_for
from datahall.course.verbs import authors, launch, learn, machine, run, serve, show
from datahall.errors import CourseError

_HELP = """Datahall: build an AI data center on your laptop.

A number or slug (01, convolution) means every notebook of that module, a file stem
(01_convolution_cost) one notebook, and a path that ends in .ipynb any notebook.

Exit codes: 0 all is well · 1 something failed · 2 bad input, nothing was run · 3 this machine
cannot · 130 interrupted.
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for group in (show, machine, run, launch, serve, learn, authors):
    group.add_to(app)


def main() -> None:
    """Run the command line; every error on purpose becomes one line and an exit code."""
    _open_streams()
    # jsonschema builds this grammar in a second of processor time; no notebook's schema uses it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when a verb imports TensorFlow
    try:
        app(prog_name="datahall")
    except SystemExit:
        _flush()
        raise
    except CourseError as error:
        print(f"datahall: {error}", file=sys.stderr)
        _leave(exit_for(error))
    except OSError as error:
        what = error.filename or "a file"
        print(
            f"datahall: {str(what)[:200]} cannot be used ({error.strerror or error}). A path that "
            "can be read, and a folder that can be written and has room, were expected. Free some "
            "space, or choose another place.",
            file=sys.stderr,
        )
        _leave(Exit.MACHINE)
    except KeyboardInterrupt:
        print("datahall: interrupted", file=sys.stderr)
        _leave(Exit.INTERRUPTED)


def _leave(code: Exit) -> None:
    _flush()
    sys.exit(int(code))


def _open_streams() -> None:
    """Lead closed standard streams nowhere, so that no file of ours takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup(number), "r" if number == 0 else "w"))


def _flush() -> None:
    """Write what is left; a full or closed stream must not change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
