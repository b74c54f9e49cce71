"""What a command's exit code means, and which error leads to which: one table for every verb.

| code | meaning |
| --- | --- |
| 0 | done, and all is well |
| 1 | done, and something failed: a notebook, a check, a bound, a digest |
| 2 | bad input: an unknown notebook, parameter, preset or option; nothing was run |
| 3 | this machine cannot: a missing kernel, data or library, no permission, no space |
| 130 | interrupted; what was finished is kept |
"""

from __future__ import annotations

from enum import IntEnum

from datahall.errors import CourseError, DataError, ParameterError


class Exit(IntEnum):
    """The exit codes of every `datahall` verb."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    MACHINE = 3
    INTERRUPTED = 130


class InputError(CourseError, ValueError):
    """Something asked for that does not exist or cannot be read: a notebook, a module, a preset."""


class MachineError(CourseError, RuntimeError):
    """Something this machine lacks: a kernel, a permission, space on the disk, a library."""


def exit_for(error: CourseError) -> Exit:
    """Return the exit code that stands for an error.

    Example:
        >>> exit_for(InputError("no such module"))
        <Exit.BAD_INPUT: 2>
        >>> exit_for(DataError("no such file"))
        <Exit.MACHINE: 3>
    """
    if isinstance(error, InputError | ParameterError):
        return Exit.BAD_INPUT
    if isinstance(error, MachineError | DataError):
        return Exit.MACHINE
    return Exit.FAILED
