"""The picture: bars as high as the whole, and a sentence where there is nothing to draw with."""

import importlib.util

import pytest

from deploy.latency import LatencyError, plot, shares
from deploy.latency.parts import NETWORK, PHASES, STREAM


def test_the_segments_of_a_bar_make_up_the_whole(answer):
    rows = shares.rows([answer(float(number), predict=number * 0.5, queue=0.1) for number in range(1, 101)])
    bars = plot.bars(rows)
    assert set(bars) == {NETWORK, *PHASES}
    assert [sum(heights[at] for heights in bars.values()) for at in range(3)] == pytest.approx([50, 95, 99])
    assert bars["predict"] == pytest.approx([25, 47.5, 49.5])


def test_the_pieces_after_the_first_are_a_segment(answer):
    bars = plot.bars(shares.rows([answer(10.0, first_ms=4.0, predict=3.0)]))
    assert {name: heights[0] for name, heights in bars.items() if heights[0]} == pytest.approx(
        {NETWORK: 1.0, "predict": 3.0, STREAM: 6.0}
    )
    assert plot.bars(shares.rows([answer(3.0, first_ms=1.0)])) == {"whole": [3.0, 3.0, 3.0]}


def test_a_bar_without_phases_is_the_whole(answer):
    assert plot.bars(shares.rows([answer(3.0), answer(5.0)])) == {"whole": [3.0, 5.0, 5.0]}


def test_every_phase_has_a_colour():
    assert set(plot.COLOURS) == {"whole", NETWORK, *PHASES, STREAM}


def test_the_picture_is_a_png(answer, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "latency.png"
    plot.check(path)
    plot.draw(shares.rows([answer(10.0, predict=4.0, queue=1.0)]), "a title", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LatencyError, match=r"a plot needs matplotlib: .* -c constraints.txt matplotlib"):
        plot.check(tmp_path / "latency.png")


@pytest.mark.parametrize(("name", "said"), [("a.pdf", "ends in .png"), ("none/a.png", "there is no folder")])
def test_a_place_where_no_picture_can_be_is_told_before_anything_is_asked(tmp_path, monkeypatch, name, said):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    with pytest.raises(LatencyError, match=said):
        plot.check(tmp_path / name)
