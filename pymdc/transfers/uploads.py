"""An upload: get a token, send the form, and check that the reply has the hash of the bytes that were sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core import calls
from ..core.exchange import Exchange
from ..core.hashes import content_hash
from ..core.job import Job, Progress, ProgressCallback
from ..core.nonces import next_nonce
from ..errors import IntegrityError, MetadiskError
from . import multipart_encoder as multipart
from .access import Access

__all__ = ["Upload"]


@dataclass(frozen=True)
class Upload:
    """One upload.

    Attributes:
        access: the bucket.
        source: the file, or the content.
        name: the name of the file at the bridge.
        mimetype: its MIME type; `None` to guess it from the name.
        token: a PUSH token; `None` to ask for one.
        progress: called with how many bytes are sent, and how many there are in all.
    """

    access: Access
    source: multipart.Source
    name: str
    mimetype: str | None
    token: str | None
    progress: ProgressCallback | None

    def run(self, exchange: Exchange, job: Job) -> Any:
        """Take all steps, and return the value of the call: the stored file's entry, a refusal, or an exception value.

        Raises:
            OSError: the file cannot be read, or changed while it was sent.
            Exception: an exception of the caller's file object, or an error value of the request for a token.
        """
        try:
            with multipart.opened(self.source) as file:
                fields = {calls.NONCE: str(next_nonce()), "id": self.access.bucket_id}
                form = multipart.form(file, self.name, self.mimetype, fields)
                return self._sent(form, exchange, job)
        except MetadiskError as refusal:
            return refusal.value

    def _sent(self, form: multipart.Form, exchange: Exchange, job: Job) -> Any:
        token = self.token or self.access.token("PUSH", exchange, job)
        call = self.access.call("PUT", "files", token=token)
        body = _Body(form, job, Progress(job, self.progress, form.size))
        value = exchange.upload(call, body, form.content_type, length=form.length, size=form.size, job=job)
        if isinstance(value, dict) and "hash" in value and value["hash"] != content_hash(form.sha256):
            ours = content_hash(form.sha256)
            return IntegrityError(f"the bridge stored something else: its hash is {value['hash']}, not {ours}")
        return value


class _Body:
    """The form's bytes. It reports to the caller how many were sent, and ends if the job is cancelled."""

    def __init__(self, form: multipart.Form, job: Job, progress: Progress) -> None:
        self._form = form
        self._job = job
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        sent = -len(self._form.head)
        for piece in self._form:
            if sent == self._form.size:
                self._job.commit()  # with the last piece, the bridge has all that it needs to store the file
            self._job.check()
            yield piece
            sent += len(piece)
            self._progress.reached(min(max(sent, 0), self._form.size))
        self._progress.reached(self._form.size, last=True)
