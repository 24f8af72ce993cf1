"""Writes of portfolios."""

import csv
import io
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from qanat.server.accounts.access import groups_of_file
from qanat.server.files.conversion import TYPES, NotConvertible, converted
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import (
    EXCEL_CSV,
    Upload,
    UploadRefused,
    check_type,
    delete_file,
    duplicate,
    store_content,
    store_upload,
)
from qanat.server.files.owned import replace_file
from qanat.server.files.queries import readable_files
from qanat.server.portfolios.models import FILES, TASK_FILES, Portfolio
from qanat.server.runs import cancellation
from qanat.server.runs import models as runs
from qanat.storage.pieces import pieces
from qanat.storage.port import KEY

OED_TYPES: Final = (
    "application/octet-stream",
    "application/json",
    "text/csv",
    "application/gzip",
    "application/zip",
    "application/x-bzip2",
)
CURRENCY_TYPES: Final = ("application/json", "text/csv")
RATE_COLUMNS: Final = 3
READERS: Final = {
    "location_file": "location",
    "accounts_file": "account",
    "reinsurance_info_file": "ri_info",
    "reinsurance_scope_file": "ri_scope",
}
"""What the OED reader calls each file."""


class OedUnreadable(Exception):
    """A file that is to be kept as parquet cannot be read as OED; the message says why."""


def attach_oed_file(*, portfolio: Portfolio, field: str, upload: Upload, actor: User) -> StoredFile:
    """Store an OED file and attach it in place of the one before.

    Raises:
        UploadRefused: its type is not one of ``OED_TYPES`` or contradicts its suffix.
        OedUnreadable: it is to be kept as parquet, and cannot be read.
        ConversionsBusy: it is to be kept as parquet, and others are being converted.
    """
    groups = groups_of_file(owner=portfolio, actor=actor)
    file = store_upload(upload=upload, creator=actor, groups=groups, allowed_types=OED_TYPES)
    if settings.QANAT.portfolio_parquet_storage and file.content_type in {"text/csv", EXCEL_CSV}:
        file = _as_parquet(file, reader=READERS[field], actor=actor, groups=groups)
    replace_file(portfolio, field, file)
    return file


@dataclass(kw_only=True)
class _Stream:
    """What was converted, as an upload."""

    name: str | None
    content_type: str | None
    content: BinaryIO

    def chunks(self) -> Iterable[bytes]:
        """Yield the content."""
        return pieces(self.content)


def _as_parquet(file: StoredFile, *, reader: str, actor: User, groups: list[Group]) -> StoredFile:
    """Return a csv file as a parquet file; the csv file is gone, whatever happens."""
    try:
        with converted(file, to="parquet", reader=reader) as content:
            upload = _Stream(name=f"{file.filename}.parquet", content_type=TYPES["parquet"], content=content)
            return store_upload(upload=upload, creator=actor, groups=groups, allowed_types=OED_TYPES)
    except NotConvertible as error:
        raise OedUnreadable(str(error)) from error
    finally:
        delete_file(file)


def attach_currency_rates(*, portfolio: Portfolio, upload: Upload, actor: User) -> StoredFile:
    """Store a currency table: JSON as it is; CSV (a header, then from, to, rate) becomes the kernel's JSON document.

    Raises:
        UploadRefused: neither JSON nor CSV, or a row that is not two currencies and a rate.
    """
    content_type = (upload.content_type or "").split(";")[0].strip()
    check_type(filename=upload.name or "", content_type=content_type, allowed_types=CURRENCY_TYPES)
    groups = groups_of_file(owner=portfolio, actor=actor)
    if content_type == "application/json":
        file = store_upload(upload=upload, creator=actor, groups=groups, allowed_types=CURRENCY_TYPES)
    else:
        document = {
            "currency_conversion_type": "DictBasedCurrencyRates",
            "source_type": "list",
            "currency_rates": _rates(b"".join(upload.chunks())),
        }
        file = store_content(
            content=json.dumps(document).encode(),
            filename="currency_conversion.json",
            content_type="application/json",
            creator=actor,
            groups=groups,
        )
    replace_file(portfolio, "currency_conversion_json", file)
    return file


class LinksRefused(Exception):
    """A storage link cannot be followed; ``errors`` says why, by field."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        """Keep the messages as clients see them."""
        super().__init__("; ".join(f"{field}: {' '.join(messages)}" for field, messages in errors.items()))
        self.errors = errors


def attach_stored_files(*, portfolio: Portfolio, keys: Mapping[str, Any], actor: User) -> None:
    """Attach copies of files that are in storage already, by field; all of them or none.

    A key can only name a file that ``actor`` may read: what nobody was shown cannot be had by guessing its key.

    Args:
        portfolio: whose files they become.
        keys: key in storage by field of ``FILES``; null leaves a field as it is.
        actor: who asks.

    Raises:
        LinksRefused: there is no key, or one that is no text or names no file that the actor may read.
        StorageError: a file could not be copied; nothing is kept.
    """
    given = {field: key for field, key in keys.items() if key is not None}
    if not given:
        raise LinksRefused({"non_field_errors": [f"Give the key in storage of at least one of {', '.join(FILES)}."]})
    asked = [key for key in given.values() if isinstance(key, str) and KEY.fullmatch(key)]
    readable = {file.key: file for file in readable_files(actor).filter(key__in=asked)}
    if errors := {field: [reason] for field, key in given.items() if (reason := _unlinked(key, readable))}:
        raise LinksRefused(errors)
    copies: dict[str, StoredFile] = {}
    try:
        for field, key in given.items():
            copies[field] = duplicate(file=readable[key], creator=actor)
        with transaction.atomic():
            for field, copy in copies.items():
                copy.groups.set(groups_of_file(owner=portfolio, actor=actor))
                replace_file(portfolio, field, copy)
    except BaseException:
        for copy in copies.values():
            delete_file(copy)
        raise


def _unlinked(key: Any, readable: Container[str]) -> str:  # noqa: ANN401 - JSON
    """Return why a key cannot be followed, or nothing."""
    if not isinstance(key, str):
        return "Not a valid string."
    if not key:
        return "This field may not be blank."
    return "" if key in readable else f"There is no file '{key}' in storage that you may read."


def _rates(content: bytes) -> list[list[str | float]]:
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", errors="replace")))
    next(rows, None)
    rates: list[list[str | float]] = []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            source, target, rate = row[:RATE_COLUMNS]
            rates.append([source.strip(), target.strip(), float(rate)])
        except ValueError:
            message = f"Line {number} of the currency table is not 'from,to,rate': {','.join(row)}"
            raise UploadRefused(message) from None
    return rates


def delete_portfolio(portfolio: Portfolio) -> None:
    """Delete a portfolio, its runs and all its files; its analyses must be gone."""
    with transaction.atomic():
        cancellation.forget(owner=runs.portfolio(portfolio.pk))
        files = [getattr(portfolio, field) for field in (*FILES, *TASK_FILES)]
        portfolio.delete()
        for file in files:
            delete_file(file)
