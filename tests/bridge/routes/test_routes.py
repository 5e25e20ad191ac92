"""The routes, in cases that the recorded exchanges do not show (see `test_conformance.py`)."""

from __future__ import annotations

import httpx
import pytest

from pymdc.bridge import logins
from pymdc.keypair import ECDSA

from ..harness import PASSWORD, Person, Running, file_hash, multipart, running


def test_a_key_of_the_users_is_found_in_any_form(bridge: Running) -> None:
    alice, key = bridge.person(), ECDSA()
    raw = key.public_key.hex()
    assert alice.send("POST", "/keys", {"key": raw}).json() == {"user": alice.email, "key": raw, "id": raw}
    assert alice.send("GET", "/keys", key=key).status_code == 200
    assert alice.send("POST", "/keys", {"key": "04" + raw}).status_code == 400
    deleted = alice.send("DELETE", f"/keys/{key.get_public_key()}")
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert alice.send("GET", "/keys", key=key).json() == {"error": "Public key not registered"}


def test_a_key_given_at_registration_works_after_activation(bridge: Running) -> None:
    key = ECDSA()
    sent = {"email": "with-key@example.com", "password": PASSWORD, "pubkey": key.get_public_key()}
    assert bridge.http.post("/users", json=sent).json()["pubkey"] == key.get_public_key()
    user = Person(bridge, "with-key@example.com", key)
    assert user.send("GET", "/keys").json() == {"error": "User account has not been activated"}
    bridge.http.get(bridge.mails[-1].link)
    assert user.send("GET", "/keys").json()[0]["key"] == key.get_public_key()


def test_an_activation_redirects_only_to_allowed_origins(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("redirect"), redirect_origins=("https://App.example/",)) as bridge:
        for number, (redirect, allowed) in enumerate(
            [
                ("https://app.example/login?a=1#x y", True),
                ("https://app.example.evil/login", False),
                ("https://app.example@evil/", False),
                ("http://app.example/", False),
                ("//evil/", False),
                ("https://[evil", False),
                (5, False),
            ]
        ):
            sent = {"email": f"r{number}@example.com", "password": PASSWORD, "redirect": redirect}
            assert bridge.http.post("/users", json=sent).status_code == 200
            link = httpx.URL(bridge.mails[-1].link)
            assert ("redirect" in link.params) == allowed
            reply = bridge.http.get(link.copy_with(params={"redirect": str(redirect)}))
            assert reply.status_code == (302 if allowed else 200)
            assert reply.headers.get("location") == ("https://app.example/login?a=1#x%20y" if allowed else None)


def test_a_user_whose_mail_cannot_be_sent_can_try_again(own_bridge: Running) -> None:
    sent = {"email": "a@example.com", "password": PASSWORD}
    outbox = own_bridge.data / "outbox"
    outbox.write_text("in the way")
    assert own_bridge.http.post("/users", json=sent).status_code == 503
    outbox.unlink()
    assert own_bridge.http.post("/users", json=sent).status_code == 200
    assert len(list(outbox.glob("*.eml"))) == 1


def test_a_bucket_of_somebody_else_is_unknown_on_every_route(bridge: Running) -> None:
    alice, eve = bridge.person(), bridge.person()
    bucket = alice.bucket()
    content = alice.upload(bucket, b"secret").json()["hash"]
    path = f"/buckets/{bucket}"
    for method, route, sent in [
        ("GET", path, {}),
        ("PATCH", path, {"name": "mine"}),
        ("DELETE", path, {}),
        ("POST", f"{path}/tokens", {"operation": "PULL"}),
        ("GET", f"{path}/files", {}),
        ("DELETE", f"{path}/files/{content}", {}),
    ]:
        reply = eve.send(method, route, sent)
        assert (reply.status_code, reply.json()) == (404, {"error": "Bucket not found"}), method
        by_password = bridge.http.request(method, route, json=sent or None, auth=eve.basic)
        assert by_password.status_code == 404
    stolen = eve.token(eve.bucket(), "PULL")
    assert eve.pointers(bucket, content, stolen).json() == {"error": "Not authorized to retrieve from bucket"}
    assert alice.download(bucket, content) == b"secret"


