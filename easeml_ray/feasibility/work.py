"""FeasibilityEstimator's work: one study of one version."""

from __future__ import annotations

from easeml_ray.feasibility.messages import Report, Studied, StudyVersion
from easeml_ray.feasibility.study import study
from easeml_ray.messages import Pillar
from easeml_ray.process.component import Bench, Job, Perform
from easeml_ray.registry.data import encoded

__all__ = ["WORK", "study_version"]


def study_version(job: Job, bench: Bench) -> Report:
    """Study a version in its most probable world; the whole report becomes a blob."""
    body: StudyVersion = job.body
    version = body.version
    train = encoded(bench, job.tenant, version, Pillar.TRAIN)
    development = encoded(bench, job.tenant, version, Pillar.DEVELOPMENT)
    report = study(
        train.X,
        train.y,
        development.X,
        development.y,
        target_accuracy=body.target_accuracy,
        n_classes=version.n_classes,
        # The same prefixes and bootstrap worlds for every version of a project, so that
        # two reports differ by the data and not by the draw.
        seed=0,
    )
    return Report(
        Studied(
            number=version.number,
            target_accuracy=body.target_accuracy,
            decision=report.decision.value,
            belief=report.belief,
            ber_lower=report.ber_lower,
            ber_upper=report.ber_upper,
            ber_interval=report.ber_interval,
            best_embedding=report.best_embedding,
            advice=report.advice,
            method=report.method,
            report=bench.blobs.put_json(job.tenant, report.to_dict()),
        )
    )


WORK: dict[type, Perform] = {StudyVersion: study_version}
