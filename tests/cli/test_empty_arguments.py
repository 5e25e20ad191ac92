"""Arguments that are empty, or no text: one line each, and nothing is done."""

from __future__ import annotations

import pytest

from .typist import Typist


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "", "storj://photos/"),
        ("sync", "storj://photos/", "", "--delete"),
        ("mirror", "storj://", ""),
        ("mirror", "", "storj://"),
    ],
)
def test_an_empty_argument_does_not_mean_this_folder(arguments: tuple[str, ...], typist: Typist) -> None:
    assert typist.failed(2, *arguments) == "an argument is empty. For the folder where you are, write ."


def test_the_name_of_a_bucket_is_a_text_and_not_empty(member: Typist) -> None:
    member.done("mb", "photos")
    assert "not text" in member.failed(2, "mb", "\udcff")
    assert member.failed(2, "bucket", "set", "photos", "--name", "") == "a bucket needs a name: --name NAME"
