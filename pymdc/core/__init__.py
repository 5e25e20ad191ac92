"""Make one call: sign it, send it, read the reply, and deliver the value, in the caller's thread or on the pool."""

from __future__ import annotations

__all__: list[str] = []
