"""Into how many chunks a run is cut (wire contract, section 4.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Strategy(StrEnum):
    """Whether the number of chunks is given or follows from the size of the work."""

    FIXED = "FIXED_CHUNKS"
    DYNAMIC = "DYNAMIC_CHUNKS"


MOST_CHUNKS: Final = 10_000
"""Into how many chunks a lookup or the losses may be cut; each is a row, a message and a directory."""


@dataclass(frozen=True, kw_only=True)
class ChunkingOptions:
    """A chunking configuration: the model's, or the analysis' own. The defaults are those of the wire contract."""

    lookup_strategy: Strategy = Strategy.FIXED
    loss_strategy: Strategy = Strategy.FIXED
    dynamic_locations_per_lookup: int = 10_000
    dynamic_events_per_analysis: int = 1
    dynamic_chunks_max: int = 200
    fixed_analysis_chunks: int = 1
    fixed_lookup_chunks: int = 1


def lookup_chunks(*, options: ChunkingOptions, rows: int) -> int:
    """Return the number of keys chunks for ``rows`` locations (at least 1)."""
    if options.lookup_strategy is Strategy.FIXED:
        return max(1, min(options.fixed_lookup_chunks, rows))
    return _by_size(rows, options.dynamic_locations_per_lookup, options.dynamic_chunks_max)


def loss_chunks(*, options: ChunkingOptions, events: int) -> int:
    """Return the number of loss chunks for ``events`` events (at least 1); FIXED_CHUNKS takes no notice of them."""
    if options.loss_strategy is Strategy.FIXED:
        return max(1, options.fixed_analysis_chunks)
    return _by_size(events, options.dynamic_events_per_analysis, options.dynamic_chunks_max)


def share_of_events(total: int, *, index: int, count: int) -> int:
    """Return how many of ``total`` events the chunk ``index`` of ``count`` has: the kernel deals them in turn."""
    return len(range(index, total, count))


def _by_size(total: int, per_chunk: int, most: int) -> int:
    return max(1, min(-(-total // per_chunk), most))


class EventCountUnknown(Exception):
    """Dynamic loss chunks need to know the number of events, and the settings do not tell.

    ``field`` is the error key of the wire contract, section 2.2.
    """

    def __init__(self, field: str, message: str) -> None:
        """Keep the key under which clients expect the sentence."""
        super().__init__(message)
        self.field = field


def event_count(*, analysis_settings: Mapping[str, Any], model_settings: Mapping[str, Any] | None) -> int:
    """Return the number of events that the analysis will run.

    That is the length of ``event_ids`` where the analysis lists more than one, else ``number_of_events`` of the
    event-set option that it selects.

    Raises:
        EventCountUnknown: the settings name no event set, an unknown one, or one without ``number_of_events``.
    """
    event_ids = analysis_settings.get("event_ids")
    if isinstance(event_ids, Sequence) and len(event_ids) > 1:
        return len(event_ids)
    if model_settings is None:
        msg = "model_settings_file"
        raise EventCountUnknown(msg, "The model has no settings file to read the event sets from.")
    selected = (analysis_settings.get("model_settings") or {}).get("event_set")
    if selected is None:
        msg = "analysis_settings_file"
        raise EventCountUnknown(msg, "'model_settings.event_set' is not set in the settings.")
    event_set = (model_settings.get("model_settings") or {}).get("event_set")
    if not event_set:
        msg = "settings_files"
        raise EventCountUnknown(msg, "The model's settings list no event sets.")
    option = next((o for o in event_set.get("options", ()) if str(o.get("id")) == str(selected)), None)
    if option is None:
        known = ", ".join(str(o.get("id")) for o in event_set.get("options", ()))
        msg = "settings_files"
        raise EventCountUnknown(msg, f"The settings select the event set '{selected}', but the model has: {known}.")
    if "number_of_events" not in option:
        msg = "model_settings_file"
        raise EventCountUnknown(msg, f"The model's event set '{selected}' does not say its 'number_of_events'.")
    return int(option["number_of_events"])
