"""The papermill engine `datahall`: anyone's notebook, executed as strictly as ours.

`papermill --engine datahall in.ipynb out.ipynb -p epochs 1` fails where papermill alone passes: at
a hidden `sys.exit`, an error that a magic caught, a kernel that died. Every `import papermill`
loads this file (entry point `papermill.engine`), so it imports nothing and cannot raise; the work
is in `strict`.
"""

from __future__ import annotations

from typing import Any


class Engine:
    """What papermill calls; each method goes on to papermill's own class of engines."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """Execute a prepared notebook; papermill's own options are taken.

        Args:
            nb: The notebook with its parameters.
            kernel_name: The kernel.
            options: Papermill's.
        """
        from datahall.course.run.strict import StrictEngine

        return StrictEngine.execute_notebook(nb, kernel_name, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> Any:
        """Return the kernel's name as papermill reads it."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> Any:
        """Return the language as papermill reads it."""
        from papermill.utils import nb_language

        return nb_language(nb, language)
