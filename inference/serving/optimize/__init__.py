"""A lighter model: what can be made of a handler's torch module, measured on its samples, and the best one.

Each kind is made and tried in a process of its own, with a limit: what crashes or hangs costs its row.
Serving imports nothing of this; inference/serving/startup/variant.py puts the chosen one in its place.
"""
