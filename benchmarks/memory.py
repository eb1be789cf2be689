"""Run a command and print the peak memory of its whole process tree.

    python benchmarks/memory.py hamner reproduce --only 05

Four times a second the script adds up the resident set sizes of the command and of all its descendants. Pages that
processes share count once for each process, so the peak is an upper bound. The exit status is the command's.
"""

from __future__ import annotations

import sys
import time

import psutil

SECONDS = 0.25
"""Time between two samples."""


def main() -> int:
    if len(sys.argv) < 2:
        print("usage: python benchmarks/memory.py COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    command = psutil.Popen(sys.argv[1:])
    peak = processes = 0
    try:
        while command.poll() is None:
            sizes = resident_sizes(command)
            if sum(sizes) > peak:
                peak, processes = sum(sizes), len(sizes)
            time.sleep(SECONDS)
    except KeyboardInterrupt:  # the command has received it too
        command.wait()
    print(f"peak memory: {peak / 2**20:,.0f} MiB in {processes} processes", file=sys.stderr)
    return command.returncode


def resident_sizes(root: psutil.Process) -> list[int]:
    """Measure the resident set size in bytes of a process and of each of its descendants."""
    sizes = []
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    for process in family:
        try:
            sizes.append(process.memory_info().rss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended after it was listed
            continue
    return sizes


if __name__ == "__main__":
    sys.exit(main())
