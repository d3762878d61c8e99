"""What imports cost: `import pmd` beside the libraries below it, what a first table takes, and what pandas adds to each process.

    python benchmarks/importing.py [--repeats 9]

Each is a process of its own; what a bare interpreter takes is taken off. It is CPU time, which other processes on the
machine change little: the least of the repeats, taken by turns. Memory is the most that the process held. The last line is
JSON; ends with 1 where `import pmd` costs 100 ms or more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Final

LIMIT_MS: Final = 100

#: pyarrow's first array imports pandas where it is installed. This is an interpreter where it is not.
_NO_PANDAS: Final = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
"""

WHAT: Final = {
    "bare": "",
    "pmd": "import pmd",
    "pmd, an error": "from pmd import PmdError",
    "pmd.identity": "from pmd import identity",
    "pmd.load": "from pmd import load",
    "pmd.open_image": "from pmd import open_image",
    "pyarrow": "import pyarrow",
    "pandas": "import pandas",
    "apache_beam": "import apache_beam",
    "array": "import pyarrow; pyarrow.array([1])",
    "array, no pandas": f"{_NO_PANDAS}\nimport pyarrow; pyarrow.array([1])",
}

_TELL: Final = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print((used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024)
"""


def measured(code: str) -> tuple[float, float]:
    """Return the CPU milliseconds and the most megabytes of an interpreter that runs some code."""
    done = subprocess.run([sys.executable, "-c", code + _TELL], capture_output=True, check=True, text=True)
    cpu_ms, memory_mb = done.stdout.split()
    return float(cpu_ms), float(memory_mb)


def main() -> None:
    """Measure by turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WHAT}
    for _ in range(repeats):
        for name, code in WHAT.items():
            found[name].append(measured(code))
    bare = min(found.pop("bare"))[0]
    results = {
        name: {"cpu_ms": round(min(runs)[0] - bare, 1), "memory_mb": round(min(memory for _, memory in runs))}
        for name, runs in found.items()
    }
    for name, figures in results.items():
        print(f"{name:18} {figures['cpu_ms']:8.1f} ms {figures['memory_mb']:6} MB")
    print(json.dumps({"bare_ms": round(bare, 1), **results}))
    sys.exit(0 if results["pmd"]["cpu_ms"] < LIMIT_MS else 1)


if __name__ == "__main__":
    main()
