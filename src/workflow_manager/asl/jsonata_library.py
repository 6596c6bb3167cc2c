"""What is used of jsonata-python: its grammar, and its pictures of integers and dates."""

from __future__ import annotations

from .recursion import kept_limit

with kept_limit():  # importing the library raises Python's limit on recursion for the whole process
    from jsonata.datetimeutils import DateTimeUtils
    from jsonata.jexception import JException
    from jsonata.parser import Parser

__all__ = ["DateTimeUtils", "JException", "Parser"]
