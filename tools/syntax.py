"""Say which of the TOML and YAML files given cannot be read: a hook before a commit."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import yaml


def problem(path: Path) -> str | None:
    """Return what is wrong with a file, or None."""
    text = path.read_text(encoding="utf-8")
    try:
        list(yaml.safe_load_all(text)) if path.suffix in (".yml", ".yaml") else tomllib.loads(text)
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        return f"{path}: {error}"
    return None


if __name__ == "__main__":
    problems = [found for name in sys.argv[1:] if (found := problem(Path(name)))]
    print("\n".join(problems))
    sys.exit(bool(problems))
