"""TenantScheduler's work: one trial, on one warm worker."""

from __future__ import annotations

from easeml_ray.arms.arms import FLOOR
from easeml_ray.arms.model import ModelMetadata, ServableModel, dump
from easeml_ray.arms.training import train
from easeml_ray.automl.messages import RunTrial, TrialDone
from easeml_ray.component.base import Bench, Job, Perform
from easeml_ray.component.data import encoded, load_encoder, load_schema
from easeml_ray.embed import Classes
from easeml_ray.messages import Pillar

__all__ = ["WORK", "run_trial"]


def run_trial(job: Job, bench: Bench) -> TrialDone:
    """Train an arm on train, measure it on development, store the model."""
    body: RunTrial = job.body
    version = body.version
    rows = encoded(bench, job.tenant, version, Pillar.TRAIN)
    development = encoded(bench, job.tenant, version, Pillar.DEVELOPMENT)
    trained = train(
        body.arm,
        rows.X,
        rows.y,
        development.X,
        development.y,
        n_classes=version.n_classes,
        seed=body.seed,
    )
    schema = load_schema(bench, job.tenant, version)
    model = ServableModel(
        trained.estimator,
        load_encoder(bench, job.tenant, version),
        Classes(tuple(schema["classes"])),
        ModelMetadata(
            arm=body.arm,
            project=version.project,
            data_version=version.number,
            dev_accuracy=trained.dev_accuracy,
            dev_lower=trained.dev_lower,
            dev_rows=trained.dev_rows,
            seed=body.seed,
        ),
    )
    return TrialDone(
        version=version.number,
        arm=body.arm,
        model=bench.blobs.put(job.tenant, dump(model)),
        floor=body.arm == FLOOR,
        development_accuracy=trained.dev_accuracy,
        development_lower=trained.dev_lower,
        seconds=trained.seconds,
    )


WORK: dict[type, Perform] = {RunTrial: run_trial}
