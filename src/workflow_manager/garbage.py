"""How often Python looks for cycles of objects that nobody refers to.

By default it looks after every 700 objects that stay, and at all there are whenever these have grown by a quarter: a step that
makes tens of thousands of frames and events pays for each of them several times, and so does every request for what was
imported. Here next to nothing is cyclic, so it is enough to look seldom, and never at what a server has from its start.
"""

from __future__ import annotations

import gc

OBJECTS = 20_000
"""It looks at the young when so many have been made and kept; every 20th time at the older, every 50th of these at all."""


def look_seldom() -> None:
    """Call once everything that stays for good is there."""
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 50)
