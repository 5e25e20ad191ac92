"""Runs operations in processes that are killed at a given moment.

Usage: `python -m tests.bridge.chaos.dying SETTINGS`, with the data folder, the engines and the account in JSON. Each
line of the input names an operation and a moment. A child process runs the operation and kills itself at that moment;
what it notes is written out, a line of JSON each, and in the end whether it was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from pymdc.bridge import passwords, upload
from pymdc.bridge.store import Store
from pymdc.keypair import ECDSA

from ..harness import settings_for
from .faults import Killer, Plan
from .operations import OPERATIONS, World

SHARD_BYTES = 64
PASSWORD_COST = 2  # hashing in earnest would take half the time of those operations that make an account


def say(*event: Any) -> None:
    """Write a line out at once: this process may not live to flush it."""
    os.write(1, json.dumps(event).encode() + b"\n")


async def run(world: World, operation: str) -> None:
    """Run an operation on a bridge of its own."""
    async with world.bridge() as call:
        await call(OPERATIONS[operation])


def main() -> None:
    told = json.loads(sys.argv[1])
    vars(upload)["SHARD_BYTES"] = SHARD_BYTES
    vars(passwords)["_COST"] = PASSWORD_COST
    plan = Plan()
    Killer(plan)
    settings = settings_for(Path(told["data"]), **told["engines"])
    world = World(settings, plan, say, ECDSA(None, told["key"]), told["email"], told["bucket"])
    Store(settings.database_url).close()  # its driver is then loaded: to load it would take each child twice the time
    for line in sys.stdin:
        operation, moment = json.loads(line)
        child = os.fork()
        if not child:
            plan.set("question lost", moment)
            asyncio.run(run(world, operation))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0 or os.WIFSIGNALED(status), status
        say("over", os.WIFSIGNALED(status))


if __name__ == "__main__":
    main()
