"""From the files of a model to a handler: loaded, lighter where that was chosen, proven by its samples."""
