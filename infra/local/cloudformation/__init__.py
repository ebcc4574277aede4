"""CloudFormation made true: stacks whose resources are made through the services' own APIs, or are refused.

moto has a CloudFormation, too. It is passed over: it says CREATE_COMPLETE of kinds and properties that it
leaves out, compares templates without their parameters, and has no events of resources and no rollback.
"""

from __future__ import annotations

import logging
from typing import Any

from infra.local import errors
from infra.local.clients import Account
from infra.local.cloud import Caller
from infra.local.cloudformation import wire
from infra.local.cloudformation.adoption import Adoption
from infra.local.cloudformation.operations import Operations
from infra.local.errors import Answer, AwsError
from infra.local.records import Question, Records, Reply

log = logging.getLogger(__name__)


class CloudFormation:
    """The service."""

    def __init__(self, records: Records) -> None:
        adoption = Adoption(records.provisioned)
        self._operations = Operations(lambda caller: Account(records, caller), adoption).by_name

    def answer(self, caller: Caller, question: Question) -> Reply:
        """The answer to a request; blocks."""
        answer = self._answer(caller, question.body.read())
        return Reply(answer.status, list(answer.headers), [answer.body])

    def _answer(self, caller: Caller, body: bytes) -> Answer:
        operation = ""
        try:
            operation, asked = wire.asked(body)
            answer = wire.answered(operation, self._do(caller, operation, asked))
        except AwsError as error:
            log.info("%s: %d %s: %s", operation, error.status, error.code, error.message)
            return errors.as_query_xml(error)
        log.info("%s: 200", operation)
        return answer

    def _do(self, caller: Caller, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        if operation not in self._operations:
            raise AwsError(400, "InvalidAction", f"The local cloud does not do {operation}")
        try:
            return self._operations[operation](caller, asked)
        except AwsError:
            raise
        except Exception as error:
            log.exception("%s failed", operation)
            raise AwsError(500, "InternalFailure", f"{type(error).__name__}: {error}") from error
