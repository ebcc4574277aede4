"""An endpoint: its routes, its workers, and the supervisor that replaces them."""
