"""What changes behind a run's back: its input, its model, its results."""

from clouds import stored


def test_a_result_with_rows_missing_fails_the_run_and_names_the_file_with_both_counts(
    scored, wrote, out, cloud, capsys
):
    """Whatever a job says: its results are counted. Here one is changed behind its back."""
    wrote({"a.jsonl": "1\n2\n3\n", "b.jsonl": "1\n"})

    def tamper(_: str) -> None:
        for key, body in stored(cloud, "iris/batch/").items():
            if key.endswith("out/a.jsonl.out") and len(body.split()) == 3:
                cloud.storage.put(cloud.uri(f"iris/batch/{key}"), "2\n4\n")

    cloud.on_call(tamper)
    assert scored() == 1
    assert "a.jsonl: 3 rows in, 2 rows out" in capsys.readouterr().err.splitlines()[-1]
    assert out() == {"b.jsonl.out": "2\n"}


def test_a_model_that_was_deleted_meanwhile_is_a_sentence(scored, wrote, cloud, account, jobs, capsys):
    wrote({"a.jsonl": "1\n"})

    def delete(_: str) -> None:
        if any("/in/" in key for key in stored(cloud, "iris/batch/")) and not jobs():
            account.remove_models()

    cloud.on_call(delete)
    assert scored() == 1
    said = capsys.readouterr().err
    assert "odel" in said and "it was there a moment ago; give the same command again" in said
    cloud.forget()
    assert scored() == 0


def test_a_result_that_is_gone_when_its_job_has_ended_says_so(
    scored, wrote, out, jobs, account, cloud, capsys
):
    wrote({"a.jsonl": "1\n"})

    def clear(_: str) -> None:
        if jobs() and account.state(jobs()[0]) == "Completed":
            cloud.storage.remove(cloud.uri("iris/batch/"))

    cloud.on_call(clear)
    assert scored() == 1
    assert "1 of 1 file: a.jsonl: its result is gone, as where " in capsys.readouterr().err
    cloud.forget()
    assert scored() == 0
    assert out() == {"a.jsonl.out": "2\n"}


def test_a_file_that_changes_before_it_is_uploaded_is_refused_and_not_kept(
    scored, wrote, jobs, cloud, capsys
):
    place = wrote({"a.jsonl": "1\n"})
    # By the first call that it makes, the verb has counted the file.
    cloud.on_call(lambda _: (place / "a.jsonl").write_text("3\n") and None)
    assert scored() == 1
    assert "in/a.jsonl: changed while it was uploaded" in capsys.readouterr().err
    assert not any("/in/" in key for key in stored(cloud, "iris/batch/"))
    assert jobs() == []
