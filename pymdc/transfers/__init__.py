"""The steps of an upload and of a download."""

from __future__ import annotations

__all__: list[str] = []
