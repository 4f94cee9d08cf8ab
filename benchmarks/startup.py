"""What the installed plugin adds to the start of pytest in a folder that has nothing to do with it.

Runs pytest with and without the plugin in turn, so that both meet the same noise, and prints medians and their ratio.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15


def start_seconds(folder: str, *options: str) -> float:
    """Time one pytest run that finds a single empty test."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pytest", "-q", *options], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("def test_empty():\n    pass\n")
        rounds = [(start_seconds(folder), start_seconds(folder, "-p", "no:stance-suite")) for _ in range(ROUNDS)]
    with_plugin, without = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"pytest without stance-suite {without:.3f} s, with it {with_plugin:.3f} s: {with_plugin - without:+.3f} s, ")
    print(f"ratio {with_plugin / without:.2f} (medians of {ROUNDS} alternating runs)")


if __name__ == "__main__":
    main()
