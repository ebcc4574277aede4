"""Files scored by a job: what goes in is checked and counted here, and so is what comes back.

A run is known by its content: the model, every file's digest and the settings that shape a result. There is
no state file: the cloud is asked which jobs the run has had, and OUTPUT which results it holds.
"""
