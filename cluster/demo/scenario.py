"""Takes applications from nothing to an answering endpoint, several at once, through the client.

A player does one step at a time, and each step follows from what the system answers, so that a
demonstration that was interrupted goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.demo.application import Application
from cluster.follow import open_kinds, settled
from cluster.narrator import Narrator, Tell
from easeml_ray.errors import DeadlineExceeded, NotFound, NotReady

if TYPE_CHECKING:
    from easeml_ray.client import Client

__all__ = ["Player", "play"]

_AT_ONCE = 150  # answers of one step
_LEASE_SECONDS = 60.0  # a demonstration that was ended between lease and answer waits so long
_CHUNK = 20  # realtime rows of one step: the picker asks in between
_CHOSEN = ("DECIDED", "RELEASED")


class Player:
    """One application and the people around it.

    Parameters
    ----------
    client : Client
        Of the application's tenant.
    application : Application
        What is played.
    tell : callable
        Takes each line of the story once.
    """

    def __init__(self, client: Client, application: Application, tell: Tell) -> None:
        self.application = application
        self.done = False
        self.moved_at = time.monotonic()
        self.shown: Mapping[str, Any] | None = None
        self._client = client
        self._name = application.project
        self._narrator = Narrator(client, application.project, tell)
        self._sent: int | None = None
        self._right = 0
        self._answered = 0

    def step(self) -> bool:
        """Do what can be done now; False when the system is to be waited for."""
        before = self.shown
        self.shown = self._look()
        if self.shown is not None:
            self._narrator.look(self.shown)
        acted = self._prepare() or self._answer() or self._stream()
        if acted or self.shown != before:
            self.moved_at = time.monotonic()
        return acted

    def _look(self) -> Mapping[str, Any] | None:
        try:
            return self._client.project(self._name)
        except NotFound:
            return None

    # -- before the data are in -----------------------------------------------------------------

    def _prepare(self) -> bool:
        application, shown = self.application, self.shown
        if shown is None:
            self._client.create_project(self._name, application.task)
            self._narrator.say("project", application.story)
        elif shown["version"] is None:
            if application.offers and shown["control"] == "RUNNING":
                # The first choice of what to improve shall see what can be bought.
                self._client.control(self._name, "pause")
            self._client.upload(self._name, application.upload, "csv")
        elif not self._offer() and shown["control"] == "PAUSED":
            self._client.control(self._name, "resume")
        else:
            return False
        return True

    def _offer(self) -> bool:
        if not self.application.offers or self.shown is None or self.shown["control"] != "PAUSED":
            return False
        made = {offer["offer"] for offer in self._client.market(self._name)["offers"]}
        missing = [offer for offer in self.application.offers if offer.offer not in made]
        for offer in missing:
            self._client.offer(
                self._name, offer.offer, offer.seller, offer.data, offer.price_cents, offer.terms, "csv"
            )
        return bool(missing)

    # -- people -----------------------------------------------------------------------------------

    def _answer(self) -> bool:
        annotator = self.application.annotator
        if self.shown is None:
            return False
        wanted = open_kinds(self.shown, annotator.kinds)
        if not wanted:
            return False
        leased = self._client.lease(self._name, sorted(wanted), _AT_ONCE, _LEASE_SECONDS, rows=True)[
            "requests"
        ]
        answers = {request["id"]: annotator.answer(request) for request in leased}
        known = {number: value for number, value in answers.items() if value is not None}
        unknown = [number for number, value in answers.items() if value is None]
        if known:
            self._client.answer(self._name, known)
        if unknown:
            self._client.skip(self._name, unknown)
        self._tell_answers(leased, known)
        return bool(leased)

    def _tell_answers(self, leased: Sequence[Mapping[str, Any]], known: Mapping[int, Any]) -> None:
        by = self.application.annotator.name
        kinds = {request["kind"] for request in leased}
        if kinds == {"LABEL_REALTIME"}:
            return  # told with the window
        for kind in sorted(kinds):
            mine = [request for request in leased if request["kind"] == kind]
            given = [known[request["id"]] for request in mine if request["id"] in known]
            text = f"{len(given)} of {len(mine)} {kind} answered by {by}"
            if kind == "RELABEL":
                wrong = sum(known.get(r["id"], r["payload"]["given"]) != r["payload"]["given"] for r in mine)
                text += f": {wrong} labels were wrong"
            elif kind in ("BUY_ROW", "OVERRIDE_TARGET"):
                text += f": {', '.join(map(str, given))}"
            self._narrator.say("answers", text)

    # -- the endpoint -----------------------------------------------------------------------------

    def _stream(self) -> bool:
        if self.shown is None or self.shown["phase"] != "READY":
            return False
        if not settled(self._client.models(self._name)):
            return False
        pool = self._client.pool(self._name)
        if pool["deployed"] is None:
            self._narrator.say("end", "no model passed the gate; nothing is deployed")
            self.done = True
            return False
        if self._sent is None:
            self._sent = sum(window["rows"] for window in pool["windows"])
            self._narrator.say(
                "endpoint",
                f"{pool['deployed']['arm']} answers, trained on version {pool['deployed']['version']}",
            )
        rows = self.application.stream[self._sent : self._sent + _CHUNK]
        if rows:
            return self._predict(rows)
        self.done = any(window["state"] in _CHOSEN for window in pool["windows"])
        if self.done:
            self._narrator.look(self.shown)
        return False

    def _predict(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        assert self._sent is not None
        try:
            labels = self._client.predict(self._name, [dict(row) for row in rows])["labels"]
        except NotReady:
            return False  # the endpoint has not seen the deployment yet
        truth = self.application.annotator
        for row, label in zip(rows, labels, strict=True):
            self._right += label == truth.answer({"kind": "LABEL_REALTIME", "payload": {}, "row": row})
        self._sent += len(rows)
        self._answered += len(rows)
        if self._sent == len(self.application.stream):
            said = f"{self._sent} rows came in; {self._right} of {self._answered} answered right"
            self._narrator.say("stream", said)
        return True

    # -- the end ----------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """Return where the application ended: what is deployed, what it cost, what it removed."""
        shown = self._client.project(self._name)
        pool = self._client.pool(self._name)
        bill = self._client.ledger(self._name)
        eras = self._client.gate(self._name)["eras"]
        return {
            "tenant": self.application.tenant,
            "project": self._name,
            "phase": shown["phase"],
            "decision": shown["decision"],
            "ber_interval": shown["ber_interval"],
            "target_accuracy": shown["target_accuracy"],
            "version": shown["version"],
            "deployed": pool["deployed"],
            "verdicts": [verdict["verdict"] for era in eras for verdict in era["verdicts"]],
            "windows": pool["windows"],
            "bill": bill,
        }


def play(
    players: Sequence[Player],
    *,
    pause: float = 0.3,
    patience: float = 300.0,
    watch: Callable[[Sequence[Player]], None] = lambda players: None,
) -> list[dict[str, Any]]:
    """Play all applications to their end, turn by turn.

    Parameters
    ----------
    players : sequence of Player
        One an application.
    pause : float
        Seconds to wait when no player could do anything.
    patience : float
        Seconds without any change after which a player is given up.
    watch : callable
        Sees the players after every turn.

    Returns
    -------
    list of dict
        The results, in the players' order.

    Raises
    ------
    DeadlineExceeded
        When nothing changed for too long, with the project's last problem.
    """
    while True:
        playing = [player for player in players if not player.done]
        if not playing:
            return [player.result() for player in players]
        acted = [player.step() for player in playing]
        watch(players)
        for player in playing:
            if time.monotonic() - player.moved_at > patience:
                raise _stuck(player, patience)
        if not any(acted):
            time.sleep(pause)


def _stuck(player: Player, patience: float) -> DeadlineExceeded:
    shown = player.shown or {}
    problem = shown.get("problem") or {}
    return DeadlineExceeded(
        f"{player.application.project} stands still in {shown.get('phase', 'nothing')}"
        + (f": {problem['message']}" if problem else ""),
        hint="Run the demo again to go on where it is; easeml doctor looks at the machine.",
        seconds=patience,
    )
