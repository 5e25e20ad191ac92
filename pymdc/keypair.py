"""`ECDSA`: a key pair on the curve secp256k1. Programs import it from here; `core/key_pair.py` has its code."""

from __future__ import annotations

from .core.key_pair import ECDSA

__all__ = ["ECDSA"]
