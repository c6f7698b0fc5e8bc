"""TenantScheduler's work: trials, each on one warm worker."""

from __future__ import annotations

from easeml_ray.arms import FLOOR, ModelMetadata, ServableModel, class_probabilities, dump, train
from easeml_ray.automl.messages import CompareVersions, ReportComparison, RunTrial, TrialDone
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import VersionData, most_probable
from easeml_ray.gains import paired_gain

__all__ = ["WORK", "compare_versions", "run_trial"]


def run_trial(job: Job, bench: Bench) -> TrialDone:
    """Train an arm on train, measure it on development, store the model."""
    body: RunTrial = job.body
    data = VersionData(bench, job.tenant, body.version)
    trained = train(
        body.arm,
        data.train.X,
        data.train.y,
        data.development.X,
        data.development.y,
        n_classes=body.version.n_classes,
        seed=body.seed,
    )
    model = ServableModel(
        trained.estimator,
        data.encoder,
        data.classes,
        ModelMetadata(
            arm=body.arm,
            project=body.version.project,
            data_version=body.version.number,
            dev_accuracy=trained.dev_accuracy,
            dev_lower=trained.dev_lower,
            dev_rows=trained.dev_rows,
            seed=body.seed,
        ),
    )
    return TrialDone(
        version=body.version.number,
        arm=body.arm,
        model=bench.blobs.put(job.tenant, dump(model)),
        floor=body.arm == FLOOR,
        development_accuracy=trained.dev_accuracy,
        development_lower=trained.dev_lower,
        seconds=trained.seconds,
    )


def compare_versions(job: Job, bench: Bench) -> ReportComparison:
    """Train the arm on both versions, with one seed, and ask both about the newer development rows."""
    # The ranking of the Cleaner speaks of a vote of nearest neighbours: this tells whether a model of another
    # family gained as well. A step may have corrected development labels, so both are judged by the newer
    # ones.
    body: CompareVersions = job.body
    after = VersionData(bench, job.tenant, body.after)
    table = most_probable(bench.table(body.after.development))
    y = after.development.y
    right = []
    for data in (VersionData(bench, job.tenant, body.before), after):
        # Each model reads the rows by the encoder that its own version was given.
        X, n_classes = data.encoder.transform(table), data.version.n_classes
        trained = train(body.arm, data.train.X, data.train.y, X, y, n_classes=n_classes, seed=job.seed)
        right.append(class_probabilities(trained.estimator, X, n_classes).argmax(axis=1) == y)
    return ReportComparison(
        command=body,
        rows=len(y),
        before=float(right[0].mean()),
        after=float(right[1].mean()),
        gain=paired_gain(*right, target=body.target_accuracy),
    )


WORK: dict[type, Perform] = {RunTrial: run_trial, CompareVersions: compare_versions}
