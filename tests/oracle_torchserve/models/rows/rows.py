"""A row's sum, or what it is where it has none."""


def handle(data, context):
    if data is None:
        return None
    return [sum(row["data"]) if isinstance(row, dict) and "data" in row else repr(row) for row in data]
