"""Amazon States Language: check a definition, compile it to a Program, evaluate its expressions.

Pure, and imports nothing of ours.
"""
