from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from pymdc.bridge.errors import Refused
from pymdc.bridge.settings import CHANNEL_TOKEN_SECONDS, TOKEN_SECONDS, UPLOAD_LEASE_SECONDS
from pymdc.bridge.store import NO_NONCE, Entry, Replayed, Shard, Store, Stored, leftovers
from pymdc.bridge.store.tables import channel_tokens, garbage, uploads

NOW = 1_795_387_055_461
LATER = NOW + (UPLOAD_LEASE_SECONDS + 1) * 1000
_numbers = itertools.count()


def new_bucket(store: Store, storage: float = 1, transfer: float = 1) -> str:
    fields = {"name": "b", "storage": storage, "transfer": transfer}
    return store.buckets.create("a@example.com", fields, [], NOW).id


def new_token(store: Store, bucket: str, operation: str) -> str:
    token = f"token {next(_numbers)}"
    store.tokens.create(token, bucket, operation, None, NOW)
    return token


def put(store: Store, bucket: str, content: str, shards: str = "s", name: str = "n", size: int = 8) -> str:
    """Upload a content that is made of shards, one for each letter, and return the id of the upload."""
    upload = store.files.begin(new_token(store, bucket, "PUSH"), bucket, size, NOW)
    stored = Stored(content, size, tuple(Shard(s, 8, f"{upload}/{n}") for n, s in enumerate(shards)))
    store.files.commit(upload, Entry(bucket, "text/plain", name, size, content), stored)
    return upload


def blob_of(store: Store, bucket: str, content: str) -> list[str]:
    pointers = store.pointers.create(new_token(store, bucket, "PULL"), bucket, content, NOW)
    return [store.pointers.open_channel(token, shard.hash, NOW).blob for shard, token in pointers]


def empty_buckets(store: Store) -> None:
    """Do what a clean-up does with deleted buckets."""
    while store.leftovers.empty_bucket():
        pass


def test_a_file_is_listed_when_it_is_committed(store: Store) -> None:
    bucket = new_bucket(store)
    upload = put(store, bucket, "c", "st", "name", 16)
    assert store.files.page(bucket)[0] == [Entry(bucket, "text/plain", "name", 16, "c")]
    assert blob_of(store, bucket, "c") == [f"{upload}/0", f"{upload}/1"]
    assert store.leftovers.unused_blobs() == []


