"""What a person is shown."""

from deploy.latency import shares, table


def shown(answers, budget=()):
    lines = list(table.lines(answers, shares.rows(answers), dict(budget)))
    return "\n".join(text for text, _ in lines), dict(lines)


def test_the_phases_stand_under_the_part_that_they_belong_to(answer):
    ten = {"queue": 1, "decode": 1, "preprocess": 1, "predict": 4, "postprocess": 1, "encode": 1}
    text, _ = shown([answer(10.0, **ten)] * 100)
    assert text.splitlines()[1:15] == [
        "                                            milliseconds     share of the whole",
        "                                 p50       p95       p99      p50    p95    p99",
        "whole                          10.00     10.00     10.00                       ",
        "on the way                      2.00      2.00      2.00      20%    20%    20%",
        "  network and platform          1.00      1.00      1.00      10%    10%    10%",
        "  queue                         1.00      1.00      1.00      10%    10%    10%",
        "data input time                 2.00      2.00      2.00      20%    20%    20%",
        "  decode                        1.00      1.00      1.00      10%    10%    10%",
        "  preprocess                    1.00      1.00      1.00      10%    10%    10%",
        "model time                      4.00      4.00      4.00      40%    40%    40%",
        "  predict                       4.00      4.00      4.00      40%    40%    40%",
        "correction of the result        2.00      2.00      2.00      20%    20%    20%",
        "  postprocess                   1.00      1.00      1.00      10%    10%    10%",
        "  encode                        1.00      1.00      1.00      10%    10%    10%",
    ]
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_budget_stands_beside_its_phase_and_is_red_where_it_is_broken(answer):
    text, styles = shown([answer(10.0, predict=4.0)] * 100, {"predict": 3, "whole": 12.5})
    predict, whole = (
        next(line for line in text.splitlines() if line.startswith(name)) for name in ("  predict", "whole")
    )
    assert predict.endswith("40%         3") and styles[predict] == "bold red"
    assert whole.endswith("      12.5") and styles[whole] == "bold"


def test_batches_and_the_cache_are_counted(answer):
    calls = [answer(10.0, batch=size, predict=4.0) for size in (1, 2, 2, 8)]
    text, _ = shown([*calls, answer(1.0, batch=0)])
    assert "requests in one call of the handler: p50 2, p95 8, largest 8" in text
    assert "answers from the cache: 1 of 5" in text
    assert "of fewer than 100 answers, p99 is the slowest" in text


def test_a_run_without_phases_says_so_and_shows_the_whole(answer):
    text, _ = shown([answer(10.0)] * 100)
    assert table.UNTOLD in text and "predict" not in text and "whole   " in text
    assert "cache" not in text and "in one call" not in text


def test_what_is_odd_about_a_run_is_told(answer):
    text, _ = shown([*[answer(10.0, predict=4.0)] * 98, answer(10.0), answer(900.0, retries=2, predict=4.0)])
    assert "phases and shares are of the 99 answers that told them" in text
    assert "the SDK asked again for 1 of the answers" in text
    assert "fewer than 100" not in text
