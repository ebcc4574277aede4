"""The content types of AWS's inference toolkit, under its own names: handlers import them."""

JSON = "application/json"
CSV = "text/csv"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"
NPY = "application/x-npy"
NPZ = "application/x-npz"
# A body of these is handed over as text.
UTF8_TYPES = [JSON, CSV]
