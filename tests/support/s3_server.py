"""An S3 server on this machine, and its fixtures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import fsspec
import pytest

BUCKET = "faces"


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server for the length of the block; yield its address."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def environment(address: str, staging: Path) -> dict[str, str]:
    """Variables by which every process finds the server, with credentials that it takes."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DFBENCH_STAGING": str(staging),
    }


def put_tree(folder: Path, url: str) -> str:
    """Copy a folder to a URL and return it."""
    store, path = fsspec.url_to_fs(url)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    store.put([str(p) for p in files], [f"{path}/{p.relative_to(folder).as_posix()}" for p in files])
    return url


def names(url: str) -> list[str]:
    """The objects below a URL, as paths relative to it, sorted."""
    store, path = fsspec.url_to_fs(url, use_listings_cache=False)
    return sorted(name[len(path) + 1 :] for name in store.find(path))


def read(url: str) -> bytes:
    """The content of an object."""
    with closing(fsspec.open(url, "rb").open()) as stream:
        return stream.read()


def make_bucket(name: str = BUCKET) -> str:
    """Create a bucket and return its URL."""
    fsspec.url_to_fs(f"s3://{name}")[0].mkdir(name)
    return f"s3://{name}"
