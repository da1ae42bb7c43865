"""What tensorgraph withstands: long graphs, long trainings, kills, hostile files, threads, forks and Ctrl-C.

    python benchmarks/reliability.py [--quick] [--only NAME] [--page]

Each trial runs in a process of its own; the first that fails ends the program with its words. --page puts what was
found into docs/reliability.md. Linux only, as signals and figures of memory come from there.
"""

from __future__ import annotations

import argparse
import json
import re
import time

import trials
from timing import ROOT, answer, facts, progress

PAGE = ROOT / "docs" / "reliability.md"
PART = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- end -->)", re.DOTALL)

# How often, whole and with --quick.
TRIALS = {
    "chain": (1_000_000, 100_000),
    "memory": (10_000, 400),
    "seed": (20, 3),
    "threads": (300, 20),
    "kill": (2_000, 30),
    "hostile": (5, 2),
    "forks": (100, 10),
    "interrupts": (1_000, 60),
}


def run(name: str, count: int) -> None:
    """One trial, in this process: prints what it found as JSON."""
    last = 0.0

    def show(done: int) -> None:
        nonlocal last
        if time.monotonic() > last + 2:
            last = time.monotonic()
            progress(f"{name}: {done:,} of {count:,}")

    found = getattr(trials, name)(count, show)
    progress("")
    print(json.dumps(found))


def table(found: dict[str, str]) -> str:
    """The results as Markdown."""
    about = facts(0)
    versions = about["versions"]
    lines = [
        f"{about['date']}, commit {about['commit']}, kernels: {about['kernels']}, Python {versions['python']}, "
        f"NumPy {versions['numpy']}; {about['machine']}.",
        "",
        "| trial | found |",
        "|---|---|",
    ]
    for name, words in found.items():
        lines.append(f"| `{name}`: {getattr(trials, name).__doc__.rstrip('.')} | {words} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--only", choices=TRIALS, help="one of the trials")
    parser.add_argument("--page", action="store_true", help="put the results into docs/reliability.md")
    chosen = parser.parse_args()
    found = {}
    for name in [chosen.only] if chosen.only else TRIALS:
        count, begin = TRIALS[name][chosen.quick], time.monotonic()
        found[name] = answer(f"import reliability; reliability.run({name!r}, {count})")
        print(f"{name:10} {time.monotonic() - begin:5.0f} s   {found[name]}", flush=True)
    if chosen.page:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(PART.sub(lambda _: f"\n{table(found)}\n\n", page), encoding="utf-8")


if __name__ == "__main__":
    main()
