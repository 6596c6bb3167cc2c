"""``wfm version``."""

from __future__ import annotations


def version() -> None:
    """Say which version this is."""
    from importlib.metadata import version as installed

    print(f"wfm {installed('workflow-manager')}")
