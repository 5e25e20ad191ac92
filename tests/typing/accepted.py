"""A program that mypy --strict and pyright accept: nothing in it is Any but what a callback takes."""

from __future__ import annotations

from typing import Any

import pymdc
from pymdc.api.types import BucketInfo, FileInfo, Refusal, UserInfo


def show(value: Any) -> None:
    print(value)


def told(done: int, total: int | None) -> None:
    print(done, total)


def narrowed(value: UserInfo | Refusal | Exception) -> str:
    if isinstance(value, Exception):
        return pymdc.explain(value)
    if "error" in value:
        return value["error"]
    return value["email"]


pymdc.configure(endpoint="http://127.0.0.1:6382", timeout=pymdc.Timeout(read=5), workers=4)
with pymdc.Client("http://127.0.0.1:6382", timeout=5) as client:
    user = client.api.Users("a@b.c", "secret")
    print(narrowed(user.register()))
    handle: pymdc.Handle = user.register(callback=show)
    handle.join(5)
    sent: pymdc.Handle = client.api.REST("GET", "/buckets", callback=show)
    also_sent: pymdc.Handle = client.api.REST("GET", "/buckets", {}, user, {}, show)
    waiting: bool = handle.is_alive()
    stopped: bool = handle.cancel()
    activated: bool = pymdc.unwrap(user.activate("token"))["activated"]

    pair = pymdc.keypair.ECDSA()
    keys = pymdc.api.Keys(user, client=client)
    added: pymdc.Handle = keys.create(pair, show)
    made: pymdc.Handle = keys.create(callback=show)
    public: str = pymdc.unwrap(keys.create(pair))["key"]
    names: list[str] = [key["id"] for key in pymdc.unwrap(keys.list())]
    gone: str = pymdc.unwrap(keys.delete(pair))

    buckets = pymdc.api.Buckets(pair)
    photos: BucketInfo = pymdc.unwrap(buckets.create("photos", 10, "10", [pair]))
    later: pymdc.Handle = buckets.create("photos", 10, 10, [pair], show)
    storage: int = photos["storage"] + pymdc.unwrap(buckets.list())[0]["transfer"]

    bucket = pymdc.api.Bucket(photos, pair)
    patched: BucketInfo = pymdc.unwrap(bucket.patch({"name": "cats"}))
    token = pymdc.unwrap(bucket.files.token("PUSH"))
    stored: FileInfo = pymdc.unwrap(bucket.files.upload("a.txt", token, progress=told))
    going: pymdc.Handle = bucket.files.upload(b"content", callback=show, name="a.txt")
    data: bytes = pymdc.unwrap(bucket.files.download(stored))
    written: FileInfo = pymdc.unwrap(bucket.files.download(stored["hash"], path="photos", exists="rename"))
    coming: pymdc.Handle = bucket.files.download(stored, None, show, path="photos")
    shards: list[str] = [pointer["channel"] for pointer in pymdc.unwrap(bucket.files.pointers(stored, token["token"]))]
    sizes: int = sum(file["size"] for file in pymdc.unwrap(bucket.files.list()))
    asked: pymdc.Handle = pymdc.rest.REST("GET", "/buckets", auth=pair, callback=show)
