"""The tables of the comparison, from its figures: on the terminal, and in docs/performance.md.

    python benchmarks/report.py [--quick]

Fills docs/performance.md from docs/performance.json, which compare.py writes; with --quick it only says whether the
page shows those figures. Figures that other programs have disturbed do not get there. A part to fill lies between
<!-- name --> and <!-- end -->.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
FIGURES = PAGE.with_suffix(".json")
PLOT = PAGE.with_name("scaling.svg")
PLOT_SAYS = "Milliseconds of a layer over batch, image size and channels, and of a training step over the batch"
PART = re.compile(r"<!-- (?P<name>\w+) -->\n.*?<!-- end -->", re.DOTALL)
GOAL = 2.5  # of the networks' geometric mean
DISTURBED = 0.1  # cores that other programs may use
MISSING = "Not measured yet."


def facts(found: Row) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['date']}, commit {found['commit']}, kernels: {found['kernels']}, threads: {found['threads']}  \n"
        f"{found['machine']}; {versions}  \n"
        f"`{found['command']}`"
    )


def networks(rows: list[Row]) -> str:
    names = list(rows[0]["milliseconds"])
    lines = [
        [row["name"], row["batch"], *(figure(row["milliseconds"].get(name, 0)) for name in names), *ratio(row, row)]
        for row in rows
    ]
    if "ratio" in rows[0]:
        mean = statistics.geometric_mean(row["ratio"]["median"] for row in rows)
        lines.append(
            [
                "geometric mean",
                "",
                *[""] * len(names),
                f"{mean:.2f}",
                "",
                GOAL,
                mark(mean, GOAL, max(row["others"] for row in rows)),
            ]
        )
    return markdown(["network", "batch", *(f"{name}, ms" for name in names), *RATIO][: len(lines[0])], lines)


def layers(rows: list[Row]) -> str:
    names = list(rows[0]["forward"]["milliseconds"])
    lines = []
    for row in rows:
        for direction, work in (("forward", row["gflop"]), ("backward", 2 * row["gflop"])):
            speeds = (figure(1e3 * work / row[direction]["milliseconds"][name]) for name in names)
            lines.append([row["name"], direction, *speeds, *ratio(row[direction], row)])
    return markdown(["layer", "pass", *(f"{name}, GFLOP/s" for name in names), *RATIO][: len(lines[0])], lines)


def kernels(rows: list[Row]) -> str:
    lines = [[row["name"], row["batch"], *map(figure, row["milliseconds"].values()), *ratio(row, row)] for row in rows]
    return markdown(["network", "batch", "compiled, ms", "NumPy, ms", *RATIO], lines)


def overhead(rows: list[Row]) -> str:
    lines = [[row["name"], *map(figure, [*row["microseconds"], 0][:2])] for row in rows]  # NumPy has no backward
    return markdown(["", "forward, us", "backward, us"], lines)


def memory(rows: list[Row]) -> str:
    names = list(rows[0]["mebibytes"])
    lines = []
    for row in rows:
        ours, *theirs = row["mebibytes"].values()
        reached = [mark(min(theirs), ours, 0.0)] if theirs else []
        lines.append([row["name"], row["batch"], *map(figure, row["mebibytes"].values()), *reached])
    return markdown(["network", "batch", *(f"{name}, MiB" for name in names), ""][: len(lines[0])], lines)


def imports(rows: list[Row]) -> str:
    lines = [[row["name"], figure(row["seconds"]), figure(row["mebibytes"])] for row in rows]
    return markdown(["", "seconds", "MiB resident"], lines)


TABLES: dict[str, Callable[[list[Row]], str]] = {
    "networks": networks,
    "layers": layers,
    "kernels": kernels,
    "overhead": overhead,
    "memory": memory,
    "import": imports,
}

# --- cells -----------------------------------------------------------------------------------------------------------

RATIO = ["ratio", "quartiles", "goal", ""]  # columns that are there only beside PyTorch


def ratio(measured: Row, row: Row) -> list[Any]:
    if "ratio" not in measured:
        return []
    return [*spread(measured["ratio"]), row["goal"], mark(measured["ratio"]["median"], row["goal"], measured["others"])]


def spread(found: dict[str, float]) -> list[str]:
    """A ratio: its median, its quartiles."""
    return [f"{found['median']:.2f}", f"{found['low']:.2f}-{found['high']:.2f}"]


def mark(value: float, goal: float, others: float) -> str:
    """What a figure says; nothing, for good or ill, where other programs took part of the cores."""
    if others > DISTURBED:
        return "disturbed"
    return "reached" if value >= goal else ""


def disturbed(results: Row) -> list[str]:
    """What has to be measured again."""
    found = []
    for section in TABLES:
        for row in results.get(section, []):
            others = max(part.get("others", 0.0) for part in (row, row.get("forward", {}), row.get("backward", {})))
            if others > DISTURBED:
                found.append(f"{section}: {row['name']} ({others:.2f} cores)")
    return found


def figure(value: float) -> str:
    """Three digits: 0.123, 1.23, 12.3, 123, 1234; "-" for what could not be measured."""
    if not value:
        return "-"
    return f"{value:.{max(0, 3 - len(str(int(abs(value)))))}f}" if abs(value) >= 1 else f"{value:.3f}"


def markdown(head: list[str], lines: list[list[Any]]) -> str:
    """A table that reads well as it is, too: columns of one width, the figures to the right."""
    cells = [head, *([str(cell) for cell in line] for line in lines)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    shown = [[line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))] for line in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in [shown[0], rule, *shown[1:]])


# --- the page --------------------------------------------------------------------------------------------------------


def filled(page: str, results: Row) -> str:
    """The page with the figures of these results, which may be without some sections."""

    def part(found: re.Match[str]) -> str:
        name = found["name"]
        if name == "scaling":
            text = f"![{PLOT_SAYS}]({PLOT.name})" if PLOT.exists() else MISSING
        elif name not in results:
            text = MISSING
        else:
            text = facts(results[name]) if name == "facts" else TABLES[name](results[name])
        return f"<!-- {name} -->\n\n{text}\n\n<!-- end -->"

    return PART.sub(part, page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="write nothing")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    results = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if again := disturbed(results):
        sys.exit("other programs were running; measure again:\n  " + "\n  ".join(again))
    wanted = filled(page, results)
    if not options.quick:
        PAGE.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        sys.exit(f"{PAGE.name} does not show the figures of {FIGURES.name}: run python benchmarks/report.py")


if __name__ == "__main__":
    main()
