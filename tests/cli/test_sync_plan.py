"""The plans of `sync`, carried out on a bucket and a folder that are dicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.cli.names import bridge_name, local_path
from pymdc.cli.sync_plan import DownPlan, UpPlan, names_in, names_text, plan_down, plan_up

Bucket = dict[str, str]  # the name of each content: a bridge holds each content once
Names = dict[str, list[str]]

A, B, C = "a" * 40, "b" * 40, "c" * 40
HASHES = st.sampled_from([A, B, C, "a" * 8 + "d" * 32])
PARTS = st.sampled_from(["a", "b.txt", "A", "a (aaaaaaaa)", "é", "é", "x" * 250 + ".txt"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
TEXTS = st.text("aA./／\\‛(\x00é\ud800\u202e ", max_size=6)
NAMES = st.one_of(PATHS.map(bridge_name), TEXTS, st.sampled_from(["..", "../a", "a//b", "", "/"]))
BUCKETS = st.dictionaries(HASHES, NAMES, max_size=4)
FURTHER = st.dictionaries(HASHES, st.lists(NAMES, max_size=3), max_size=3)


def is_tree(paths: Mapping[str, str]) -> bool:
    """Tell whether no path is both a file and a folder."""
    return not any(str(folder) in paths for path in paths for folder in PurePosixPath(path).parents)


FOLDERS = st.dictionaries(PATHS, HASHES, max_size=5).filter(is_tree)


def listing(bucket: Bucket) -> list[dict[str, str]]:
    return [{"hash": file_hash, "filename": name} for file_hash, name in bucket.items()]


def sent(plan: UpPlan, local: Mapping[str, str], bucket: Bucket) -> Bucket:
    """Carry out a plan at a bridge."""
    after = dict(bucket)
    for path in plan.upload:
        after[local[path]] = bridge_name(path)
    for file_hash, needed in plan.delete.items():
        assert needed <= after.keys()
        del after[file_hash]
    return after


def fetched(plan: DownPlan, local: Mapping[str, str], bucket: Bucket) -> dict[str, str]:
    """Carry out a plan in a folder."""
    after = {path: file_hash for path, file_hash in local.items() if path not in plan.clear}
    for path, file_hash in plan.download.items():
        assert file_hash in bucket
        after[path] = file_hash
    after |= {path: after[source] for path, source in plan.copy.items()}
    return {path: file_hash for path, file_hash in after.items() if path not in plan.delete}


def nothing(plan: UpPlan | DownPlan) -> bool:
    if isinstance(plan, UpPlan):
        return not plan.upload and not plan.delete
    return not (plan.clear or plan.download or plan.copy or plan.delete)


@given(FOLDERS, BUCKETS, FURTHER)
def test_a_folder_goes_up_and_comes_down_equal(local: dict[str, str], bucket: Bucket, names: Names) -> None:
    plan = plan_up(local, listing(bucket), names, delete=True)
    after = sent(plan, local, bucket)
    assert after.keys() == set(local.values())
    assert fetched(plan_down({}, listing(after), plan.names), {}, after) == local
    again = plan_up(local, listing(after), plan.names, delete=True)
    assert nothing(again)
    assert again.names == plan.names


@given(FOLDERS, BUCKETS, FURTHER)
def test_without_delete_a_bucket_keeps_files_that_the_folder_does_not_have(
    local: dict[str, str], bucket: Bucket, names: Names
) -> None:
    plan = plan_up(local, listing(bucket), names)
    after = sent(plan, local, bucket)
    before = fetched(plan_down({}, listing(bucket), names), {}, bucket)
    now = fetched(plan_down({}, listing(after), plan.names), {}, after)
    for path, file_hash in before.items():
        told = {path, *(local_path(name, file_hash) for name in (bucket[file_hash], *names.get(file_hash, ())))}
        assert file_hash in now.values() or told & local.keys()  # replaced
    assert set(local.values()) <= set(now.values())
    assert nothing(plan_up(local, listing(after), plan.names))


@given(FOLDERS, BUCKETS, FURTHER, st.booleans(), st.booleans())
def test_a_folder_gets_the_files_of_the_bucket(
    local: dict[str, str], bucket: Bucket, names: Names, delete: bool, fold: bool
) -> None:
    wanted = fetched(plan_down({}, listing(bucket), names, fold=fold), {}, bucket)
    plan = plan_down(local, listing(bucket), names, delete=delete, fold=fold)
    after = fetched(plan, local, bucket)
    assert set(bucket) == set(wanted.values())
    assert after == (wanted if delete else local | wanted)
    assert is_tree(wanted)
    assert nothing(plan_down(after, listing(bucket), names, delete=delete, fold=fold))
    if fold:
        assert len({path.casefold() for path in wanted}) == len(wanted)


@given(BUCKETS, FURTHER, st.booleans())
def test_a_folder_that_came_down_changes_nothing_when_it_goes_up(bucket: Bucket, names: Names, delete: bool) -> None:
    local = fetched(plan_down({}, listing(bucket), names), {}, bucket)
    assert nothing(plan_up(local, listing(bucket), names, delete=delete))


@given(st.dictionaries(HASHES, TEXTS | st.none(), max_size=4))
def test_no_name_leads_out_of_the_folder(bucket: dict[str, str | None]) -> None:
    files = [{"hash": file_hash, "filename": name} for file_hash, name in bucket.items()]
    for path in plan_down({}, files, {}).download:
        parts = path.split("/")
        assert parts == [part for part in parts if part not in ("", ".", "..")]
        assert "\0" not in path
        assert not any(part.startswith(".pymdc-") for part in parts)
        assert all(len(part.encode()) <= 255 for part in parts)


def test_a_content_that_only_changed_its_name_is_not_sent_again_unless_the_old_name_must_go() -> None:
    plan = plan_up({"new": A}, listing({A: "old"}), {})
    assert plan == UpPlan(leave=["new"], names={A: ["new", "old"]})
    plan = plan_up({"new": A}, listing({A: "old"}), {}, delete=True)
    assert plan == UpPlan(upload=["new"])


def test_a_replaced_file_is_removed_after_the_new_one_is_stored() -> None:
    assert plan_up({"a": B}, listing({A: "a", C: "c"}), {}) == UpPlan(upload=["a"], delete={A: {B}})
    assert plan_up({"a": B}, listing({A: "a", B: "a"}), {}) == UpPlan(leave=["a"], delete={A: {B}})


def test_files_of_one_name_get_a_part_of_their_hash() -> None:
    plan = plan_down({}, listing({A: "a.txt", B: "a.txt", C: "a.txt／b"}), {})
    assert plan.download == {"a (aaaaaaaa).txt": A, "a (bbbbbbbb).txt": B, "a.txt/b": C}


def test_names_that_differ_only_in_case_get_marks_if_the_folder_ignores_case() -> None:
    assert plan_down({}, listing({A: "a", B: "A"}), {}).download == {"a": A, "A": B}
    assert plan_down({}, listing({A: "a", B: "A"}), {}, fold=True).download == {"a (aaaaaaaa)": A, "A (bbbbbbbb)": B}


def test_content_that_the_folder_has_already_is_copied() -> None:
    plan = plan_down({"a": A, "b": B}, listing({A: "c", B: "a"}), {})
    assert plan == DownPlan(download={"c": A}, copy={"a": "b"})


@given(FURTHER, st.integers())
def test_names_are_read_as_they_were_written(names: Names, number: int) -> None:
    assert names_in(names_text(names, number)) == (number, {key: sorted(value) for key, value in names.items()})


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[]", b"{}", b'{"names": 1}', b'{"names": {}, "number": "1"}', b"[" * 100_000]
)
def test_a_damaged_file_of_names_holds_no_names(text: bytes) -> None:
    assert names_in(text) == (0, {})


def test_names_that_are_not_text_are_left_out() -> None:
    assert names_in(b'{"number": 1, "names": {"a": ["b", 1, null], "c": "d"}}') == (1, {"a": ["b"]})
