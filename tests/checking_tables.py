"""The tables of docs/checking.md: what the checker catches, and what it does not call wrong.

python tests/checking_tables.py    writes them anew, by running the checks
"""

from __future__ import annotations

import re

import awkward
import mutations
import pages
import wrong_kernels

PAGE = pages.ROOT / "docs" / "checking.md"
PLACE = "<!-- {name}: written by tests/checking_tables.py -->\n"


def rules() -> str:
    lines = ["| made wrong | operations | wrong rules | caught and named |", "|---|---|---|---|"]
    for kind in mutations.KINDS:
        found = mutations.outcomes(kind)
        caught = sum(said.caught(mutant.op) for mutant, said in found)
        lines.append(f"| {kind} | {len({mutant.op for mutant, _ in found})} | {len(found)} | {caught} |")
    return "\n".join(lines)


def kernels() -> str:
    lines = ["| made wrong in single precision | kernels | caught and named |", "|---|---|---|"]
    for kind in wrong_kernels.KINDS:
        found = [(use, said) for name, use, said in wrong_kernels.all_outcomes() if name == kind]
        caught = sum(said.verdict == "wrong" and said.op in use.blamed for use, said in found)
        lines.append(f"| {kind} | {len(found)} | {caught} |")
    return "\n".join(lines)


def right() -> str:
    lines = ["| function | what is awkward | verdict |", "|---|---|---|"]
    for subject, cases in awkward.SUBJECTS.items():
        lines.append(f"| **{subject}** | | |")
        lines += [f"| {case.what} | {case.why} | {awkward.verdict(case)} |" for case in cases]
    return "\n".join(lines)


TABLES = {"rules": rules, "kernels": kernels, "right": right}


def built(text: str) -> str:
    """The page with its tables as they should be."""
    for name, table in TABLES.items():
        place = PLACE.format(name=name)
        text = re.sub(re.escape(place) + r"\n(\|.*\n)*", lambda _, p=place, t=table: f"{p}\n{t()}\n", text)
    return text


if __name__ == "__main__":
    PAGE.write_text(built(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
