"""The serving runtime: answers /ping and /invocations with the user's handler, online and in batch jobs."""