def test_every_route_wants_its_credentials(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "GUESS_SECONDS", 0.0)  # one wrong password for each route
    alice = bridge.person()
    bucket = alice.bucket()
    for method, path in [
        ("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/keys/x"), ("GET", "/buckets"), ("POST", "/buckets"),
        ("GET", f"/buckets/{bucket}"), ("PATCH", f"/buckets/{bucket}"), ("DELETE", f"/buckets/{bucket}"),
        ("POST", f"/buckets/{bucket}/tokens"), ("GET", f"/buckets/{bucket}/files"),
        ("DELETE", f"/buckets/{bucket}/files/x"),
    ]:  # fmt: skip
        none, wrong = (
            bridge.http.request(method, path),
            bridge.http.request(method, path, auth=(alice.email, "ab" * 32)),
        )
        assert (none.status_code, none.json()) == (401, {"error": "No authentication strategy detected"})
        assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid email or password"})
        stranger = alice.send(method, path, key=ECDSA())
        expected = (
            (404, {"error": "Bucket not found"})
            if path.endswith("tokens")
            else (401, {"error": "Public key not registered"})
        )
        assert (stranger.status_code, stranger.json()) == expected
        replayed = alice.signed(
            method, path, {"key": "x", "operation": "PULL", "storage": "abc", "name": {}, "pubkeys": 5}
        )
        if method in ("GET", "DELETE") and path in ("/keys/x", f"/buckets/{bucket}"):
            replayed = alice.signed("GET", "/keys")
        bridge.http.send(replayed)
        again = bridge.http.send(replayed)
        assert (again.status_code, again.json()) == (401, {"error": "Invalid nonce supplied"}), (method, path)


def test_a_key_of_the_buckets_list_may_ask_for_tokens_once_with_each_request(bridge: Running) -> None:
    alice, friend = bridge.person(), ECDSA()
    bucket = alice.bucket(pubkeys=[friend.get_public_key()])
    asked = alice.signed("POST", f"/buckets/{bucket}/tokens", {"operation": "PULL", "__nonce": None}, friend)
    assert bridge.http.send(asked).status_code == 200
    assert bridge.http.send(asked).json() == {"error": "Invalid nonce supplied"}
    assert alice.send("GET", f"/buckets/{bucket}", key=friend).json() == {"error": "Public key not registered"}


def test_a_file_of_any_name_comes_back(bridge: Running) -> None:
    alice = bridge.person()
    bucket = alice.bucket()
    data = bytes(range(256)) * 40_000
    reply = alice.upload(bucket, data, "☃ a%20b.bin").json()
    assert reply == {
        "bucket": bucket, "mimetype": "text/plain", "filename": "☃ a%20b.bin", "size": len(data),
        "hash": file_hash(data),
    }  # fmt: skip
    pointers = alice.pointers(bucket, reply["hash"]).json()
    assert [pointer["hash"] for pointer in pointers] == [file_hash(data[: 8 << 20]), file_hash(data[8 << 20 :])]
    assert alice.download(bucket, reply["hash"]) == data
    assert alice.send("DELETE", f"/buckets/{bucket}/files/{reply['hash']}").status_code == 204
    assert alice.send("GET", f"/buckets/{bucket}/files").json() == []


def test_a_shard_that_ends_with_the_file_is_the_last_one(bridge: Running) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(), b"\0" * (16 << 20)
    reply = alice.upload(bucket, data).json()
    assert [p["hash"] for p in alice.pointers(bucket, reply["hash"]).json()] == [file_hash(data[: 8 << 20])] * 2
    assert alice.download(bucket, reply["hash"]) == data


