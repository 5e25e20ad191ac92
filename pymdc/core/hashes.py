"""RIPEMD-160, which Python does not have on every machine, and the hash that names files and shards."""

import hashlib

__all__ = ["content_hash", "ripemd160"]


def ripemd160(data: bytes) -> bytes:
    """Return the RIPEMD-160 digest of `data`, 20 bytes.

    OpenSSL 3 may be built without RIPEMD-160; then our own slow implementation is used. It is fast enough, since
    `data` is always a key or another digest.
    """
    try:
        return hashlib.new("ripemd160", data, usedforsecurity=False).digest()
    except ValueError:
        return _ripemd160(data)


def content_hash(sha256_hex: str) -> str:
    """Return the hash that names a file or a shard at a bridge: RIPEMD-160 over the lower-case hex of its SHA-256.

    Observed on the bridges of 2016: it is the hex text that is hashed, not the 32 bytes.
    """
    return ripemd160(sha256_hex.encode("ascii")).hex()


# The tables and constants are those of the specification: Dobbertin, Bosselaers, Preneel, "RIPEMD-160: A Strengthened
# Version of RIPEMD" (1996), appendix A. Five rounds of sixteen steps, in a left and a right line.
_LEFT_WORDS = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8),
    (3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12),
    (1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2),
    (4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13),
)
_RIGHT_WORDS = (
    (5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12),
    (6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2),
    (15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13),
    (8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14),
    (12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11),
)
_LEFT_SHIFTS = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12),
    (11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5),
    (11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12),
    (9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6),
)
_RIGHT_SHIFTS = (
    (8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6),
    (9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11),
    (9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5),
    (15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8),
    (8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11),
)
_LEFT_CONSTANTS = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT_CONSTANTS = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_MASK = 0xFFFFFFFF

_Line = tuple[int, int, int, int, int]


def _ripemd160(data: bytes) -> bytes:
    padded = data + b"\x80" + b"\x00" * ((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "little")
    state: _Line = _START
    for start in range(0, len(padded), 64):
        block = padded[start : start + 64]
        words = [int.from_bytes(block[i : i + 4], "little") for i in range(0, 64, 4)]
        left = right = state
        for i in range(5):
            left = _round(left, i, words, _LEFT_WORDS[i], _LEFT_SHIFTS[i], _LEFT_CONSTANTS[i])
            right = _round(right, 4 - i, words, _RIGHT_WORDS[i], _RIGHT_SHIFTS[i], _RIGHT_CONSTANTS[i])
        sums = [(state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)]
        state = (sums[0], sums[1], sums[2], sums[3], sums[4])
    return b"".join(word.to_bytes(4, "little") for word in state)


def _round(
    line: _Line, mixing: int, words: list[int], order: tuple[int, ...], shifts: tuple[int, ...], constant: int
) -> _Line:
    a, b, c, d, e = line
    for word, shift in zip(order, shifts, strict=True):
        total = (a + _mix(mixing, b, c, d) + words[word] + constant) & _MASK
        a, b, c, d, e = e, (_rotate(total, shift) + e) & _MASK, b, _rotate(c, 10), d
    return a, b, c, d, e


def _mix(mixing: int, x: int, y: int, z: int) -> int:
    functions = (
        x ^ y ^ z,
        (x & y) | (~x & z),
        (x | ~y) ^ z,
        (x & z) | (y & ~z),
        x ^ (y | ~z),
    )
    return functions[mixing] & _MASK


def _rotate(word: int, by: int) -> int:
    return ((word << by) | (word >> (32 - by))) & _MASK
