"""What clients say on websockets, understood or refused (wire contract, sections 6.1 and 6.3)."""

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from qanat.server.queues.queries import FILTERED
from qanat.server.runs import clock

MOST_ANALYSES: Final = 5_000
LARGEST_ID: Final = 2**63 - 1
LARGEST_COUNT: Final = 2**31 - 1


class NotJson(Exception):
    """The message is no JSON at all."""


class NotUnderstood(Exception):
    """The message is JSON, but not what is expected; the sentence says what is."""

    def __init__(self, sentence: str, *, kind: str | None = None) -> None:
        """Note the kind of the message where it is one that is known."""
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a kernel says of an analysis: how many events there are, or that so many more are done."""

    analysis_id: int | None
    total: int | None
    done: int | None


def filter_of(text: str) -> list[int]:
    """Return the ids of the analyses about which a listener asks.

    Raises:
        NotJson: it is no JSON.
        NotUnderstood: it is no such question.
    """
    message = _object(text)
    kind = message.get("type")
    if kind != FILTERED:
        sentence = f"The type of a message must be '{FILTERED}'."
        raise NotUnderstood(sentence)
    if "content" not in message:
        sentence = "The message has no 'content'."
        raise NotUnderstood(sentence, kind=kind)
    content = message["content"]
    ids = content.get("analyses") if isinstance(content, dict) else None
    if not isinstance(ids, list) or len(ids) > MOST_ANALYSES or not all(_is_id(each) for each in ids):
        sentence = f"'content' must be an object whose 'analyses' is a list of at most {MOST_ANALYSES} ids."
        raise NotUnderstood(sentence, kind=kind)
    return ids


def progress_of(text: str) -> Progress:
    """Return what a kernel says; numbers may come as text or with a fraction.

    Raises:
        NotJson: it is no JSON.
        NotUnderstood: it says nothing of events.
    """
    message = _object(text)
    found = Progress(
        analysis_id=_number(message, "analysis_pk", most=LARGEST_ID),
        total=_number(message, "events_total", most=LARGEST_COUNT),
        done=_number(message, "events_complete", most=LARGEST_COUNT),
    )
    if found.total is None and found.done is None:
        sentence = "The message has neither 'events_total' nor 'events_complete'."
        raise NotUnderstood(sentence)
    return found


def error(refused: NotUnderstood, *, now: datetime) -> str:
    """Return the answer to a message that was not understood."""
    return json.dumps(
        {
            "time": clock.shown(now),
            "type": refused.kind,
            "status": "ERROR",
            "content": {"detail": str(refused)},
        }
    )


def _object(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(message, dict):
        sentence = "The message must be an object."
        raise NotUnderstood(sentence)
    return message


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID


def _number(message: dict[str, Any], name: str, *, most: int) -> int | None:
    given = message.get(name)
    if given is None:
        return None
    try:
        number = float(given) if not isinstance(given, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= most:
        sentence = f"'{name}' must be a number from 0 to {most}."
        raise NotUnderstood(sentence)
    return int(number)
