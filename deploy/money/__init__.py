"""What a deployment costs: before it is made, while it runs, and what is left of it at the end.

Pure but for `quoting`, which asks a cloud's price list. What a cloud bills, its own `billing` module says.
"""
