"""Is everything installed, and does it work: TensorFlow, JupyterLab, kernel, widgets, browser."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import datahall
from datahall.course.doctor.finding import BAD, OK, WARNING, Finding

TENSORFLOW_LIMIT_S = 90
_PROBE = """
import json, tensorflow as tf
names = sorted({d.device_type for d in tf.config.list_physical_devices()})
product = float(tf.reduce_sum(tf.matmul(tf.ones((64, 64)), tf.ones((64, 64)))))
versions = {"tensorflow": tf.__version__, "keras": tf.keras.__version__}
print(json.dumps(versions | {"devices": names, "product": product}))
"""


def packages() -> Finding:
    """Look whether the libraries are installed."""
    missing, count = [], 0
    for name in (
        "numpy",
        "scipy",
        "scikit-learn",
        "matplotlib",
        "ipywidgets",
        "ipykernel",
        "jupyterlab",
        "papermill",
        "nbgrader",
        "hypothesis",
    ):
        try:
            version(name)
            count += 1
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("Packages", BAD, f"missing: {', '.join(missing)}", "Run `make setup`.")
    return Finding("Packages", OK, f"Datahall {datahall.__version__}, {count} libraries looked at")


def tensorflow() -> Finding:
    """Import TensorFlow in a child process, list its devices, and check one matrix product."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter, our own text)
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=TENSORFLOW_LIMIT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "TensorFlow",
            BAD,
            f"not imported within {TENSORFLOW_LIMIT_S} s",
            "Try again when the machine is less busy; if it stays, run `make setup`.",
        )
    if child.returncode != 0:
        lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        return Finding(
            "TensorFlow",
            BAD,
            lines[-1],
            "Run `make setup`. On a processor without AVX, build TensorFlow from source.",
        )
    facts = json.loads(child.stdout.splitlines()[-1])
    devices = ", ".join(facts["devices"])
    found = f"{facts['tensorflow']} with Keras {facts['keras']}, devices: {devices}"
    if facts["product"] != 64**3:
        return Finding(
            "TensorFlow",
            BAD,
            f"{found}; a matrix product came out as {facts['product']}",
            "The build is broken: run `make setup`.",
        )
    return Finding("TensorFlow", OK, found)


def jupyterlab() -> Finding:
    """Look at JupyterLab's version."""
    try:
        found = version("jupyterlab")
    except PackageNotFoundError:
        return Finding("JupyterLab", BAD, "not installed", "Run `make setup`.")
    if found.split(".")[0] != "4":
        return Finding("JupyterLab", BAD, found, "Version 4 is needed. Run `make setup`.")
    return Finding("JupyterLab", OK, found)


def kernel() -> Finding:
    """Look whether `python3` means this environment's Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Kernel", BAD, "there is no kernel python3", "Run `make setup`.")
    own = Path(sys.executable).parent
    if program in ("python", "python3") or Path(program).absolute().parent == own:
        return Finding("Kernel", OK, "python3 is this environment's Python")
    return Finding(
        "Kernel",
        WARNING,
        "python3 is another environment's Python",
        "In JupyterLab, choose this environment's kernel, or remove the other: `jupyter "
        "kernelspec list` shows where it is.",
    )


def widgets() -> Finding:
    """Look at ipywidgets and JupyterLab's extension for it."""
    labextensions = Path(sys.prefix) / "share/jupyter/labextensions"
    extension = labextensions / "@jupyter-widgets/jupyterlab-manager/package.json"
    if (
        importlib.util.find_spec("ipywidgets") is None
        or importlib.util.find_spec("anywidget") is None
    ):
        return Finding("Widgets", BAD, "ipywidgets or anywidget is missing", "Run `make setup`.")
    if not extension.is_file():
        return Finding(
            "Widgets",
            BAD,
            "JupyterLab's extension is missing",
            "Run `make setup`: without it no control moves.",
        )
    return Finding(
        "Widgets", OK, f"ipywidgets {version('ipywidgets')}, JupyterLab's extension is there"
    )


def browser() -> Finding:
    """Look for a browser."""
    import webbrowser

    names = ("firefox", "chromium", "chromium-browser", "google-chrome", "microsoft-edge", "safari")
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        try:
            found = webbrowser.get().name
        except webbrowser.Error:
            return Finding(
                "Browser",
                WARNING,
                "none found",
                "Open the address that `datahall lab` prints in a browser on another machine, or "
                "install one.",
            )
    return Finding("Browser", OK, Path(found).name)
