"""The core: what one stimulus does to one execution. Pure; imports nothing else of the engine.

The doors are step.py (``step``), stimuli.py (what goes in, and the Effects that come out), frames.py (what it works on) and
draft.py (its environment and limits). Behind them a module for each kind of thing that happens to a frame: states.py, tasks.py,
children.py, distributed.py, outcomes.py, redriving.py.
"""
