"""Tests as a part of a run: pytest, which notes in a journal what each test came to, as soon as it is known.

    python tests/cuda/recorded.py FILE.json SECTION NUMBER COUNT PATIENCE ARGUMENTS...

does every COUNT-th of the tests that pytest's ARGUMENTS choose, from number NUMBER on, but those that the journal has
already. A test that takes more than PATIENCE seconds ends the process, and so does an error of the GPU's, behind which
nothing more can be learned from it; started again, it goes on with the next test.
"""

import sys
from pathlib import Path

import pytest

from fastnet.benchmarks.journal import Journal

QUIET = ("-q", "--no-header", "--no-summary", "--show-capture=no", "-p", "no:cacheprovider")


class Recorder:
    """A plugin of pytest."""

    def __init__(self, journal, number, count):
        self.journal, self.number, self.count = journal, number, count
        self.outcome, self.error = "passed", ""

    def pytest_sessionstart(self, session):
        self.session = session

    @pytest.hookimpl(trylast=True)  # of what -k and -m leave
    def pytest_collection_modifyitems(self, items):
        mine = {item.nodeid: item for item in items[self.number :: self.count]}
        items[:] = [mine[name] for name in self.journal.plan(mine)]

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.error = "passed", ""
        self.journal.start(nodeid)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.outcome, self.error = "failed", report.longreprtext
            print(f"\n{report.nodeid}\n{self.error}", flush=True)
            if "CUDA_ERROR" in self.error:
                self.session.shouldstop = "the GPU's context cannot be used any more"
        elif report.skipped and self.outcome == "passed":
            self.outcome = "skipped"

    def pytest_runtest_logfinish(self, nodeid):
        self.journal.end(nodeid, self.outcome, self.error[-2000:])


def main(path, section, number, count, patience, *arguments):
    journal = Journal(Path(path), section, float(patience))
    # Numbers that overflow are a warning in the simulator, where they are NumPy's.
    options = (*QUIET, "-W", "ignore::RuntimeWarning", *arguments)
    pytest.main([*options], plugins=[Recorder(journal, int(number), int(count))])


if __name__ == "__main__":
    main(*sys.argv[1:])
