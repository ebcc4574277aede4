"""The processes that run the handler: loaded once, forked where that is safe, ended without a trace."""
