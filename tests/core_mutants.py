"""Mutation testing of the core: mutmut changes it in small ways, and a test must fail for each.

python tests/core_mutants.py [--seconds 170] [--file _tape]    try mutants; go on where the last call stopped
python tests/core_mutants.py --report           how many were killed, and the survivors with what was changed

mutmut starts pytest for each mutant. Here the tests are collected once, and a forked process runs for each mutant those
that are about its file and reach the changed function, the fastest first, until one fails. What is written lies in the
folder `mutants`; delete it after a change of the code.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

# mutmut is imported where it is used: pytest imports this file, too, in its search for examples

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "mutants" / "results.jsonl"
SUBJECTS = {  # the tests that are about each file
    "_backward": "backward autodiff gradients nesting recording tape errors graph",
    "_primitive": "extend errors op_errors error_places reported promotion protocols recording value_safety empty "
    "backward graph explain",
    "_tape": "tape explain recording backward gradients value_safety graph",
    "autodiff": "autodiff errors gradients nesting backward recording",
}
LEFT_OUT = (  # what is slow, and what is about the user's line: mutmut's own calls would be taken for it
    "a_million_operations",
    "a_thousand_training_steps",
    "long_rows_are_cut",
    "users_line",
    "names_the_line",
)
LIMIT = 30  # seconds of the processor's time a mutant: one that loops for ever is killed


def generate() -> None:
    """Copy the packages to `mutants`, with every mutant of the core in it."""
    from mutmut import __main__ as mutmut
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.utils.file_utils import copy_also_copy_files

    set_mutant_under_test("mutant_generation")
    RESULTS.parent.mkdir(exist_ok=True)
    mutmut.copy_src_dir()
    copy_also_copy_files()
    mutmut.create_mutants(1)


def mutants() -> list[str]:
    files = sorted((ROOT / "mutants" / "tensorgraph").glob("*.meta"))
    return [name for file in files for name in json.loads(file.read_text())["exit_code_by_key"]]


def results() -> dict[str, bool]:
    """Whether a test failed, for each mutant that was tried."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return dict(json.loads(line) for line in lines)


def file_of(mutant: str) -> str:
    return mutant.split(".")[1]


class Trial:
    """A pytest plugin: instead of running the tests once, run them for each mutant."""

    def __init__(self, seconds: float, file: str) -> None:
        self._end = time.monotonic() + seconds
        self._file = file

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(name in item.name for name in LEFT_OUT)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from mutmut.utils.format_utils import mangled_name_from_mutant_name as function_of

        reached = self._reached(session)
        done = results()
        with RESULTS.open("a") as file:
            for name in mutants():
                if name in done or not file_of(name).startswith(self._file):
                    continue
                if time.monotonic() > self._end:
                    break
                killed = self._killed(name, reached.get(function_of(name), []))
                file.write(json.dumps([name, killed]) + "\n")
                file.flush()
        return True

    def _reached(self, session: pytest.Session) -> dict[str, list[pytest.Item]]:
        """The tests that call each function, the fastest first."""
        from mutmut.mutation.trampoline import set_mutant_under_test
        from mutmut.state import state

        set_mutant_under_test("stats")
        took: dict[pytest.Item, float] = {}
        reached: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            start = time.perf_counter()
            if not _passes(item):
                print(f"left out, fails without a mutant: {item.nodeid}")
                state()._stats.clear()
                continue
            took[item] = time.perf_counter() - start
            for function in state()._stats:
                reached.setdefault(function, []).append(item)
            state()._stats.clear()
        return {function: sorted(items, key=took.__getitem__) for function, items in reached.items()}

    def _killed(self, name: str, items: list[pytest.Item]) -> bool:
        from mutmut.mutation.trampoline import set_mutant_under_test

        subjects = SUBJECTS[file_of(name)].split()
        items = [item for item in items if item.path.stem.removeprefix("test_") in subjects]
        child = os.fork()
        if not child:
            signal.setitimer(signal.ITIMER_PROF, LIMIT)
            signal.alarm(10 * LIMIT)  # one that waits for ever, too
            set_mutant_under_test(name)
            os._exit(0 if all(map(_passes, items)) else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _passes(item: pytest.Item) -> bool:
    from _pytest.runner import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def report() -> None:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    tried = results()
    print("| file | mutants | killed |\n|---|---|---|")
    for file, count in Counter(map(file_of, tried)).items():
        killed = sum(tried[name] for name in tried if file_of(name) == file)
        print(f"| `{file}.py` | {count} | {killed} ({killed / count:.1%}) |")
    print(f"{sum(tried.values())} of {len(tried)} killed, {len(mutants())} in all")
    for name, killed in tried.items():
        if not killed:
            print(f"\n{name}")
            print(get_diff_for_mutant(name, path=Path("tensorgraph") / f"{file_of(name)}.py"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--file", default="", choices=["", *SUBJECTS], help="only the mutants of this file")
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if arguments.report:
        report()
        return
    generate()
    os.chdir("mutants")
    sys.path[:0] = [str(ROOT / "mutants")]
    tests = [f"tests/test_{subject}.py" for subject in sorted(set(" ".join(SUBJECTS.values()).split()))]
    pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[Trial(arguments.seconds, arguments.file)])


if __name__ == "__main__":
    main()
