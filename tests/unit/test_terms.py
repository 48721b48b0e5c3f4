"""When a worker leaves: moments as people type them, and what its slots may begin together."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime

import pytest

from exs.cli.moment import moment
from exs.errors import InputError
from exs_worker.terms import Ledger, Tenure, Terms, Ticket
from slotprocess import wait_until

NOW = datetime(2026, 11, 26, 9, 30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:00", datetime(2026, 11, 26, 10)),
        ("9:30", datetime(2026, 11, 27, 9, 30)),  # that is now: the next one is meant
        ("08:00", datetime(2026, 11, 27, 8)),
        ("23:59:59", datetime(2026, 11, 26, 23, 59, 59)),
        ("2026-12-01 08:00", datetime(2026, 12, 1, 8)),
        ("2026-12-01T08:00", datetime(2026, 12, 1, 8)),
    ],
)
def test_a_moment(text: str, expected: datetime) -> None:
    assert moment(text, "--until", NOW) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "8", "24:00", "08:60", "soon", "2026-12-01", "2026-11-26 09:00"])
def test_what_is_no_moment_to_come_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--until"):
        moment(text, "--until", NOW)


def test_clocks_that_are_put_forward_keep_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        evening = datetime(2026, 3, 28, 20, 0)
        assert datetime.fromtimestamp(moment("08:00", "x", evening)) == datetime(2026, 3, 29, 8, 0)
        assert moment("08:00", "x", evening) - evening.timestamp() == 11 * 3600
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_slots_begin_no_more_than_all_together_may() -> None:
    ledger = Ledger.create(3, 2)
    assert ledger.ask(0) and ledger.ask(0) and ledger.ask(1)
    assert not ledger.ask(2)
    ledger.rest(1)  # it got nothing
    assert ledger.ask(2)
    ledger.begin(0)
    assert not ledger.ask(1) and not ledger.spent
    ledger.rest(2)  # it died before it began
    assert ledger.ask(1)
    ledger.begin(1)
    ledger.rest(1)
    assert ledger.spent
    assert not any(ledger.ask(seat) for seat in range(3))


def test_processes_that_ask_at_once_get_no_more_than_there_is() -> None:
    ledger = Ledger.create(8, 100)
    children = []
    for seat in range(8):
        pid = os.fork()
        if not pid:
            mine = Ledger(ledger.descriptor, 8, 100)
            ticket, begun = Ticket(Terms(max_jobs=100), mine, seat), 0
            while not ticket.over and begun < 200:
                if ticket.ask():
                    ticket.begin()
                    begun += 1
                    ticket.rest()
            os._exit(begun)
        children.append(pid)
    try:
        assert sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children) == 100
    except BaseException:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        raise


def test_a_worker_is_idle_from_the_end_of_its_last_job() -> None:
    tenure = Tenure(Terms(idle_exit=0.2), 2)
    ledger = tenure.ledger
    assert ledger is not None
    ledger.starts(0)
    ledger.rest(1)
    assert ledger.idle == 0.0  # one that starts may find a job
    ledger.begin(1)
    assert ledger.ask(0)
    ledger.rest(0)
    assert ledger.idle == 0.0
    assert tenure.stops(0) == 0
    ledger.rest(1)
    ended = time.monotonic()
    assert ledger.ask(0)
    ledger.rest(0)  # in vain, which makes nobody busy
    wait_until(lambda: tenure.stops(0) == 1, "the idle exit")
    assert time.monotonic() - ended >= 0.15
    assert tenure.stops(1) == 1


def test_until_and_its_grace() -> None:
    now = time.time()
    assert Tenure(Terms(until=now + 60, grace=5), 1).stops(0) == 0
    assert Tenure(Terms(until=now - 1, grace=60), 1).stops(0) == 1
    assert Tenure(Terms(until=now - 10, grace=5), 1).stops(0) == 2
    assert Tenure(Terms(until=now - 10), 1).stops(0) == 1
    assert 4 < Tenure(Terms(until=now - 10, grace=15), 1).wait(1) <= 5
    assert Tenure(Terms(), 1).wait(0) == float("inf")
