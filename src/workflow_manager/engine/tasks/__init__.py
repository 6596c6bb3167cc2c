"""What Tasks ask for, carried out: by activities' workers, by nested executions, by integrations outside the engine.

The doors are calls.py, which the shell hands every task to, activities.py (queues, pollers, task tokens) and integrations.py (the
Protocol of whoever else carries tasks out).
"""
