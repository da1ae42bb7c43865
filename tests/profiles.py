"""How many examples hypothesis draws; a nightly run, `HYPOTHESIS_PROFILE=nightly`, draws 100 times as many."""

import os

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def examples(number: int) -> int:
    return 100 * number if NIGHTLY else number
