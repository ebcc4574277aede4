"""How SageMaker's handlers get the records of a transform job.

SageMaker sends what the job's ContentType says, many records in a request (MultiRecord) or one
(SingleRecord). CSV and Parquet come to a handler in the first way. The images read no JSON Lines: their
records are requests of application/json, in the second way, unless the entry file itself names JSON Lines.
Source: docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Set
from pathlib import Path

from inference.serving.codecs.media import JSON_LINES, PARQUET
from inference.serving.handlers import Intake
from inference.serving.handlers.sagemaker.content_types import CSV
from inference.serving.handlers.sagemaker.hugging import HUGGING_FACE
from inference.serving.handlers.sagemaker.image import Image

AS_IT_COMES = {CSV: CSV, PARQUET: PARQUET}
_ACCEPTS = {CSV: CSV}
PLAIN = Intake(whole=AS_IT_COMES, accepts=_ACCEPTS)
# What a file calls JSON Lines; SageMaker's own name first.
_NAMES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
_READERS, _WRITERS = {"input_fn", "transform_fn"}, {"output_fn", "transform_fn"}
_STEPS = {"pre_model_fn", "model_fn", "model_warmup_fn", "predict_fn", *_READERS, *_WRITERS}


def of(entry: Path, own: Set[str], image: Image) -> Intake:
    """The intake of an entry file that has functions of its `own`, by their names, and its image's beside."""
    tree = ast.parse(entry.read_bytes())
    read, written = (_named(tree, _STEPS - steps) for steps in (_READERS, _WRITERS))
    # The Hugging Face image's own functions want, and write, a header in every body of CSV.
    heads = image is HUGGING_FACE
    tables = {PARQUET: PARQUET} if heads and not own & _READERS else AS_IT_COMES
    accepts = {} if heads and not own & _WRITERS else _ACCEPTS
    return Intake(
        whole=tables | ({JSON_LINES: read} if read else {}),
        accepts=accepts | ({JSON_LINES: written} if read and written else {}),
    )


def _named(tree: ast.Module, without: set[str]) -> str:
    """The first of the names of JSON Lines that the file has as a text, these functions left out; or ""."""
    texts = {
        node.value
        for node in _walked(tree, lambda node: getattr(node, "name", "") not in without)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return next((name for name in _NAMES if name in texts), "")


def _walked(node: ast.AST, enters: Callable[[ast.AST], bool]) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if enters(child):
            yield from _walked(child, enters)
