"""A warm trial worker: it has imported what training needs once and trains one arm after another."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ray

from actors.config import SystemConfig
from actors.tasks.work import perform
from easeml_ray.arms.estimators import skops_io
from easeml_ray.component.base import Job

__all__ = ["TrialWorker"]


class TrialWorkerActor:
    """One slot of the pool; a child of TenantScheduler, so that it ends with it."""

    def __init__(self, config: SystemConfig) -> None:
        # Warm before the first trial: scikit-learn and skops cost seconds to import.
        import_module("easeml_ray.automl.work")
        skops_io()

        if config.trial_gpus:
            import torch

            if torch.cuda.is_available():
                # Ray's fraction is bookkeeping: nothing else keeps a slot from its neighbour's memory.
                torch.cuda.set_per_process_memory_fraction(min(config.trial_gpus, 1.0))
        self.config = config

    def run(self, job: Job) -> Any:
        """Train one arm and return the command body that reports it."""
        return perform(self.config, "automl", job)


TrialWorker = ray.remote(TrialWorkerActor)
