"""The public names of each module: a change here is a change for every program that uses the library."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pymdc

EXPORTS = {
    "pymdc": [
        "Client",
        "Handle",
        "Timeout",
        "__version__",
        "api",
        "configure",
        "errors",
        "explain",
        "keypair",
        "rest",
        "schedulers",
        "unwrap",
    ],
    "pymdc.__main__": ["main"],
    "pymdc.api": [
        "ECDSA",
        "REST",
        "Bucket",
        "Buckets",
        "Files",
        "Keys",
        "Users",
        "buckets",
        "files",
        "keys",
        "users",
    ],
    "pymdc.api.bound": ["BoundAPI"],
    "pymdc.api.buckets": ["Bucket", "Buckets"],
    "pymdc.api.file_transfers": ["FileTransfers"],
    "pymdc.api.files": ["Files"],
    "pymdc.api.keys": ["Keys"],
    "pymdc.api.arguments": [
        "FileHash",
        "LocalPath",
        "Token",
        "check_credentials",
        "check_progress",
        "check_text",
        "hash_of",
        "local_path",
        "text_of",
    ],
    "pymdc.api.types": [
        "BucketInfo",
        "BucketValue",
        "BucketsValue",
        "BytesValue",
        "Exists",
        "FileInfo",
        "FileValue",
        "FilesValue",
        "KeyInfo",
        "KeyValue",
        "KeysValue",
        "NothingValue",
        "Operation",
        "PointerInfo",
        "PointersValue",
        "Refusal",
        "TokenInfo",
        "TokenValue",
        "UserInfo",
        "UserValue",
    ],
    "pymdc.api.users": ["Users"],
    "pymdc.transfers.binarypack": ["pack", "unpack"],
    "pymdc.client": ["Client", "configure", "default_client"],
    "pymdc.config": ["ENDPOINT_VARIABLE", "RETIRED_ENDPOINT", "Timeout"],
    "pymdc.core.base_client": ["BaseClient", "check_client", "client_for", "configure", "default_client"],
    "pymdc.core.client_core": ["ClientCore"],
    "pymdc.core.delivery": ["Callback", "Scheduler", "check_callable", "delivery", "reporting"],
    "pymdc.core.dispatch": ["Callback", "Dispatcher", "Handle", "Scheduler"],
    "pymdc.transfers.downloads": ["Download"],
    "pymdc.errors": ["ChannelError", "IntegrityError", "MetadiskError", "Refusal", "unwrap"],
    "pymdc.core": [],
    "pymdc.transfers": [],
    "pymdc.core.addresses": ["connect"],
    "pymdc.core.backend": ["Backend", "DisconnectedError", "close_opened", "is_sending", "sending_for"],
    "pymdc.core.calls": [
        "METHODS_WITH_BODY",
        "NONCE",
        "Account",
        "Call",
        "describe",
        "path",
        "quote_path",
        "quote_query",
        "without_secrets",
    ],
    "pymdc.core.curve": ["Signer", "Verifier"],
    "pymdc.core.key_pair": ["ECDSA"],
    "pymdc.core.endpoints": ["choose_endpoint", "parse_endpoint", "proxy_for", "warn_if_retired"],
    "pymdc.core.nonces": ["next_nonce"],
    "pymdc.core.replies": ["Content", "ReplyStart", "decoding_is_bounded"],
    "pymdc.core.exchange": ["Exchange", "back_off"],
    "pymdc.core.explanations": ["explain"],
    "pymdc.core.handle": ["Handle", "value_of"],
    "pymdc.core.hashes": ["content_hash", "ripemd160"],
    "pymdc.core.job": ["Job", "Progress", "ProgressCallback"],
    "pymdc.core.slices": ["Slices"],
    "pymdc.core.pool": ["Pool", "Task", "make_room", "user_code"],
    "pymdc.core.under_way": ["Call", "UnderWay"],
    "pymdc.keypair": ["ECDSA"],
    "pymdc.transfers.multipart_encoder": ["Form", "Source", "check", "form", "name_of", "opened"],
    "pymdc.transfers.access": ["Access", "ask"],
    "pymdc.transfers.connections": ["Connections"],
    "pymdc.transfers.direct": ["DirectDownloads"],
    "pymdc.transfers.sources": ["ShardSources"],
    "pymdc.transfers.hashing": ["Digest", "Turns", "add_to", "turn"],
    "pymdc.transfers.forms": ["Channel", "ClosedError", "Form", "NoAnswerError", "earlier_form", "later_form"],
    "pymdc.transfers.folders": ["claim", "discard_kept", "kept_folder", "remove", "sync_folder"],
    "pymdc.transfers.mixtures": ["MOST_GUESSES", "MOST_UPLOADS", "by_size", "strides"],
    "pymdc.transfers.names": ["marked", "numbered", "safe_name"],
    "pymdc.transfers.places": ["EXISTS", "Place", "check_exists", "folder_of"],
    "pymdc.transfers.pointers": ["Pointers"],
    "pymdc.transfers.prefetch": ["Prefetch", "Sources"],
    "pymdc.transfers.shards": ["Body", "BufferPool", "Pointer", "ShardBuffer", "text_in"],
    "pymdc.transfers.uploads": ["Upload"],
    "pymdc.rest": ["REST"],
    "pymdc.schedulers": ["asyncio", "glib", "qt", "tk", "wx"],
    "pymdc.transfers.channels": ["DataChannels"],
    "pymdc.core.network": ["Link", "Stream", "deadline", "retry_until", "start_tls", "wait"],
    "pymdc.transfers.targets": ["FileTarget", "MemoryTarget", "Target"],
    "pymdc.core.transport": ["Transport", "tls_context"],
    "pymdc.version": ["__version__"],
    "pymdc.core.wire": [
        "Reply",
        "Request",
        "came_too_late",
        "decode",
        "prepare",
        "prepare_upload",
        "redirected",
    ],
}

# Programs, which have their own tests: they are not imported, they are run.
PROGRAMS = {"bridge", "cli"}

# The lines that the documentation of 2016 shows, and those that programs of that time are known to hold.
HISTORIC = [
    "import pymdc; pymdc.api.Users, pymdc.keypair.ECDSA, pymdc.rest.REST",
    "import pymdc; pymdc.api.Keys, pymdc.api.Buckets, pymdc.api.Bucket, pymdc.api.Files",
    "import pymdc; pymdc.api.users.Users, pymdc.api.keys.Keys, pymdc.api.files.Files",
    "import pymdc; pymdc.api.buckets.Buckets, pymdc.api.buckets.Bucket",
    "import pymdc; pymdc.api.ECDSA, pymdc.api.REST",
    "import pymdc.api; pymdc.api.Users",
    "import pymdc.keypair as k; k.ECDSA",
    "from pymdc import api, keypair, rest",
    "from pymdc.api import Users, Keys, Buckets, Bucket, Files",
    "from pymdc.api.users import Users",
    "from pymdc.api.keys import Keys",
    "from pymdc.api.buckets import Buckets, Bucket",
    "from pymdc.api.files import Files",
    "from pymdc.keypair import ECDSA",
    "from pymdc.rest import REST",
]


def test_every_module_of_the_library_is_in_the_list() -> None:
    found = {"pymdc"} | {module.name for module in pkgutil.walk_packages(pymdc.__path__, "pymdc.")}
    assert {name for name in found if not PROGRAMS & {*name.split(".")[1:2]}} == EXPORTS.keys()


@pytest.mark.parametrize("name", EXPORTS)
def test_a_module_exports_what_the_list_says(name: str) -> None:
    assert importlib.import_module(name).__all__ == EXPORTS[name]


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for exported in module.__all__:
        value = getattr(module, exported)
        if callable(value) and getattr(value, "__module__", "").startswith("pymdc"):
            assert value.__doc__, exported


def test_dir_of_the_package_shows_what_a_user_needs_and_no_more() -> None:
    assert dir(pymdc) == [name for name in EXPORTS["pymdc"] if name != "__version__"]


def test_every_historic_import_works_in_a_fresh_interpreter() -> None:
    """Each in a namespace of its own, so that none of them lives on what another one imported."""
    for line in HISTORIC:
        exec(line, {})
    script = "import pymdc; pymdc.api.users.Users; pymdc.keypair.ECDSA; pymdc.rest.REST"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_classes_are_the_same_wherever_they_are_imported_from() -> None:
    assert pymdc.api.Users is pymdc.api.users.Users
    assert pymdc.api.Keys is pymdc.api.keys.Keys
    assert pymdc.api.Buckets is pymdc.api.buckets.Buckets
    assert pymdc.api.Bucket is pymdc.api.buckets.Bucket
    assert pymdc.api.Files is pymdc.api.files.Files
    assert pymdc.api.ECDSA is pymdc.keypair.ECDSA
    assert pymdc.api.REST is pymdc.rest.REST


def test_the_version_is_said_once() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(a|b|rc|dev)\d+)?", pymdc.__version__)
    text = (Path(__file__).parents[1] / "setup.cfg").read_text(encoding="utf-8")
    assert "version = attr: pymdc.version.__version__" in text
    assert pymdc.__version__ not in text


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(pymdc.__file__).parent / "py.typed").is_file()
