"""Where it goes: an address for each kind of endpoint, a region that is one, a bucket that is ours."""


def test_a_shared_endpoint_is_asked_at_the_region_s_own_address(iris, deploy, asked, capsys):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text + 'endpoint = "shared"\n')
    assert deploy(iris) == 0
    assert asked(iris) == 2
    (iris / "deploy.toml").write_text(text)
    capsys.readouterr()
    assert deploy(iris) == 1
    assert "is shared, and deploy.toml says dedicated" in capsys.readouterr().err


def test_a_region_that_is_none_is_told_and_nothing_is_made(project, deploy, held, capsys):
    place = project("iris")
    edited(place, 'region = "us-central1"', 'region = "us-central9"')
    assert deploy(place) == 1
    assert "Permission denied on 'locations/us-central9'" in capsys.readouterr().err
    assert held(place) == set()


def test_a_bucket_of_another_project_is_not_even_emptied(cloud, project, deploy, capsys):
    place, theirs = project("iris"), f"gs://{cloud.bucket_of_others}/iris/0123456789ab/model.tar.gz"
    cloud.storage.put(theirs, "theirs")
    edited(place, f'bucket = "{cloud.bucket}"', f'bucket = "{cloud.bucket_of_others}"')
    assert deploy(place, "destroy", "--yes") == 1
    assert f"bucket {cloud.bucket_of_others!r} is not one of project slipway-tests" in capsys.readouterr().err
    assert cloud.storage.get(theirs) == b"theirs"


def edited(place, old, new):
    text = (place / "deploy.toml").read_text()
    assert old in text
    (place / "deploy.toml").write_text(text.replace(old, new))
