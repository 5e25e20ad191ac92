"""A program of 2016, in the blocking style of its documentation; only its print statements are Python 3's."""

import os
import sys
import tempfile
import time

import pymdc
from pymdc.api.buckets import Bucket, Buckets
from pymdc.api.keys import Keys
from pymdc.api.users import Users
from pymdc.keypair import ECDSA
from pymdc.rest import REST

user = Users("new_user@coinbend.com", "your password")
ret = user.register()
print(ret["activated"])
ret = user.register()["error"]
print("already" in ret)
ret = user.activate("test")["error"]
print("Invalid" in ret)
sys.stdout.flush()
ret = user.activate(sys.stdin.readline().strip())
print(ret["activated"])

key_pair = ECDSA()
keys = Keys(user)
print(key_pair.get_public_key() in keys.create(key_pair)["key"])
print(key_pair.get_public_key() in [result["key"] for result in keys.list()])
keys.delete(key_pair)
print(keys.list())
keys.create(key_pair)

key_pair = pymdc.keypair.ECDSA(key_pair.get_public_key(), key_pair.get_private_key())
buckets = Buckets(key_pair)
bucket_name = str(time.time())
bucket_id = buckets.create(bucket_name, 10, 10, [key_pair])["id"]
print(bucket_id in [result["id"] for result in buckets.list()])

bucket = Bucket(bucket_id, key_pair)
bucket_name = str(time.time())
print(bucket_name in bucket.patch({"name": bucket_name})["name"])
bucket.delete()
print("not found" in bucket.list()["error"])
bucket_id = buckets.create(bucket_name, 10, 10, [key_pair])["id"]
bucket = pymdc.api.buckets.Bucket(bucket_id=bucket_id, key_pair=key_pair)

token = bucket.files.token("PUSH")["token"]
content = os.urandom(1024 * 1024 * 1)
handle, path = tempfile.mkstemp()
with open(path, "wb") as fp:  # noqa: PTH123
    fp.write(content)
file_hash = bucket.files.upload(path, token)["hash"]
print(file_hash in [result["hash"] for result in bucket.files.list()])
os.close(handle)
os.remove(path)  # noqa: PTH107

print(REST("GET", "/buckets", auth=key_pair)[0]["id"] == bucket_id)
print(repr(bucket.delete()))
print(repr(keys.delete(key_pair)))
