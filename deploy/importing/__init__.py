"""`import`: a model and a handler that were made for another server, laid out as a project of Slipway's.

What is given is read and never changed. What a folder is, the runtime says, asked as a process: it is the
one that will serve it. The stages, in the order of command.py: sources.py opens what is given, recognising.py
says what it is, layout.py which file goes where, requirements.py, samples.py and settings.py write what a
project has besides, and laying.py makes the folder, whole or not at all.
"""

from __future__ import annotations


class ImportingError(Exception):
    """Nothing was laid out; the message says where, what was found, and what to do."""
