"""Mistakes that mypy --strict and pyright must find: one in each line that says so."""

from __future__ import annotations

from typing import Any

import pymdc


def show(value: Any) -> None:
    print(value)


user = pymdc.api.Users("a@b.c", "secret")
bucket = pymdc.api.Bucket("id", pymdc.keypair.ECDSA())
handle = user.register(callback=show)
r = user.register()

handle.jion()  # refused: a misspelt method
r["eror"]  # refused: a misspelt key, and it may be an exception
pymdc.unwrap(r)["eror"]  # refused: a misspelt key of a result
pymdc.configure(endpont="http://127.0.0.1:6382")  # refused: a misspelt setting
pymdc.configure(timeout="5")  # refused: text in place of a number
bucket.files.token("push")  # refused: neither "PUSH" nor "PULL"
bucket.files.download("hash", path="folder", exists="overwrite")  # refused: none of the three
user.register().join()  # refused: without a callback there is no handle
user.register(callback=show)["id"]  # refused: with one there is no result
user.register(callback=5)  # refused: no callable
pymdc.Client("http://127.0.0.1:6382").api.REST("GET", "/", callback=show)["id"]  # refused: a handle is no result
bucket.files.upload("a.txt", progress=lambda: None)  # refused: it is called with two numbers
pymdc.unwrap(bucket.list())["storage"] + "GB"  # refused: a number
pymdc.Client("http://127.0.0.1:6382", worker=4)  # refused: a misspelt setting
pymdc.api.Keys(user, client="http://127.0.0.1:6382")  # refused: a URL is no client
