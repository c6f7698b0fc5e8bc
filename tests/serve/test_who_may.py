"""Tokens, roles, tenants: who may do what, and what others never learn."""

from __future__ import annotations

import asyncio
import time

import pytest
from harness import asked as question

from easeml_ray import Client
from easeml_ray.errors import Forbidden, InvalidSpec, NotFound, Unauthenticated
from easeml_ray.messages import Principal, Role
from easeml_ray.oracle.messages import Kind, OpenRequests
from easeml_ray.process.messages import ShowTenants
from serve.auth import Authenticator, make_token, token_hash
from tests.serve.house import TASK, House, table

PROJECT_ROUTES = [
    ("GET", ""),
    ("GET", "/data"),
    ("GET", "/data/train/rows?ids=1"),
    ("GET", "/feasibility"),
    ("GET", "/feasibility/picture"),
    ("GET", "/cleaning"),
    ("GET", "/cleaning/picture"),
    ("GET", "/market/picture"),
    ("GET", "/market"),
    ("GET", "/models"),
    ("GET", "/gate"),
    ("GET", "/pool"),
    ("GET", "/ledger"),
    ("GET", "/next"),
    ("GET", "/requests/1"),
    ("PUT", "/data"),
    ("PUT", "/data/stable"),
    ("POST", "/market/offers?offer=o&seller=s&price_cents=1"),
    ("POST", "/market/audit"),
    ("POST", "/control"),
    ("POST", "/improve"),
    ("POST", "/target"),
    ("POST", "/feasibility/cancel"),
    ("POST", "/requests/lease"),
    ("POST", "/requests/answers"),
    ("POST", "/requests/skip"),
    ("POST", "/requests/close"),
]
BODY = {
    "/control": {"event": "pause"},
    "/improve": {"reason": "r"},
    "/target": {"train": True},
    "/requests/lease": {},
    "/requests/answers": {"answers": [{"request": 1, "value": "dwarf"}]},
    "/requests/skip": {"requests": [1]},
    "/requests/close": {"batch": "b"},
}


def token_of(client: Client) -> str:
    return client._headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture(scope="module")
def mallory(house: House) -> Client:
    return house.new("mallory")


@pytest.fixture(scope="module")
def asked(house: House, stars: Client) -> dict[str, int]:
    """Open a labelling request and one that decides something, about ``stars``."""
    found = {}
    for kind, choices in ((Kind.LABEL_ROW, ("dwarf", "giant")), (Kind.OVERRIDE_TARGET, ())):
        items = (question(f"{kind}-1", "" if choices else "decision"),)
        body = OpenRequests(
            kind=kind,
            batch=f"roles-{kind}",
            asker="tests",
            title="Which?",
            items=items,
            choices=choices,
            gain=None,
            deadline=4e9,
            answers_per_item=1,
        )
        root = Principal("ann", Role.SYSTEM, "tests")
        found[kind.value] = house.run(house.system.handle("oracle", "stars", root, body))["first"]
    return found


@pytest.mark.parametrize("token", [None, "nobody", "ann." + "x" * 43, "x" * 600])
@pytest.mark.parametrize("path", ["/v1/projects", "/v1/projects/stars", "/v2/models/stars"])
def test_a_token_that_nobody_knows_is_refused(
    house: House, stars: Client, token: str | None, path: str
) -> None:
    answer = house.http(token).get(path)
    assert answer.status_code == 401 and answer.json()["kind"] == "Unauthenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["hint"]
    with pytest.raises(Unauthenticated):
        house.client(token).project("stars")


@pytest.mark.parametrize(("method", "rest"), PROJECT_ROUTES)
def test_a_project_of_another_tenant_is_not_there(
    house: House, stars: Client, mallory: Client, method: str, rest: str
) -> None:
    before = house.events
    http = house.http(token_of(mallory))
    sent = {"json": BODY[rest]} if rest in BODY else {}
    theirs = http.request(method, f"/v1/projects/stars{rest}", **sent).json()
    nowhere = http.request(method, f"/v1/projects/nowhere{rest}", **sent).json()
    assert theirs["status"] == nowhere["status"] == 404, (theirs, nowhere)
    # Word for word the same but for the name: the answer does not say which of the two it is.
    assert str(theirs).replace("stars", "nowhere") == str(nowhere)
    assert house.events == before


