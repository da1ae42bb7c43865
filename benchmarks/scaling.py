"""How the cost grows: a convolution layer and a training step over batch, image size and channels.

    python benchmarks/scaling.py [--quick] [--json FILE] [--svg FILE] [--threads 2]

Prints milliseconds beside PyTorch's, in its better memory layout, where it is installed, and draws them with both axes
logarithmic: what costs twice as much for twice the work runs along the grey line, what has a fixed cost flattens out on
the left.
"""

import argparse
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import report
import timing
from networks import BY_NAME, OURS, THEIRS, Convolution, Layer, Training

Point = tuple[int, dict[str, float]]  # size, milliseconds by name


class Curve(NamedTuple):
    title: str
    axis: str
    power: int  # of x, in the arithmetic
    sizes: tuple[int, ...]
    step: Callable[[int, str], timing.Timed]  # of a size, with a library


CURVES = (
    Curve(
        "layer 32x32x32, 32@3x3: forward and backward",
        "images",
        1,
        (1, 2, 4, 8, 16, 32, 64, 128),
        lambda n, name: Convolution(Layer(n, 32, 32, 32, 3, 1, 1), name).step,
    ),
    Curve(
        "layer 8 x 32xHxH, 32@3x3: forward and backward",
        "rows and columns H",
        2,
        (4, 8, 16, 32, 64, 128),
        lambda h, name: Convolution(Layer(8, 32, h, 32, 3, 1, 1), name).step,
    ),
    Curve(
        "layer 8 x Cx32x32, C@3x3: forward and backward",
        "channels C",
        2,
        (4, 8, 16, 32, 64, 128, 256),
        lambda c, name: Convolution(Layer(8, c, 32, c, 3, 1, 1), name).step,
    ),
    Curve(
        "training step of LeNet-5",
        "images",
        1,
        (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        lambda n, name: Training(BY_NAME["LeNet-5"], name, n).step,
    ),
)


def measure(curve: Curve, names: Iterable[str], quick: bool) -> tuple[list[Point], float]:
    """The medians, of PyTorch's layouts the better one; and the most cores that other programs used meanwhile."""
    points, most = [], 0.0
    for size in curve.sizes[:2] if quick else curve.sizes:
        timing.progress(f"{curve.title}: {size} {curve.axis}")
        turns = {name: timing.turn(curve.step(size, name), 0.0 if quick else 0.02) for name in names}
        times, others = timing.watched(turns, 1 if quick else 7)
        most = max(most, others)
        milliseconds = {name: 1e3 * sum(timing.medians(seconds)) for name, seconds in times.items()}
        best = {OURS: milliseconds.pop(OURS)}
        if milliseconds:
            best[THEIRS[0]] = min(milliseconds.values())
        points.append((size, best))
    return points, most


# --- the drawing -----------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 460, 320, 60, 34, 16, 44  # of one plot, and of its margins
COLOURS = {OURS: "#0b62a4", THEIRS[0]: "#d1570c"}
TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'


def svg(curves: list[tuple[Curve, list[Point]]]) -> str:
    """The plots, two in a row."""
    rows = math.ceil(len(curves) / 2)
    plots = [
        f'<g transform="translate({WIDTH * (i % 2)} {HEIGHT * (i // 2)})">\n{plot(*curve)}\n</g>'
        for i, curve in enumerate(curves)
    ]
    size = f'width="{2 * WIDTH}" height="{rows * HEIGHT}" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', background, *plots, "</svg>\n"])


def plot(curve: Curve, points: list[Point]) -> str:
    """One plot: axes with ticks at powers of two and of ten, the line of proportional cost, a line a contender."""
    costs = [cost for _, best in points for cost in best.values()]
    left, right = math.log2(points[0][0]), math.log2(points[-1][0])
    low, high = math.floor(math.log10(min(costs))), math.floor(math.log10(max(costs))) + 1

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (math.log2(x) - left) / (right - left) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (math.log10(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    def line(ends: Iterable[tuple[float, float]], colour: str, width: float) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*end) for end in ends))
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    def text(x: float, y: float, words: str, anchor: str = "middle", style: str = TEXT) -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{escape(words)}</text>'

    (first, _), (last, ends) = points[0], points[-1]
    parts = [text(WIDTH / 2, 20, curve.title)]
    for x, _ in points:
        parts.append(text(place(x, 1)[0], HEIGHT - BOTTOM + 16, f"{x:g}"))
    for exponent in range(low, high + 1):
        y = 10.0**exponent
        parts.append(line([(first, y), (last, y)], "#ddd", 1))
        parts.append(text(LEFT - 6, place(1, y)[1] + 4, f"{y:g} ms", "end"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, curve.axis))
    start = max(first, last * (10.0**low / ends[OURS]) ** (1 / curve.power))  # where the line meets an axis
    parts.append(line([(start, ends[OURS] * (start / last) ** curve.power), (last, ends[OURS])], "#aaa", 1))
    for i, name in enumerate(ends):
        parts.append(line([(x, best[name]) for x, best in points], COLOURS[name], 2))
        parts.append(text(LEFT + 10, TOP + 16 + 16 * i, name, "start", TEXT.replace("#222", COLOURS[name])))
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two points a curve, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the curves in this file")
    parser.add_argument("--threads", type=int, default=2, help="for everybody (2)")
    options = parser.parse_args()
    timing.use_threads(options.threads)
    names = (OURS, *THEIRS) if importlib.util.find_spec("torch") else (OURS,)
    facts = timing.facts(options.threads)
    print(report.facts(facts))
    curves, most = [], 0.0
    for curve in CURVES:
        points, others = measure(curve, names, options.quick)
        most = max(most, others)
        curves.append((curve, points))
        timing.progress("")
        lines = [[size, *map(report.figure, best.values())] for size, best in points]
        head = [curve.axis, *(f"{name}, ms" for name in points[0][1])]
        print(f"\n{curve.title}\n\n{report.markdown(head, lines)}", flush=True)
    drawing = svg(curves)
    if options.svg and most > report.DISTURBED:
        sys.exit(f"nothing drawn: other programs used {most:.2f} cores; measure again")
    if options.svg:
        options.svg.write_text(drawing, encoding="utf-8")
    if options.json:
        found: dict[str, Any] = {curve.title: {"axis": curve.axis, "points": points} for curve, points in curves}
        options.json.write_text(json.dumps({"facts": facts, "curves": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