def test_the_same_content_in_a_bucket_is_renamed(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c", name="old")
    put(store, bucket, "d", "t", name="other")
    upload = put(store, bucket, "c", name="new \0 name")
    assert [entry.filename for entry in store.files.page(bucket)[0]] == ["new \0 name", "other"]
    assert store.leftovers.unused_blobs() == [f"{upload}/0"]
    assert store.buckets.get(bucket).stored == 16


def test_content_and_shards_are_kept_once_and_as_long_as_something_points_to_them(store: Store) -> None:
    one, other = new_bucket(store), new_bucket(store)
    first = put(store, one, "c", "st", size=16)
    second = put(store, other, "c", "st", size=16)
    third = put(store, other, "d", "tu", size=16)
    assert set(store.leftovers.unused_blobs()) == {f"{second}/0", f"{second}/1", f"{third}/0"}
    assert blob_of(store, other, "d") == [f"{first}/1", f"{third}/1"]
    store.files.delete(one, "c")
    assert len(store.leftovers.unused_blobs()) == 3
    store.buckets.delete(other, "a@example.com")
    empty_buckets(store)
    assert set(store.leftovers.unused_blobs()) == {
        f"{first}/0",
        f"{first}/1",
        *(f"{u}/{n}" for u in (second, third) for n in (0, 1)),
    }


def test_a_file_may_repeat_a_shard_and_may_be_empty(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c", "sss", size=24)
    put(store, bucket, "e", "", size=0)
    assert len(blob_of(store, bucket, "c")) == 3
    assert blob_of(store, bucket, "e") == []
    store.files.delete(bucket, "c")
    store.files.delete(bucket, "e")
    assert store.buckets.get(bucket).stored == 0


def test_a_file_is_deleted_once(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    store.files.delete(bucket, "c")
    with pytest.raises(Refused, match=r"^File not found$"):
        store.files.delete(bucket, "c")


def test_an_upload_into_a_deleted_bucket_is_refused(store: Store) -> None:
    bucket = new_bucket(store)
    token = new_token(store, bucket, "PUSH")
    upload = store.files.begin(token, bucket, 8, NOW)
    spare = new_token(store, bucket, "PUSH")
    store.buckets.delete(bucket, "a@example.com")
    entry, stored = Entry(bucket, "", "", 8, "c"), Stored("c", 8, (Shard("s", 8, "b"),))
    with pytest.raises(Refused, match=r"^Bucket not found$"):
        store.files.commit(upload, entry, stored)
    with pytest.raises(Refused, match=r"^Bucket not found$"):
        store.files.begin(spare, bucket, 8, NOW)


def test_an_upload_that_was_given_up_is_refused(store: Store) -> None:
    bucket = new_bucket(store)
    upload = store.files.begin(new_token(store, bucket, "PUSH"), bucket, 8, NOW)
    store.leftovers.bury(NOW + UPLOAD_LEASE_SECONDS * 1000)
    assert store.leftovers.dead_uploads(LATER) == []
    store.files.touch(upload, NOW + 1)
    store.leftovers.bury(NOW + UPLOAD_LEASE_SECONDS * 1000 + 1)
    assert store.leftovers.dead_uploads(LATER) == []
    store.leftovers.bury(NOW + UPLOAD_LEASE_SECONDS * 1000 + 2)
    assert store.leftovers.dead_uploads(LATER) == [upload]
    entry, stored = Entry(bucket, "", "", 8, "c"), Stored("c", 8, (Shard("s", 8, "b"),))
    with pytest.raises(Refused) as caught:
        store.files.commit(upload, entry, stored)
    assert caught.value.status == 503
    assert store.files.page(bucket)[0] == []
    store.leftovers.removed_uploads([upload])
    assert store.leftovers.dead_uploads(LATER) == []


def test_a_full_bucket_refuses_an_upload_before_its_bytes(store: Store) -> None:
    bucket = new_bucket(store, storage=20e-9)
    put(store, bucket, "c")
    put(store, bucket, "d", "t", size=12)
    token = new_token(store, bucket, "PUSH")
    with pytest.raises(Refused, match="storage limit") as caught:
        store.files.begin(token, bucket, 1, NOW)
    assert caught.value.status == 403
    put(store, bucket, "c", name="the same again takes no more")
    store.buckets.change(bucket, "a@example.com", {"storage": 1.0}, None)
    store.files.begin(token, bucket, 1, NOW)


def test_two_uploads_at_once_cannot_exceed_the_storage(store: Store) -> None:
    bucket = new_bucket(store, storage=10e-9)
    first, second = (store.files.begin(new_token(store, bucket, "PUSH"), bucket, 8, NOW) for _ in range(2))
    store.files.commit(first, Entry(bucket, "", "", 8, "c"), Stored("c", 8, (Shard("s", 8, "b"),)))
    with pytest.raises(Refused, match="storage limit"):
        store.files.commit(second, Entry(bucket, "", "", 8, "d"), Stored("d", 8, (Shard("t", 8, "b2"),)))


def test_transfer_is_bounded(store: Store) -> None:
    bucket = new_bucket(store, transfer=20e-9)
    put(store, bucket, "c")
    pull = [new_token(store, bucket, "PULL") for _ in range(4)]
    pointers = [store.pointers.create(token, bucket, "c", NOW)[0] for token in pull[:3]]
    for shard, token in pointers[:2]:
        store.pointers.open_channel(token, shard.hash, NOW)
    assert store.buckets.get(bucket).sent == 16
    for refused in (
        lambda: store.pointers.open_channel(pointers[2][1], "s", NOW),
        lambda: store.pointers.create(pull[3], bucket, "c", NOW),
    ):
        with pytest.raises(Refused, match="transfer limit") as caught:
            refused()
        assert caught.value.status == 403
    store.buckets.change(bucket, "a@example.com", {"transfer": 1.0}, None)
    assert store.pointers.open_channel(pointers[2][1], "s", NOW).size == 8


def test_a_token_serves_once_and_for_five_minutes(store: Store) -> None:
    bucket = new_bucket(store)
    late, token = new_token(store, bucket, "PUSH"), new_token(store, bucket, "PUSH")
    with pytest.raises(Refused, match=r"^Invalid or expired token$"):
        store.files.begin(late, bucket, 8, NOW + TOKEN_SECONDS * 1000)

    def spent(_: int) -> bool:
        try:
            store.files.begin(token, bucket, 8, NOW)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(spent, range(40))) == 1


def test_a_signed_request_for_a_token_serves_once(store: Store) -> None:
    bucket = new_bucket(store)
    store.tokens.create("one", bucket, "PULL", (NO_NONCE, "signature"), NOW)
    with pytest.raises(Replayed):
        store.tokens.create("two", bucket, "PULL", (NO_NONCE, "signature"), NOW)
    with pytest.raises(Refused, match="expired"):
        store.tokens.check("two", bucket, "PULL", NOW)


def test_tokens_are_kept_hashed(store: Store, tmp_path: Path) -> None:
    bucket = new_bucket(store)
    store.tokens.create("a-secret-token", bucket, "PULL", None, NOW)
    put(store, bucket, "c")
    ((_, channel_token),) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a-secret-token" not in files
    assert channel_token.encode() not in files


def test_a_channel_token_serves_once_for_its_shard(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c", "st", size=16)
    (shard, token), (_, late) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)
    with pytest.raises(Refused, match=r"^Token not valid for hash$"):
        store.pointers.open_channel(token, "t", NOW)
    assert store.pointers.open_channel(token, shard.hash, NOW).hash == shard.hash
    for again, wanted, when in ((token, shard.hash, NOW), (late, "t", NOW + CHANNEL_TOKEN_SECONDS * 1000)):
        with pytest.raises(Refused, match=r"^The supplied token is not accepted$"):
            store.pointers.open_channel(again, wanted, when)


def test_if_many_open_a_channel_with_one_token_one_gets_the_shard(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    ((shard, token),) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)

    def opened(_: int) -> bool:
        try:
            return store.pointers.open_channel(token, shard.hash, NOW).hash == shard.hash
        except Refused:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(opened, range(40))) == 1


def test_the_shard_of_a_deleted_file_is_not_found(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    ((shard, token),) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)
    store.files.delete(bucket, "c")
    with pytest.raises(Refused, match=r"^The requested shard was not found$"):
        store.pointers.open_channel(token, shard.hash, NOW)


def test_expired_tokens_are_forgotten(store: Store) -> None:
    bucket = new_bucket(store)
    token = new_token(store, bucket, "PULL")
    store.leftovers.expire(NOW)
    store.tokens.check(token, bucket, "PULL", NOW)
    store.leftovers.expire(NOW + TOKEN_SECONDS * 1000)
    with pytest.raises(Refused):
        store.tokens.check(token, bucket, "PULL", NOW)


def test_uploads_and_deletes_of_the_same_content_at_once_leave_nothing_wrong(store: Store) -> None:
    buckets = [new_bucket(store) for _ in range(3)]
    uploads: list[str] = []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(12):
            bucket, content = choose.choice(buckets), choose.choice("cde")
            try:
                if choose.random() < 0.6:
                    uploads.append(put(store, bucket, content, {"c": "st", "d": "tu", "e": "us"}[content], size=16))
                else:
                    store.files.delete(bucket, content)
            except Refused as refused:
                if refused.message != "File not found":
                    raise

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    held = {(bucket, entry.hash) for bucket in buckets for entry in store.files.page(bucket)[0]}
    used = {blob for bucket, content in held for blob in blob_of(store, bucket, content)}
    assert used | set(store.leftovers.unused_blobs()) == {f"{upload}/{n}" for upload in uploads for n in (0, 1)}
    assert not used & set(store.leftovers.unused_blobs())
    assert all(store.buckets.get(b).stored == 16 * sum(1 for c, _ in held if c == b) for b in buckets)


def test_an_upload_that_is_given_up_is_dead_and_one_that_is_listed_is_not(store: Store) -> None:
    bucket = new_bucket(store)
    upload = store.files.begin(new_token(store, bucket, "PUSH"), bucket, 8, NOW)
    assert store.files.abandon(upload)
    assert store.leftovers.dead_uploads(NOW + UPLOAD_LEASE_SECONDS * 1000) == [], "a store may still be writing"
    assert store.leftovers.dead_uploads(LATER) == [upload]
    listed = put(store, bucket, "c")
    assert not store.files.abandon(listed)
    assert store.leftovers.dead_uploads(LATER) == [upload]


def test_blobs_that_a_shard_lies_in_are_never_given_for_removal(store: Store) -> None:
    bucket = new_bucket(store)
    upload = put(store, bucket, "c")
    with store._database.write() as connection:
        connection.execute(uploads.insert().values(id=upload, touched=NOW, dead=True))
        connection.execute(garbage.insert().values(blob=f"{upload}/0"))
    assert store.leftovers.dead_uploads(LATER) == []
    assert store.leftovers.unused_blobs() == []


def test_expired_channel_tokens_are_forgotten_and_others_are_not(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    pull = [new_token(store, bucket, "PULL") for _ in range(2)]
    for token, when in zip(pull, (NOW, NOW + 1000), strict=True):
        store.pointers.create(token, bucket, "c", when)
    counted = sa.select(sa.func.count()).select_from(channel_tokens)
    for now, left in ((NOW + CHANNEL_TOKEN_SECONDS * 1000 - 1, 2), (NOW + CHANNEL_TOKEN_SECONDS * 1000, 1)):
        store.leftovers.expire(now)
        with store._database.read() as connection:
            assert connection.execute(counted).scalar_one() == left


def test_many_expired_tokens_are_forgotten_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_ROWS", 2)
    bucket = new_bucket(store)
    for _ in range(5):
        new_token(store, bucket, "PULL")
    later = NOW + TOKEN_SECONDS * 1000
    assert [store.leftovers.expire(later) for _ in range(3)] == [True, True, False]


def test_a_transfer_limit_may_be_met_exactly(store: Store) -> None:
    bucket = new_bucket(store, transfer=16e-9)
    put(store, bucket, "c")
    for _ in range(2):
        ((shard, token),) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)
        store.pointers.open_channel(token, shard.hash, NOW)
    with pytest.raises(Refused, match="transfer limit"):
        store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)


