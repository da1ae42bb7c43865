"""Right functions that are hard to judge are never called wrong, and are judged where that is possible."""

from __future__ import annotations

import awkward
import pytest


@pytest.mark.parametrize("case", awkward.CASES, ids=lambda case: case.what)
def test_the_verdict_is_the_one_that_is_expected(case):
    assert [awkward.verdict(case, seed) for seed in range(2)] == [case.verdict] * 2


def test_none_is_expected_to_be_wrong_and_few_to_be_undecided():
    verdicts = [case.verdict for case in awkward.CASES]
    assert set(verdicts) == {"right", "kink", "precision"}
    assert verdicts.count("right") > 0.85 * len(verdicts)
