from sagemaker_inference import content_types, decoder, encoder, errors, utils


def model_fn(model_dir):
    return 10


def input_fn(body, content_type):
    if content_type == content_types.OCTET_STREAM:
        return body
    return decoder.decode(body, content_type)


def predict_fn(data, model):
    return data if isinstance(data, (bytes, bytearray)) else data + model


def output_fn(prediction, accept):
    for wanted in utils.parse_accept(accept):
        if wanted in encoder.SUPPORTED_CONTENT_TYPES:
            return encoder.encode(prediction, wanted), wanted
    raise errors.UnsupportedFormatError(accept)
