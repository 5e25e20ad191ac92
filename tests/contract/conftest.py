"""What the tests of client and bridge together share."""

from __future__ import annotations

from ..bridges import bridge as bridge
from ..bridges import client as client
