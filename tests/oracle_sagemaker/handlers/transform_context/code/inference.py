STATUSES = [200, 201, 204, 400, 404, 418, 429, 500, 503, 999, None]


def model_fn(model_dir):
    return iter(range(10**9))


def transform_fn(model, body, content_type, accept, context):
    turn = next(model)
    context.set_response_status(STATUSES[turn % len(STATUSES)], "a phrase")
    context.set_response_header(0, "x-turn", str(turn))
    if turn % 3 == 1:
        context.set_response_header(0, "Content-Type", "application/vnd.of-the-handler")
    if turn % 7 == 2:
        raise ValueError(f"turn {turn}")
    if turn % 5 == 3:
        context.set_all_response_status(207, "")
    status, phrase = context.get_response_status(0)
    return f"{status} {phrase} {context.get_response_headers(0)}", "text/plain"
