"""What buying an offer is worth, in accuracy points."""

from __future__ import annotations

from easeml_ray.errors import InvalidArgument
from easeml_ray.market.offers import OfferValue
from easeml_ray.messages import Gain

__all__ = ["to_gain"]


def to_gain(value: OfferValue, *, current_accuracy: float, target_accuracy: float) -> Gain:
    """Map the rise of the utility by an offer, alone or in a plan, to a rise of the model's accuracy."""
    # The utility is the share of a development row's neighbours that have its label, the expected accuracy of
    # a rule that asks one of them at random. A point of it is taken as a point of accuracy, up to the target.
    for name, accuracy in (("current_accuracy", current_accuracy), ("target_accuracy", target_accuracy)):
        if not 0.0 <= accuracy <= 1.0:
            raise InvalidArgument(
                f"{name} is {accuracy}", hint="Give a share between 0 and 1.", argument=name
            )
    room = max(0.0, target_accuracy - current_accuracy)
    low, high = value.interval
    return Gain(min(value.gain, room), min(low, room), min(high, room))
