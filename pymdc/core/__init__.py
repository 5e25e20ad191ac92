"""How one call is made: signed, sent, answered, and delivered, in the caller's thread or on the pool."""

from __future__ import annotations

__all__: list[str] = []
