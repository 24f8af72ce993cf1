"""Storage in a bucket of S3, or of what speaks its protocol."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from qanat.storage.pieces import Reading, Resumed, as_file, part_of, parts
from qanat.storage.port import PIECE_BYTES, ObjectMissing, StorageFull, StorageUnavailable, checked

PART_BYTES: Final = 16 * 2**20
"""Ten thousand parts at most: 160 GB."""
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 60
ATTEMPTS: Final = 4
CONNECTIONS: Final = 64
MISSING: Final = {"404", "NoSuchKey", "NotFound"}
FULL: Final = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """Which bucket, and how to get at it."""

    bucket: str
    location: str = ""
    """Beginning of all object names, without slashes at its ends."""
    endpoint_url: str | None = None
    """Where it is not Amazon's."""
    region: str | None = None
    access_key_id: str | None = None
    """None, and likewise the secret: what boto3 finds by itself, such as the role of the machine."""
    secret_access_key: str | None = field(default=None, repr=False)
    acl: str | None = None


class AnswerCutOff(BotoCoreError):  # type: ignore[misc] # botocore has no types
    """The connection broke within the head of an answer, which the library takes for all of it."""

    fmt = "The answer ends before it says how long it is."


@cache
def _session() -> Any:  # noqa: ANN401 - boto3 has no types
    """Return what has read the description of S3's protocol, which takes a third of a second."""
    return boto3.session.Session()


class S3Storage:
    """Objects are objects of a bucket, their names below a location; see ``port.Storage``."""

    def __init__(self, options: S3Options) -> None:
        """Get ready; nothing is asked of the server yet."""
        self._options = options
        self._bucket = options.bucket
        self._client: Any = _session().client(
            "s3",
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            region_name=options.region,
            endpoint_url=options.endpoint_url,
            config=Config(
                signature_version="s3v4",
                # A name of the bucket's own needs DNS, which servers other than Amazon's seldom have.
                s3={"addressing_style": "path" if options.endpoint_url else "auto"},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=CONNECTIONS,
            ),
        )
        self._extra = {"ACL": options.acl} if options.acl else {}

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Send one request, or one a part and one that makes them an object: nobody sees half of it."""
        name = self._name(checked(key))
        sent = parts(chunks, PART_BYTES)
        part = next(sent)
        if len(part) < PART_BYTES:
            with self._asked(key):
                self._client.put_object(Bucket=self._bucket, Key=name, Body=part, **self._extra)
            return len(part)
        with self._asked(key):
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=name, **self._extra)
        whole = {"Bucket": self._bucket, "Key": name, "UploadId": upload["UploadId"]}
        size = 0
        done: list[dict[str, Any]] = []
        try:
            while part:
                with self._asked(key):
                    answer = self._client.upload_part(**whole, PartNumber=len(done) + 1, Body=part)
                done.append({"PartNumber": len(done) + 1, "ETag": answer["ETag"]})
                size += len(part)
                part = next(sent, b"")
            with self._asked(key):
                self._client.complete_multipart_upload(**whole, MultipartUpload={"Parts": done})
        except BaseException:
            # Where this fails too, `discard_unfinished` does it later.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**whole)
            raise
        return size

    def take(self, key: str, file: BinaryIO, *, size: int) -> int:
        """Write what the file holds."""
        return self.write(key, part_of(file, size))

    def open(self, key: str) -> BinaryIO:
        """Read on demand, from wherever the reader is."""
        return as_file(lambda start: self._fetch(key, start), size=self.size(key))

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a range."""
        end = None if length is None else start + length
        return Resumed(lambda offset: self._fetch(key, offset, end), start=start)

    def copy(self, source: str, target: str) -> int:
        """Have the server copy."""
        size = self.size(source)
        config = TransferConfig(multipart_chunksize=PART_BYTES * 16, use_threads=False)
        with self._asked(source):
            self._client.copy(
                {"Bucket": self._bucket, "Key": self._name(source)},
                self._bucket,
                self._name(checked(target)),
                ExtraArgs=self._extra,
                Config=config,
            )
        return size

    def discard_unfinished(self, *, before: datetime) -> None:
        """Abort uploads whose parts never became an object."""
        with self._asked(""):
            found = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._name("")
            )
            for upload in (upload for page in found for upload in page.get("Uploads", ())):
                if upload["Initiated"] < before:
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )

    def size(self, key: str) -> int:
        """Ask for the object's head."""
        with self._asked(key):
            return _length(self._client.head_object(Bucket=self._bucket, Key=self._name(checked(key))))

    def exists(self, key: str) -> bool:
        """Ask for the object's head."""
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """List, a thousand at a time."""
        beginning = f"{self._name(checked(prefix))}/"
        skipped = len(self._name(""))
        with self._asked(prefix):
            found = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=beginning)
            for page in found:
                yield from (entry["Key"][skipped:] for entry in page.get("Contents", ()))

    def delete(self, key: str) -> None:
        """Delete the object."""
        name = self._name(checked(key))
        with suppress(ObjectMissing), self._asked(key):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def local_path(self, key: str) -> Path | None:
        """Return None: it lies elsewhere."""
        checked(key)
        return None

    def _fetch(self, key: str, start: int, end: int | None = None) -> Reading:
        wanted = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        if end is not None and end <= start:
            self.size(key)
            return Reading(iter(()), _nothing)
        with self._asked(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(checked(key)), **wanted)
            _length(answer)
        body = answer["Body"]
        return Reading(self._received(key, body), body.close)

    def _received(self, key: str, body: Any) -> Iterator[bytes]:  # noqa: ANN401 - botocore's
        with self._asked(key):
            yield from body.iter_chunks(PIECE_BYTES)

    def _name(self, key: str) -> str:
        return f"{self._options.location}/{key}" if self._options.location else key

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
            if code in MISSING:
                raise ObjectMissing(key) from None
            if FULL & {code, status}:
                message = f"No room is left in the bucket '{self._bucket}': free some, then try again."
                raise StorageFull(message) from error
            message = f"The bucket '{self._bucket}' refuses ({code}): see the server's log."
            raise StorageUnavailable(message) from error
        except BotoCoreError as error:
            message = f"The bucket '{self._bucket}' does not answer ({type(error).__name__}): try again in a moment."
            raise StorageUnavailable(message) from error


def _length(answer: Mapping[str, Any]) -> int:
    """Return how many bytes an answer announces; without that, what comes may be less than all and seem to be all."""
    if "ContentLength" not in answer:
        raise AnswerCutOff
    return int(answer["ContentLength"])


def _nothing() -> None:
    """Let go of nothing."""
