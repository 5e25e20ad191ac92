"""A program of 2016, in the callback style of its documentation; only its print statements are Python 3's.

Each callback starts the next call, and the main thread ends at once.
"""

import os
import sys
import tempfile

import pymdc

user = pymdc.api.Users("new_user@coinbend.com", "your password")
key_pair = pymdc.keypair.ECDSA()
keys = pymdc.api.keys.Keys(user)
buckets = pymdc.api.buckets.Buckets(key_pair)
state = {}


def registered(result):
    print(result["activated"])
    sys.stdout.flush()
    user.register(callback=refused)


def refused(result):
    print(result)
    user.activate(sys.stdin.readline().strip(), callback=activated)


def activated(result):
    print(result["activated"])
    keys.create(key_pair, callback=key_created)


def key_created(result):
    print(result["key"] == key_pair.get_public_key())
    buckets.create("My cat pictures", 10, 10, [key_pair], callback=bucket_created)


def bucket_created(result):
    print(result["name"])
    state["bucket"] = pymdc.api.buckets.Bucket(result["id"], key_pair)
    state["bucket"].files.token("PUSH", callback=token_created)


def token_created(result):
    print(result["operation"])
    handle, state["path"] = tempfile.mkstemp(suffix=".jpg")
    os.write(handle, b"Hello MetaDisk API!")
    os.close(handle)
    state["bucket"].files.upload(state["path"], result["token"], callback=uploaded)


def uploaded(result):
    os.remove(state["path"])  # noqa: PTH107
    print(result["hash"])
    print(result["mimetype"])
    state["bucket"].delete(callback=deleted)


def deleted(result):
    print(repr(result))


user.register(callback=registered)
