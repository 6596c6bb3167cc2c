"""Distributed Maps: a Map Run reads items, starts a child execution for each batch of them, and collects what they make.

The doors are map_runs.py (Map Runs carried out), map_run.py (what is known of one; pure), rows.py (as they are kept) and
object_stores.py (where items come from and results go).
"""
