"""Schemas of the records of each kind; records that do not conform are skipped and counted.

Fields that readers can do without, and kinds not listed here, are not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]
_LARGEST = 2**53  # integers up to here are exact in every JSON reader
_LATEST = 2.0**36  # unix seconds; calendars and time zones fail beyond it


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and -1e300 < value < 1e300  # type: ignore[operator]


def is_count(value: object) -> bool:
    """Whether a value is a non-negative integer."""
    return type(value) is int and 0 <= value < _LARGEST


def is_time(value: object) -> bool:
    """Whether a value is a time in unix seconds that a calendar can show."""
    return type(value) in (int, float) and 0 <= value <= _LATEST  # type: ignore[operator]


def _is_known_or_null(value: object) -> bool:
    return value is None or is_number(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_known_or_null, value.values()))


_REACHED: Mapping[str, Check] = {"learner_steps": is_count, "minutes": is_number}
_FIELDS: Mapping[str, Mapping[str, Check]] = {
    "events": {"event": _is_text},
    "levels": {
        "level": ("experts", "prior").__contains__,
        "snapshot": is_count,
        "task": is_count,
        "repeat": is_count,
        "return": _is_known_or_null,
    },
    "training": {**_REACHED, "training_return": _is_known_or_null, "metrics": _are_numbers},
    "heartbeats": {
        "node": _is_text,
        "host": _is_text,
        "pid": is_count,
        "memory_mib": is_number,
        "cpu_seconds": is_number,
        "counters": _are_numbers,
    },
}
# Fields that early versions did not write.
_OPTIONAL: Mapping[str, Mapping[str, Check]] = {
    "training": {
        "environment_steps": is_count,
        "replay_size": is_count,
        "faults": is_count,
        "training_reward_return": _is_known_or_null,
        "learner_steps_per_second": _is_known_or_null,
        "environment_steps_per_second": _is_known_or_null,
    },
}
_EVENTS: Mapping[str, Mapping[str, Check]] = {
    "training_finished": {"reason": _is_text, **_REACHED},
    "training_failed": _REACHED,
    "snapshot_selected": {"snapshot": is_count, "score": is_number},
    "resumed": {"learner_steps": is_count},
    "configuration_chosen": {
        "method": _is_text,
        "snapshot": is_count,
        "configuration": lambda value: isinstance(value, dict),
    },
    "adapted": {
        "method": _is_text,
        "split": _is_text,
        "snapshot": is_count,
        "cpu_seconds": is_number,
    },
}


def is_record(kind: str, record: Mapping[str, Any]) -> bool:
    """Whether a record has the fields that readers of its kind rely on."""
    if not is_time(record.get("time")) or not _holds(record, _FIELDS.get(kind, {})):
        return False
    if kind == "events" and not _holds(record, _EVENTS.get(record["event"], {})):
        return False
    optional = _OPTIONAL.get(kind, {})
    return all(check(record[name]) for name, check in optional.items() if name in record)


def _holds(record: Mapping[str, Any], fields: Mapping[str, Check]) -> bool:
    return all(name in record and check(record[name]) for name, check in fields.items())
