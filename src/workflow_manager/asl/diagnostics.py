"""What is wrong with a definition, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding (API reference, ValidateStateMachineDefinitionDiagnostic).

    ``code`` is one that AWS answers where AWS has one (``SCHEMA_VALIDATION_FAILED``, ``MISSING_TRANSITION_TARGET``, ...).
    ``location`` is a JSON pointer into the definition; None when there is no place, as for text that is not JSON.
    """

    code: str
    message: str
    location: str | None = None
    severity: Literal["ERROR", "WARNING"] = "ERROR"


class InvalidDefinition(Exception):
    """The definition was refused; ``diagnostics`` lists every fault, errors and warnings, in document order."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        errors = [d for d in diagnostics if d.severity == "ERROR"]
        super().__init__(
            ", ".join(f"{d.code}: {d.message}" + (f" at {d.location}" if d.location else "") for d in errors)
        )
