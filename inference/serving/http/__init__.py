"""HTTP/1.1: connections, calls and the listening socket. Nothing here knows of models."""
