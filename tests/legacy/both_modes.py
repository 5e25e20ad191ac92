"""A program of 2016 for Python 2. Only its `except urllib2.HTTPError` and the like are `isinstance` now."""

import os
import socket
import sys
import tempfile
import urllib.request, urllib.error, urllib.parse

import pymdc

values = {}


def told(name, value):
    if isinstance(value, urllib.error.HTTPError):
        print(name, "HTTP error", value.code)
    elif isinstance(value, urllib.error.URLError):
        print(name, "URL error", isinstance(value.reason, socket.error))
    elif isinstance(value, socket.error):
        print(name, "socket error")
    elif isinstance(value, dict) and "error" in value:
        print(name, "refused:", value["error"])
    else:
        print(name, "fine")
    sys.stdout.flush()


def call(name, function, *args):
    if sys.argv[1] == "blocking":
        values[name] = function(*args)
    else:
        def callback(value):
            values[name] = value
        thread = function(*args, callback=callback)
        thread.setName("call " + name)
        assert thread.getName() == thread.name == "call " + name
        assert not thread.isDaemon() and not thread.daemon
        assert isinstance(thread.ident, int)
        while thread.isAlive():
            thread.join(0.1)
        assert not thread.is_alive()
    told(name, values[name])
    return values[name]


user = pymdc.api.Users("new_user@coinbend.com", "your password")
call("register", user.register)
call("register again", user.register)
call("activate", user.activate, input())
key_pair = pymdc.keypair.ECDSA()
keys = pymdc.api.keys.Keys(user)
call("add key", keys.create, key_pair)
print([pair == key_pair for pair in keys.key_pairs])
buckets = pymdc.api.buckets.Buckets(key_pair)
bucket_id = call("create bucket", buckets.create, "pictures", 10, 10, [key_pair])["id"]
bucket = pymdc.api.buckets.Bucket(bucket_id, key_pair)
for operation in ("PUSH", "PULL"):
    call(operation, bucket.files.token, operation)
handle, path = tempfile.mkstemp()
os.write(handle, b"Hello MetaDisk API!")
os.close(handle)
stored = call("upload", bucket.files.upload, path, values["PUSH"]["token"])
call("missing", bucket.files.upload, path + ".missing", values["PUSH"]["token"])
print(sorted(stored.items())[0][0], [each["size"] for each in call("list", bucket.files.list)])
os.remove(path)
call("delete", bucket.delete)
call("forget key", keys.delete, key_pair)
print(len(keys.key_pairs))
