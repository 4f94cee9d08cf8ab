"""Which share of mutants the tests kill, by module and by group: the second half of `make mutation`.

Loaded as a plugin in its first half, it leaves mutants to the tests that are about them.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

DEMANDED = 0.9
GROUPS = {  # a module is in the first that names it
    "statistics": ["judge/statistics.py"],
    "verdict rules": ["judge/judge.py", "judge/behavior/*", "judge/structure/*"],
    "power law": ["spectra/power_law.py"],
    "weight change": ["spectra/weight_change.py"],
    "noise and significance": ["spectra/noise.py", "spectra/significance.py"],
    "statements": ["judge/statements.py"],
}
DEMANDING = ("statistics", "verdict rules", "power law", "weight change")
KILLED = ("killed", "timeout", "segfault")
OWN_TESTS = {
    "judge": "tests/judge/",
    "judge.statistics": ("tests/judge/test_statistics.py", "tests/judge/behavior/"),
    "spectra": ("tests/spectra/test_weight_change.py", "tests/spectra/test_comparison.py"),
    "spectra.noise": "tests/spectra/test_noise.py",
    "spectra.power_law": "tests/spectra/test_power_law.py",
    "spectra.significance": ("tests/spectra/test_significance.py", "tests/spectra/test_weight_change.py"),
}
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.yaml"


def pytest_collection_modifyitems(config, items) -> None:
    """Most tests of a whole comparison would not notice, and take long: every survivor runs all that are left."""
    module = os.environ.get("MUTANT_UNDER_TEST", "").partition(".x")[0].removeprefix("stance_suite.")
    own = OWN_TESTS.get(module) or OWN_TESTS.get(module.partition(".")[0], "")
    config.hook.pytest_deselected(items=[item for item in items if not item.nodeid.startswith(own)])
    items[:] = [item for item in items if item.nodeid.startswith(own)]


def survivors(found: SourceFileMutationData) -> Iterator[tuple[str, str, str, str]]:
    """The name, the function, and its lines without and with the mutation."""
    for name, code in found.exit_code_by_key.items():
        if status_by_exit_code[code] not in KILLED:
            function = name.rpartition("__mutmut_")[0].rpartition(".")[2]
            diff = get_diff_for_mutant(name, path=found.path).splitlines()[2:]
            lines = (" ".join(line[1:].strip() for line in diff if line[0] == sign) for sign in "-+")
            yield name, function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", "."), *lines


@dataclass(frozen=True)
class Equivalent:
    """A mutant that no test can kill: a fragment of a function's line, and what it becomes."""

    function: str
    fragment: str
    becomes: str

    def is_met(self, function: str, line: str, mutated: str) -> bool:
        """By its text: a mutant's number changes with every line above it."""
        parts = line.split(self.fragment)
        places = range(1, len(parts))
        return self.function == function and any(
            self.fragment.join(parts[:place]) + self.becomes + self.fragment.join(parts[place:]) == mutated
            for place in places
        )


def read_equivalent() -> list[Equivalent]:
    """Every entry tells why, too."""
    entries = yaml.safe_load(EQUIVALENT.read_text("utf-8"))
    assert all(entry["why"] for entry in entries)
    return [
        Equivalent(function, entry["fragment"], becomes)
        for entry in entries
        for function in entry["functions"]
        for becomes in entry["becomes"]
    ]


def row(name: str, count: Counter[str]) -> str:
    killed, alike = sum(count[status] for status in KILLED), count["equivalent"]
    left = count.total() - killed - alike
    return f"{name:<40}{count.total():>8}{killed:>8}{left:>10}{alike:>12}{share(count):>9.1%}"


def share(count: Counter[str]) -> float:
    """Killed ones of those that could be."""
    able = count.total() - count["equivalent"]
    return sum(count[status] for status in KILLED) / able if able else 1.0


def main() -> int:
    equivalent, met = read_equivalent(), set()
    groups: dict[str, dict[str, Counter[str]]] = {group: {} for group in GROUPS}
    for path in walk_mutatable_files():
        found = SourceFileMutationData(path=path)
        found.load()
        module = path.relative_to("stance_suite").as_posix()
        count = Counter(status_by_exit_code[code] for code in found.exit_code_by_key.values())
        for name, function, line, mutated in survivors(found):
            listed = [one for one in equivalent if one.is_met(f"{module}:{function}", line, mutated)]
            met.update(listed)
            if listed:
                count.subtract([status_by_exit_code[found.exit_code_by_key[name]]])
                count["equivalent"] += 1
            else:
                print(f"{name}\n- {line}\n+ {mutated}\n")
        if count:
            group = next(group for group, patterns in GROUPS.items() if any(fnmatch(module, one) for one in patterns))
            groups[group][module] = count
    print(f"{'':<40}{'mutants':>8}{'killed':>8}{'survive':>10}{'equivalent':>12}{'killed':>9}")
    short = []
    for group, modules in groups.items():
        whole = sum(modules.values(), Counter())
        print(row(group, whole), *(row(f"  {module}", count) for module, count in sorted(modules.items())), sep="\n")
        short += [group] if group in DEMANDING and share(whole) < DEMANDED else []
    print(row("all", sum((one for modules in groups.values() for one in modules.values()), Counter())))
    unmet = [one for one in equivalent if one not in met]
    print(*(f"listed as equivalent, and no survivor: {one}" for one in unmet), sep="\n")
    for group in short:
        print(f"{group}: fewer than {DEMANDED:.0%} are killed")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
