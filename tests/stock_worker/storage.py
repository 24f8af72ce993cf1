"""The storage that it shares with the server: a folder, or a bucket (wire contract, section 7)."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import boto3


class Folder:
    """A shared file system: files are named by their names in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, reference: str) -> bytes:
        """Return the content of a file."""
        return (self.root / reference).read_bytes()

    def put(self, content: bytes, suffix: str, *, name: str = "") -> str:
        """Write a file, under a name of its own where none is given, and return how it is named."""
        reference = name or f"{uuid.uuid4().hex}{suffix}"
        path = self.root / reference
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return reference

    def remove(self, folder: str) -> None:
        """Remove a folder that the sub-tasks of a run shared."""
        shutil.rmtree(self.root / folder, ignore_errors=True)


class Bucket:
    """A shared bucket: files are named by their names in it."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        self.bucket = bucket
        self.client: Any = boto3.client("s3", endpoint_url=endpoint)

    def get(self, reference: str) -> bytes:
        """Return the content of an object."""
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=reference)["Body"].read()
        return content

    def put(self, content: bytes, suffix: str, *, name: str = "") -> str:
        """Write an object below the location with which these workers come."""
        reference = name or f"worker/{uuid.uuid4().hex}{suffix}"
        self.client.put_object(Bucket=self.bucket, Key=reference, Body=content)
        return reference

    def remove(self, folder: str) -> None:
        """Remove what the sub-tasks of a run shared."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{folder}/")
        for entry in found.get("Contents", ()):
            self.client.delete_object(Bucket=self.bucket, Key=entry["Key"])


def shared() -> Folder | Bucket:
    """Return the storage that the environment names."""
    if endpoint := os.environ.get("STAND_IN_S3"):
        return Bucket(endpoint, os.environ["STAND_IN_BUCKET"])
    return Folder(Path(os.environ["STAND_IN_MEDIA_ROOT"]))


def scratch() -> Path:
    """Return a folder to work in."""
    return Path(tempfile.mkdtemp(prefix="stand-in-"))
