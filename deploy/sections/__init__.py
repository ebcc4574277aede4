"""The sections of deploy.toml, each a model whose fields say what would be right: config.py reads them.

Every description completes the sentence "expected …" of an error.
"""

from deploy.sections.checking import Check
from deploy.sections.clouds import Aws, Gcp
from deploy.sections.endpoint import Endpoint
from deploy.sections.image import Image
from deploy.sections.jobs import Batch, Training
from deploy.sections.release import Release
from deploy.sections.section import Section
from deploy.sections.serving import Latency, Serving

__all__ = [
    "Aws",
    "Batch",
    "Check",
    "Endpoint",
    "Gcp",
    "Image",
    "Latency",
    "Release",
    "Section",
    "Serving",
    "Training",
]
