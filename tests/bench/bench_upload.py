"""How fast is an upload? Against `curl -F` to the same bridge, and a plain copy with SHA-256 as the limit.

python -m tests.bench.bench_upload --mib 1024 --runs 5
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pymdc import unwrap

from .common import MIB, bench, measure, peak, run


def copy(source: Path, target: Path) -> None:
    """Copy a file, and hash it in the same pass: what nobody does faster who does it at all."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(MIB):
            digest.update(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())


def main() -> None:
    with bench("Upload against curl.") as (bucket, source, folder, runs):
        client_url = bucket.files._client_now.endpoint
        size = source.stat().st_size

        def curl() -> None:
            token = unwrap(bucket.files.token("PUSH"))["token"]
            url = f"{client_url}/buckets/{bucket.files.bucket_id}/files"
            headers = ["-H", f"x-token: {token}", "-H", f"x-filesize: {size}", "-H", "Expect:"]
            run("curl", "-sSf", "-o", os.devnull, "-X", "PUT", *headers, "-F", f"file=@{source}", url)

        unwrap(bucket.files.upload(os.urandom(20 * MIB)))
        before = peak()
        ways = {
            "curl -F": curl,
            "pymdc upload": lambda: unwrap(bucket.files.upload(source)),
            "copy with sha256": lambda: copy(source, folder / "copy"),
        }
        measure(ways, size, runs)
        print(f"extra memory of the uploads: {(peak() - before) / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