def test_nothing_of_other_tenants_is_listed_or_predicted(
    house: House, stars: Client, mallory: Client
) -> None:
    assert mallory.projects() == [] and mallory.requests() == []
    with pytest.raises(NotFound):
        mallory.requests("stars")
    for call in (
        lambda: mallory.predict("stars", [{}]),
        lambda: mallory.served("stars"),
        lambda: mallory.feedback("stars", "0" * 32 + ":0", "dwarf"),
    ):
        with pytest.raises(NotFound, match="no project stars"):
            call()


def test_tenants_do_not_make_tenants(house: House, mallory: Client) -> None:
    with pytest.raises(Forbidden):
        mallory.create_tenant("friend")
    with pytest.raises(Forbidden):
        mallory.tenants()


def test_an_admin_sees_every_project_and_acts_for_its_owner(house: House, stars: Client) -> None:
    assert "stars" in {p["project"] for p in house.admin.projects()}
    assert house.admin.predict("stars", [{"size": 3, "weight": -2, "colour": None}])["labels"]
    house.admin.control("stars", "pause")
    event = house.system.store.read(prefix="process/stars")[-1]
    assert (event.tenant, event.body.control) == ("ann", "PAUSED")
    house.admin.control("stars", "resume")


def test_a_token_is_shown_once_and_stored_as_its_hash(house: House) -> None:
    made = house.admin.create_tenant("hash-only", actor="cron")
    assert made["token"].startswith("hash-only.cron.") and made["actor"] == "cron"
    tenants = house.run(house.system.read("process", "_system", ShowTenants()))["tenants"]
    assert tenants["hash-only"] == {token_hash(made["token"]): "tenant"}
    assert made["token"] not in str(house.system.store.read())
    listed = {t["tenant"]: t["tokens"] for t in house.admin.tenants()}
    assert listed["hash-only"] == {"tenant": 1}
    assert made["token"] not in house.http(made["token"]).get("/v1/projects").text


@pytest.mark.parametrize(
    ("name", "role", "actor"), [("a.b", "tenant", None), ("ok", "king", None), ("ok", "tenant", "A b")]
)
def test_tenants_with_impossible_names_or_roles_are_refused(
    house: House, name: str, role: str, actor: str | None
) -> None:
    before = house.events
    with pytest.raises(InvalidSpec):
        house.admin.create_tenant(name, role, actor=actor)
    assert house.events == before


def test_an_annotator_labels_and_does_nothing_else(
    house: House, stars: Client, asked: dict[str, int]
) -> None:
    bob = house.new("ann", "annotator", "bob")
    label, decision = asked["LABEL_ROW"], asked["OVERRIDE_TARGET"]
    assert {label, decision} <= {r["id"] for r in bob.requests("stars")}
    assert bob.request("stars", label)["kind"] == "LABEL_ROW"
    leased = bob.lease("stars")
    assert decision not in {r["id"] for r in leased["requests"]}
    before = house.events
    for call in (
        lambda: bob.answer("stars", {decision: "train"}),
        lambda: bob.skip("stars", [decision]),
        lambda: bob.lease("stars", kinds=["OVERRIDE_TARGET"]),
        lambda: bob.close("stars", "roles-LABEL_ROW"),
        lambda: bob.projects(),
        lambda: bob.project("stars"),
        lambda: bob.rows("stars", "train", [1]),
        lambda: bob.ledger("stars"),
        lambda: bob.market("stars"),
        lambda: bob.upload("stars", b"x"),
        lambda: bob.predict("stars", [{}]),
    ):
        with pytest.raises(Forbidden):
            call()
    assert house.events == before
    assert bob.answer("stars", {label: "dwarf"})["closed"] == 1
    answered = house.system.store.read(prefix="oracle/stars")[-1]
    assert answered.body.command.annotator == "bob" and answered.tenant == "ann"


