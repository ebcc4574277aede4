"""From two files and a folder of weights to a cloud's endpoint: `python -m deploy --help` lists the verbs."""
