"""Times that come in lie in the range that everything behind us can hold, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from domain.protocol import Report
from domain.validation.timestamps import EARLIEST, LATEST, ClockTime, Moment

read_clock = TypeAdapter(ClockTime).validate_python
read = TypeAdapter(Moment).validate_python


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("1969-12-31T23:59:59Z", EARLIEST),
        ("9999-12-31T23:59:59.999999Z", LATEST),
        ("2262-04-11T23:47:17Z", LATEST),
        ("2026-03-01T14:00:00+02:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01t12:00:00z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456789Z", datetime(2026, 3, 1, 12, microsecond=123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5+00:00", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_time_is_moved_into_the_range(text: str, at: datetime) -> None:
    found = read(text)
    assert found == at == read_clock(text)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T12:00:00", "2026-03-01", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
        "2026-03-01T25:00:00Z", "2026-03-01T12:00:61Z", "NaN", "now", "",
        " ", "٢٠٢٦-03-01T12:00:00Z", 0, 1.5, -1,
        float("nan"), float("inf"), 10**400, True, None, [], {}, "2026-03-01T12:00:00+99:99",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        read(value)


def test_a_report_is_not_lost_because_of_its_runners_clock() -> None:
    report = Report.model_validate_json(
        '{"status": "succeeded", "started_at": "9999-12-31T23:59:59-12:00",'
        '"finished_at": "0001-01-01T00:00:00+01:00"}'
    )
    assert (report.started_at, report.finished_at) == (LATEST, EARLIEST)
