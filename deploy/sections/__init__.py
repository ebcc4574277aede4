"""The sections of deploy.toml, each a model whose fields say what would be right: config.py reads them.

Every description completes the sentence "expected …" of an error.
"""

from deploy.sections.clouds import Aws, Gcp
from deploy.sections.jobs import Batch, Training
from deploy.sections.section import Section
from deploy.sections.serving import Latency, Serving

__all__ = ["Aws", "Batch", "Gcp", "Latency", "Section", "Serving", "Training"]
