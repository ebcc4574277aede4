"""The model on its way to the process: downloaded, unpacked, held against its manifest."""
