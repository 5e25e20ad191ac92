"""The API of a bridge: users, keys, buckets and files."""

from ..keypair import ECDSA
from ..rest import REST
from . import buckets, files, keys, users
from .buckets import Bucket, Buckets
from .files import Files
from .keys import Keys
from .users import Users

__all__ = [
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
]
