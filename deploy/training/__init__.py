"""Training as a managed job: what travels to it, how it is followed, and the model that comes back."""
