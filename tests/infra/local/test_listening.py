"""The one port of the local cloud."""

import socket

import pytest

from infra.local.listening import PortTaken, listen


def test_an_answer_in_two_writes_does_not_wait_between_them() -> None:
    with listen(0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_is_taken_once() -> None:
    with listen(0) as first, pytest.raises(PortTaken):
        listen(first.getsockname()[1])


@pytest.mark.parametrize("port", [70000, -1])
def test_a_number_that_is_no_port_is_told(port: int) -> None:
    with pytest.raises(OSError, match=rf"cannot listen on port {port} .*SLIPWAY_LOCAL_PORT"):
        listen(port)
