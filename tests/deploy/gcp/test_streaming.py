"""A handler that streams on a shared endpoint, which has no streams: its pieces come together."""

import subprocess
import sys

import pytest
from clouds import streams

from deploy import config, gcp
from deploy.target import CloudError, Request


@pytest.fixture(scope="module")
def deployed(both_clouds, tmp_path_factory):
    place = tmp_path_factory.mktemp("streaming") / "sharer"
    with streams.deployed(both_clouds("gcp"), place, 'endpoint = "shared"\n') as made:
        assert made.run("deploy-endpoint") == 0
        yield made


def test_invoke_prints_the_whole_and_predict_has_it_as_one_prediction(deployed, capfdbinary):
    assert deployed.run("invoke") == 0
    assert capfdbinary.readouterr().out == b"0\n1\n2\n\n"
    assert deployed.whole([2, 0]) == [[0, 1], []]


def test_the_program_that_a_deploy_prints_prints_the_prediction(deployed, capsys):
    assert deployed.run("deploy-endpoint") == 0
    program = capsys.readouterr().out.partition("# the same from Python:\n")[2].partition("# end\n")[0]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=deployed.cloud.local.shell,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "[[0.0, 1.0, 2.0]]\n", done.stderr


def test_latency_has_no_first_piece_where_none_comes(deployed):
    answer = gcp.caller(config.load(deployed.place))(Request(b"2", "application/jsonlines", streams=True))
    assert (answer.body, answer.first_ms) == (b"0\n1\n", None)
    with pytest.raises(CloudError, match="the container answered 400"):
        gcp.caller(config.load(deployed.place))(Request(b"{", "application/jsonlines", streams=True))
