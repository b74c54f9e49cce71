"""The family of errors that Datahall raises on purpose.

    CourseError
    ├── ShapeError        (ValueError)      sizes and shapes that do not fit
    ├── UnitError         (ValueError)      a quantity in the wrong unit, or of no possible size
    ├── ParameterError    (ValueError)      a parameter that does not exist, or of the wrong type or
    range
    ├── DataError         (OSError)         a data set or artifact that is missing, damaged or
    cannot be written
    ├── BoundError        (AssertionError)  an `expect` in a notebook that does not hold
    └── CheckFailed       (AssertionError)  a wrong answer, in strict mode only

Each also inherits the built-in error that fits, so that ordinary code can catch it. A message says
what is wrong (name and value), what was expected, and what to do.
"""

__all__ = [
    "BoundError",
    "CheckFailed",
    "CourseError",
    "DataError",
    "ParameterError",
    "ShapeError",
    "UnitError",
]


class CourseError(Exception):
    """Anything that Datahall raises on purpose."""


class ShapeError(CourseError, ValueError):
    """Sizes or shapes that do not fit together."""


class UnitError(CourseError, ValueError):
    """A quantity in a wrong unit, or of a size that cannot be."""


class ParameterError(CourseError, ValueError):
    """A parameter that does not exist, or has the wrong type or range."""


class DataError(CourseError, OSError):
    """A data set or an artifact that is missing, damaged or cannot be written."""

    # OSError gives (errno, text) a meaning of its own; ours are plain sentences.
    def __str__(self) -> str:
        """Return the sentence itself."""
        return str(self.args[0]) if self.args else ""


class BoundError(CourseError, AssertionError):
    """A bound that a notebook states about its own result, and that does not hold."""


class CheckFailed(CourseError, AssertionError):  # noqa: N818 (the verdict's own word)
    """A wrong answer to an exercise; raised only in strict mode."""