def test_an_upload_into_a_deleted_bucket_gets_404(store: Store) -> None:
    bucket = new_bucket(store)
    token = new_token(store, bucket, "PUSH")
    store.buckets.delete(bucket, "a@example.com")
    with pytest.raises(Refused) as caught:
        store.files.begin(token, bucket, 8, NOW)
    assert (caught.value.status, caught.value.message) == (404, "Bucket not found")


def test_the_shard_of_a_deleted_bucket_is_not_found(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    ((shard, token),) = store.pointers.create(new_token(store, bucket, "PULL"), bucket, "c", NOW)
    store.buckets.delete(bucket, "a@example.com")
    with pytest.raises(Refused, match=r"^The requested shard was not found$"):
        store.pointers.open_channel(token, shard.hash, NOW)


def test_files_of_one_bucket_are_deleted_one_after_the_other(store: Store) -> None:
    bucket = new_bucket(store)
    put(store, bucket, "c")
    with pytest.raises(Refused, match=r"^Bucket not found$"):
        store.files.delete("0" * 24, "c")
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            put(store, bucket, "d", "t", size=8)
            done = list(pool.map(lambda _: deleted(store, bucket, "d"), range(8)))
            assert done.count(True) == 1
            assert store.buckets.get(bucket).stored == 8


def deleted(store: Store, bucket: str, content: str) -> bool:
    try:
        store.files.delete(bucket, content)
    except Refused:
        return False
    return True
