"""What several verbs begin with: the model, its package, and what is there already."""

from deploy import image, package, terminal
from deploy.image import rayserve
from deploy.package import Archive, variants
from deploy.plan import Resource
from deploy.training import jobs, models
from deploy.verbs.run import Run, VerbError


def took_a_model(run: Run) -> bool:
    """Whether there is a model, here or of a training job; the newer one is then in build/model, and told."""
    here, newest = models.here(run.model.parent), run.trainings.newest(run.config)
    choice = models.choose(here, newest)
    if newest and choice == "fetch":
        jobs.bring(run.training, newest)
    if choice != "train":
        terminal.line(f"model: {models.sentence(models.here(run.model.parent), newest)}")
    return choice != "train"


def packaged(run: Run) -> Archive:
    if not run.model.is_dir():
        raise VerbError(f"{run.model}: there is no model yet; `make train` makes one")
    out = run.project / "build" / "model.tar.gz"
    with terminal.working("package the model") as say:
        root = rayserve.write(run.config, run.project, run.project / "build" / "ray-serve")
        beside = package.Beside(run.variant, root)
        built = package.build(run.model, run.code, out, lambda size: say(f"{size / 1e6:,.0f} MB"), beside)
    if lighter := variants.chosen(run.variant):
        terminal.line(f"in the model's place: {lighter.kind}, {lighter.told} (`make optimize`)")
    return built


def desired(run: Run) -> list[Resource]:
    """What is to be there: the kit's image, where that is what serves, and all that the archive needs."""
    kits = image.desired(run.config, run.project, run.cloud)
    return [*kits, *run.target.desired(run.config, packaged(run))]


def observed(run: Run) -> list[Resource]:
    with terminal.working("look at what is there") as say:
        run.target.settle(run.config, lambda state: say(f"endpoint: {state}"))
        return run.target.observed(run.config)


def everything(run: Run) -> list[Resource]:
    return [*run.target.traces(run.config), *observed(run)]
