"""What must exist before a deployment, in the real clouds and in the local one."""