def test_the_keys_of_a_patch_replace_those_of_the_bucket(bridge: Running) -> None:
    alice = bridge.person()
    first, second = ECDSA().get_public_key(), ECDSA().get_public_key()
    bucket = alice.bucket(pubkeys=[first, second])
    for keys in ([second], [second, first], []):
        changed = alice.send("PATCH", f"/buckets/{bucket}", {"pubkeys": keys})
        assert (changed.status_code, changed.json()["pubkeys"]) == (200, keys)


def test_a_file_that_does_not_fit_is_refused_and_a_patch_makes_room(bridge: Running) -> None:
    alice = bridge.person()
    bucket, token = alice.bucket(storage=0), ""
    token = alice.token(bucket, "PUSH")
    refused = alice.put(bucket, multipart(b"data"), 4, token)
    assert (refused.status_code, refused.json()) == (403, {"error": "The storage limit of the bucket is exceeded"})
    alice.send("PATCH", f"/buckets/{bucket}", {"storage": "1"})
    stored = alice.put(bucket, multipart(b"data"), 4, token)
    assert stored.status_code == 200, "the token was not spent"
    alice.send("PATCH", f"/buckets/{bucket}", {"transfer": 0})
    refused = alice.pointers(bucket, stored.json()["hash"])
    assert (refused.status_code, refused.json()) == (403, {"error": "The transfer limit of the bucket is exceeded"})


@pytest.mark.parametrize("size", [None, "abc"])
def test_a_token_is_not_spent_by_a_request_whose_headers_are_wrong(bridge: Running, size: str | None) -> None:
    alice = bridge.person()
    bucket = alice.bucket()
    token = alice.token(bucket, "PUSH")
    assert alice.put(bucket, multipart(b"data"), size, token).status_code == 400
    assert alice.put(bucket, multipart(b"data"), 4, token, **{"content-type": "text/plain"}).status_code == 422
    assert alice.put(bucket, multipart(b"data"), 4, token).status_code == 200
    assert alice.put(bucket, multipart(b"data"), 4, token).json() == {"error": "Invalid or expired token"}


def test_more_than_a_file_in_a_body_is_too_large(bridge: Running) -> None:
    alice = bridge.person()
    bucket = alice.bucket()
    body = multipart(b"x" * (3 << 20), None).replace(b"--\r\n", b"\r\n") + multipart(b"data")
    reply = alice.put(bucket, body, 4)
    assert (reply.status_code, reply.json()) == (413, {"error": "The multipart data around the file is too large"})


def test_a_json_body_that_is_too_large_is_refused(bridge: Running) -> None:
    reply = bridge.http.post("/users", content=b"x" * (2 << 20))
    assert (reply.status_code, reply.json()) == (413, {"error": "Request body is too large"})


def test_channels_and_links_use_the_public_url_or_the_address_of_the_request(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running(tmp_path_factory.mktemp("public"), public_url="https://bridge.example/") as bridge:
        bridge.http.post("/users", json={"email": "a@example.com", "password": PASSWORD})
        link = bridge.mails[-1].link
        assert link.startswith("https://bridge.example/activations/")
        alice = Person(bridge, "a@example.com")
        bridge.http.get(httpx.URL(link).path)
        bridge.http.post("/keys", json={"key": alice.key.get_public_key()}, auth=alice.basic)
        bucket = alice.bucket()
        content = alice.upload(bucket, b"data").json()["hash"]
        assert alice.pointers(bucket, content).json()[0]["channel"] == "wss://bridge.example"


def test_the_bridge_says_that_it_is_healthy(own_bridge: Running) -> None:
    assert own_bridge.http.get("/health").json() == {"status": "ok"}
    with own_bridge.without_store():
        reply = own_bridge.http.get("/health")
    assert (reply.status_code, reply.json()) == (503, {"error": "The store is not available, try again later"})