def test_two_annotators_without_a_name_are_two_persons(house: House) -> None:
    made = [house.admin.create_tenant("ann", "annotator")["actor"] for _ in range(2)]
    assert made[0] != made[1]


def test_a_seller_offers_in_its_own_name_and_sees_only_its_own(house: House, stars: Client) -> None:
    shop, rival = (house.new("ann", "seller", name) for name in ("shop", "rival"))
    rows = table(30, seed=11)
    assert shop.offer("stars", "lot-1", None, rows, 500)["rows"] == 30
    rival.offer("stars", "lot-2", "rival", table(25, seed=12), 400, terms="once")
    with pytest.raises(Forbidden, match="in the name of shop"):
        rival.offer("stars", "lot-3", "shop", rows, 1)
    assert [o["offer"] for o in shop.market("stars")["offers"]] == ["lot-1"]
    assert "options" not in shop.market("stars") and shop.market("stars")["audit"] is None
    with pytest.raises(Forbidden):
        shop.audit("stars")
    assert {o["offer"] for o in stars.market("stars")["offers"]} >= {"lot-1", "lot-2"}
    for call in (
        lambda: shop.project("stars"),
        lambda: shop.requests("stars"),
        lambda: shop.feasibility("stars"),
        lambda: shop.predict("stars", [{}]),
    ):
        with pytest.raises(Forbidden):
            call()


def test_rows_that_the_tests_hold_out_cannot_be_sold(house: House, stars: Client) -> None:
    shop = house.new("ann", "seller", "thief")
    before = house.events
    with pytest.raises(Exception, match="held out") as refused:
        shop.offer("stars", "stolen", None, table(300), 100)
    assert type(refused.value).__name__ == "HeldOutOverlap"
    assert house.events == before + 1 and not shop.market("stars")["offers"]
    (noted,) = house.admin.market("stars")["refused"]
    assert (noted["offer"], noted["seller"], noted["held_out"]) == ("stolen", "thief", refused.value.count)


def test_a_new_token_is_known_at_once_and_guessing_costs_few_looks(house: House) -> None:
    looks = 0

    class Counting:
        async def read(self, component: str, project: str, query: object) -> dict[str, object]:
            nonlocal looks
            looks += 1
            return await house.system.read(component, project, query)

    async def play() -> None:
        authenticator = Authenticator(Counting(), seconds=60.0, again=0.2)  # type: ignore[arg-type]
        started = time.monotonic()
        for _ in range(3):
            guesses = [authenticator.principal(make_token("ann")) for _ in range(20)]
            refused = await asyncio.gather(*guesses, return_exceptions=True)
            assert all(isinstance(error, Unauthenticated) for error in refused)
        # Those that guess together share looks, and wait for them.
        assert looks <= 6
        assert time.monotonic() - started >= 0.2 * (looks - 1)
        # A token made just after a look is known to the first request with it.
        made = (await asyncio.to_thread(house.admin.create_tenant, "newcomer"))["token"]
        assert (await authenticator.principal(made)).tenant == "newcomer"

    house.run(play())


def test_a_known_token_passes_while_the_system_restarts(house: House) -> None:
    made = house.admin.create_tenant("steady")["token"]

    class Failing:
        down = False

        async def read(self, component: str, project: str, query: object) -> dict[str, object]:
            if self.down:
                raise RuntimeError("Lifecycle is restarting")
            return await house.system.read(component, project, query)

    async def play() -> Principal:
        system = Failing()
        authenticator = Authenticator(system, seconds=0.0, grace=60.0)  # type: ignore[arg-type]
        await authenticator.principal(made)
        system.down = True
        return await authenticator.principal(made)

    assert house.run(play()) == Principal("steady", Role.TENANT, "steady")


def test_the_task_of_a_foreign_project_is_not_told_by_its_name(house: House, mallory: Client) -> None:
    with pytest.raises(Exception, match="exists") as refused:
        mallory.create_project("stars", TASK)
    assert "kind" not in str(refused.value.fields)
