"""Amazon States Language: check a definition, compile it to a Program, evaluate its expressions.

Pure, and imports nothing of ours.
"""

from .compiler import compile_definition as compile  # noqa: A004 - read as asl.compile
from .compiler import diagnose
from .diagnostics import Diagnostic, InvalidDefinition
from .program import Env, Failure, Program
from .support import unsupported

__all__ = ["Diagnostic", "Env", "Failure", "InvalidDefinition", "Program", "compile", "diagnose", "unsupported"]
