"""Which kernel may come from which zygote: the key of everything that is fixed at import.

A zygote has read the environment, the installed files and its process' limits when it started. A
kernel whose key differs gets another zygote. Modules of the course are no part of the key: no
kernel inherits one (see `becoming`).
"""

from __future__ import annotations

import hashlib
import json
import os
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Environment variables that the interpreter, the loader or a library reads when it is started or
# imported, by their beginnings. A test records what the imports ask for.
READ_AT_IMPORT = (
    *("PYTHON", "LD_", "GLIBC_", "MALLOC_", "LANG", "LC_", "TZ"),  # interpreter, loader, C library
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "JOBLIB_", "LOKY_", "PANDAS_", "ARROW_"),
    *("TF_", "TF2_", "TENSORFLOW_", "KERAS_", "TPU_", "XLA_", "AUTOGRAPH_", "GRPC_", "ABSL_"),
    *("ONEDNN_", "DNNL_", "CUDA_", "NVIDIA_", "NCCL_", "HIP_", "ROCM_", "HDF5_", "H5PY_"),
    *("PILLOW_", "FREETYPE_", "PYPARSING", "PSUTIL_", "WRAPT_", "TORNADO_", "TRAITLETS_", "TEST_"),
    *("GFORTRAN_", "ACC_", "LLVM_", "OPENSSL_", "GCS_", "PYDEV_", "GEVENT_", "IPYTHON_", "PY_SAX"),
    *("PROTOCOL_BUFFERS_", "TEMPORARILY_DISABLE_PROTOBUF", "ENABLE_RUNTIME_UPTIME_TELEMETRY"),
    *("JAX_", "TORCH_", "IPYKERNEL_", "PYDEVD_", "DEBUGPY_", "PYZMQ_"),
)
# Others, by their whole names. matplotlib looks for its files below HOME; MPLBACKEND is not here:
# a kernel sets its backend itself.
READ_AT_IMPORT_TOO = frozenset(
    {"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "MATPLOTLIBRC"}
    | {"JUPYTER_PLATFORM_DIRS", "JUPYTER_PREFER_ENV_PATH", "JUPYTER_ALLOW_INSECURE_WRITES"}
    | {"XDG_DATA_HOME", "TERM", "DISPLAY", "USER", "SOURCE_DATE_EPOCH"}
)
# What a child inherits from its parent beside the environment: whose it is, its limits and places.
_STATUS = ("Uid", "Gid", "Groups", "Umask", "CapEff", "NoNewPrivs", "Seccomp", "SigIgn")
_STATUS_TOO = ("Cpus_allowed_list", "Mems_allowed_list")
_PROC = Path("/proc/self")


def read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are read when libraries are imported.

    Example:
        >>> read_at_import({"TF_CPP_MIN_LOG_LEVEL": "3", "EDITOR": "ed", "HOME": "/root"})
        {'TF_CPP_MIN_LOG_LEVEL': '3', 'HOME': '/root'}
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_IMPORT) or name in READ_AT_IMPORT_TOO
    }


def key(kind: str, options: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the key of a kernel: 16 hexadecimal digits.

    Args:
        kind: `plain` or `tensorflow`.
        options: The interpreter's options, such as `-Xfrozen_modules=off`.
        environment: The kernel's environment variables.
    """
    facts = {
        "kind": kind,
        "python": [sys.executable, sys.version, *options],
        "environment": sorted(read_at_import(environment).items()),
        "installed": installed(),
        "circumstances": circumstances(),
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def installed() -> list[Any]:
    """Return the installed packages with the time at which each was installed, and our own files.

    Only names and times are read, in about two milliseconds.
    """
    found: list[Any] = []
    for folder in {*site.getsitepackages(), site.getusersitepackages()}:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info")):
                found.append([entry.path, _time(f"{entry.path}/RECORD") or _time(entry.path)])
            elif entry.name.endswith((".pth", ".egg-link")):
                found.append([entry.path, _time(entry.path)])
    own = sorted(Path(__file__).parent.glob("*.py"))
    return sorted(found) + [[str(path), _time(path)] for path in own]


def _time(path: str | Path) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 (two hundred times)
    except OSError:
        return 0


def circumstances() -> list[str]:
    """Return what a process hands to its children: user, mask, limits, cores, namespaces, group."""
    lines = (_PROC / "status").read_text().splitlines()
    wanted = (*_STATUS, *_STATUS_TOO)
    found = [line for line in lines if line.partition(":")[0] in wanted]
    for name in ("limits", "cgroup", "oom_score_adj"):
        found.append((_PROC / name).read_text())
    found += [str(path.readlink()) for path in sorted((_PROC / "ns").iterdir())]
    return [*found, str((_PROC / "root").readlink()), str(os.getpriority(os.PRIO_PROCESS, 0))]
