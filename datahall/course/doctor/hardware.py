"""Is the machine large and quick enough: Python's platform, memory, cores, instruction sets."""

from __future__ import annotations

import os
import platform
import sys

import psutil

from datahall import runtime
from datahall.course.doctor.finding import BAD, OK, WARNING, Finding
from datahall.units import GB, format_quantity


def python() -> Finding:
    """Look at Python's version and platform."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding(
            "Python", BAD, found, "Install Python 3.11, 3.12 or 3.13 and run `make setup` again."
        )
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Finding(
            "Python",
            WARNING,
            found,
            "Only Linux on x86-64 is tested; the table of platforms says what is known.",
        )
    return Finding("Python", OK, found)


def memory() -> Finding:
    """Look at the memory that is free."""
    memory = psutil.virtual_memory()
    found = f"{format_quantity(memory.total, 'B')}, {format_quantity(memory.available, 'B')} free"
    if memory.available < 1.5 * GB:
        return Finding(
            "Memory", BAD, found, "A training notebook needs about 1.5 GB. Close other programs."
        )
    if memory.available < 4 * GB:
        return Finding(
            "Memory", WARNING, found, "Run one notebook at a time: `datahall run --jobs 1`."
        )
    return Finding("Memory", OK, found)


def cores() -> Finding:
    """Look at the cores this process may use, and how busy they are."""
    cores = runtime.cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = f"{cores} cores, load {load:.1f}: {runtime.cpu_model()}"
    if cores < 2:
        return Finding(
            "Processor",
            WARNING,
            found,
            "Expect every notebook to take about twice the stated minutes.",
        )
    if load > 2 * cores:
        return Finding(
            "Processor",
            WARNING,
            found,
            "The machine is busy: measured times will be too long. Close what you can.",
        )
    return Finding("Processor", OK, found)


def instructions() -> Finding:
    """Look at the processor's instruction sets."""
    flags = runtime.cpu_flags()
    names = {
        "AVX2": ["avx2"],
        "AVX-512": ["avx512f"],
        "VNNI": ["avx512_vnni", "avx_vnni"],
        "BF16": ["avx512_bf16", "amx_bf16"],
    }
    found = ", ".join(
        f"{name} {'yes' if any(f in flags for f in wanted) else 'no'}"
        for name, wanted in names.items()
    )
    if not flags:
        return Finding(
            "Instruction sets",
            WARNING,
            "not told by this system",
            "Nothing to do: the course runs, gains of int8 and bfloat16 may differ.",
        )
    if "avx2" not in flags:
        return Finding(
            "Instruction sets", WARNING, found, "The course runs, several times slower than stated."
        )
    return Finding("Instruction sets", OK, found)
