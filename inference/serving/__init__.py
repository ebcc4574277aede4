"""The serving runtime: answers /ping and /invocations with the user's handler, in one process."""
