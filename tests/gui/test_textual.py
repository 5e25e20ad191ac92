"""A textual program: its loop is asyncio's, and its callbacks need the context variables of the program."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pymdc
from tests.bridges import running_bridge

from .programs import missing


def test_a_textual_program_shows_what_a_callback_brings_and_ends(tmp_path: Path) -> None:
    if importlib.util.find_spec("textual") is None:
        missing("textual is not installed")
    textual: Any = importlib.import_module("textual.app")
    widgets: Any = importlib.import_module("textual.widgets")

    class Program(textual.App):  # type: ignore[misc]
        def compose(self) -> Any:
            yield widgets.Label("", id="files")

        def on_mount(self) -> None:
            client = pymdc.Client(bridge.url, scheduler=pymdc.schedulers.asyncio())
            pymdc.api.Files(bucket.bucket_id, bucket.key_pair, client=client).list(callback=self.show)

        def show(self, files: Any) -> None:
            self.query_one("#files").update(f"{len(files)} files")
            self.mount(widgets.Label("mounted"))  # which asks for the program that is active here
            self.exit(len(files))

    with running_bridge(tmp_path / "bridge") as bridge, pymdc.Client(bridge.url) as client:
        bucket = bridge.bucket(client)
        pymdc.unwrap(bucket.files.upload(b"something", name="a"))
        assert asyncio.run(asyncio.wait_for(Program().run_async(headless=True), 60)) == 1
