"""The agent as its callers see it, in virtual time against a real catalogue."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lictor.registry.agent.checks.http import HTTPResponse
from lictor.registry.agent.checks.runner import MAX_COMMANDS
from lictor.registry.agent.checks.script import Ran
from lictor.registry.agent.definitions import CheckDefinition, ServiceDefinition
from lictor.registry.answers import encode_json
from lictor.registry.commands import DeregisterEntity, RegisterEntity
from lictor.registry.errors import (
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Refused,
    RegistryError,
)

from .world import World, settle

DATA = Path("/data")
SECOND = 1_000_000_000


def service(**said: Any) -> ServiceDefinition:
    return msgspec.convert(said, ServiceDefinition)


def check(**said: Any) -> CheckDefinition:
    return msgspec.convert(said, CheckDefinition)


def ttl(seconds: float, **said: Any) -> dict[str, Any]:
    return {"TTL": int(seconds * SECOND), **said}


def answer(status: int = 200, reason: str = "OK", body: bytes = b"hello") -> HTTPResponse:
    return HTTPResponse(status=status, reason=reason, body=body)


async def test_a_service_and_its_checks_reach_the_catalogue_in_one_command():
    async with World() as w:
        before = len(w.registry.commands)
        await w.agent.register_service(service(Name="web", Port=80, Checks=[ttl(9), ttl(9)]))
        (command,) = w.registry.commands[before:]
        assert isinstance(command, RegisterEntity)
        assert command.skip_node_update
        assert [each.check_id for each in command.checks] == ["service:web:1", "service:web:2"]
        assert w.registry.services()["web"].port == 80


async def test_the_node_is_registered_at_the_start():
    async with World(meta={"rack": "4"}) as w:
        (command,) = w.registry.commands
        assert command.node.meta == {"consul-network-segment": "", "rack": "4"}
        assert command.node.tagged_addresses == {"lan": "10.0.0.1"}


async def test_registering_succeeds_without_servers_and_syncs_when_they_are_back():
    async with World() as w:
        w.registry.leader = False
        task = asyncio.ensure_future(w.agent.register_service(service(Name="web")))
        await w.clock.advance(1)
        await task
        assert w.registry.services() == {}
        w.registry.leader = True
        await w.clock.advance(3)
        assert "web" in w.registry.services()


async def test_what_others_add_to_this_node_goes_at_the_next_full_sync():
    async with World() as w:
        await w.agent.register_service(service(Name="web"))
        record = msgspec.structs.replace(w.registry.services()["web"], id="ghost", name="ghost")
        await w.registry.write(RegisterEntity(w.identity.node, record))
        await w.clock.advance(121)
        assert set(w.registry.services()) == {"web"}


async def test_what_others_change_or_remove_is_put_back():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Port=1, Check=ttl(900)))
        await w.agent.register_service(service(Name="api", Port=2))
        record = msgspec.structs.replace(w.registry.services()["web"], port=99)
        await w.registry.write(RegisterEntity(w.identity.node, record))
        await w.registry.write(DeregisterEntity("n1", check_id="service:web"))
        await w.registry.write(DeregisterEntity("n1", service_id="api"))
        await w.clock.advance(121)
        assert {name: each.port for name, each in w.registry.services().items()} == {
            "web": 1,
            "api": 2,
        }
        assert set(w.registry.checks()) == {"service:web"}


async def test_with_tag_override_the_catalogues_tags_win_and_the_rest_is_put_back():
    async with World() as w:
        await w.agent.register_service(
            service(Name="web", Port=1, Tags=["a"], EnableTagOverride=True)
        )
        record = msgspec.structs.replace(w.registry.services()["web"], port=99, tags=("b",))
        await w.registry.write(RegisterEntity(w.identity.node, record))
        await w.clock.advance(121)
        assert w.agent.services()["web"].tags == ("b",)
        assert (w.registry.services()["web"].port, w.registry.services()["web"].tags) == (1, ("b",))


async def test_with_tag_override_tags_registered_anew_are_pushed():
    async with World() as w:
        for tags in (["a"], ["c"]):
            await w.agent.register_service(service(Name="web", Tags=tags, EnableTagOverride=True))
        assert w.registry.services()["web"].tags == ("c",)


async def test_with_tag_override_tags_registered_while_nobody_listened_are_pushed():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Tags=["a"], EnableTagOverride=True))
        w.registry.leader = False
        said = service(Name="web", Tags=["c"], EnableTagOverride=True)
        task = asyncio.ensure_future(w.agent.register_service(said))
        await w.clock.advance(1)
        await task
        w.registry.leader = True
        await w.clock.advance(3)
        assert w.registry.services()["web"].tags == ("c",)


async def test_after_a_failure_the_catalogue_is_read_anew():
    async with World() as w:
        await w.agent.register_service(service(Name="web"))
        record = msgspec.structs.replace(w.registry.services()["web"], id="ghost", name="ghost")
        await w.registry.write(RegisterEntity(w.identity.node, record))
        w.registry.leader = False
        await w.agent.deregister_check("nothing")
        await w.agent.node_maintenance(enable=False)
        task = asyncio.ensure_future(w.agent.node_maintenance(enable=True))
        await w.clock.advance(1)
        await task
        w.registry.leader = True
        await w.clock.advance(3)
        assert set(w.registry.services()) == {"web"}


async def test_a_quiet_agent_writes_nothing_at_a_full_sync():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Tags=["a"], Meta={}, Checks=[ttl(9999)]))
        before = len(w.registry.commands)
        await w.clock.advance(600)
        assert len(w.registry.commands) == before


async def test_a_refused_service_does_not_keep_the_others_back():
    async with World() as w:
        w.registry.refuse["bad"] = Refused("no")
        await w.agent.register_service(service(Name="bad"))
        await w.agent.register_service(service(Name="good"))
        await w.clock.advance(1)
        assert set(w.registry.services()) == {"good"}
        w.registry.refuse.clear()
        await w.clock.advance(31)
        assert set(w.registry.services()) == {"good", "bad"}


async def test_a_long_outage_ends_for_the_agent_when_it_is_told_of_a_leader():
    async with World() as w:
        w.registry.leader = False
        task = asyncio.ensure_future(w.agent.register_service(service(Name="web")))
        await w.clock.advance(300)
        await task
        w.registry.leader = True
        w.agent.sync.request_full(within=3.0)
        await w.clock.advance(3.1)
        assert set(w.registry.services()) == {"web"}


async def test_a_denied_service_waits_for_the_next_full_sync():
    async with World() as w:
        w.registry.refuse["web"] = PermissionDenied("Permission denied")
        await w.agent.register_service(service(Name="web"))
        del w.registry.refuse["web"]
        await w.clock.advance(20)
        assert w.registry.services() == {}
        await w.clock.advance(100)
        assert set(w.registry.services()) == {"web"}


async def test_a_ttl_check_lives_as_long_as_it_is_renewed():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Check=ttl(10)))
        await w.agent.update_ttl("service:web", "passing", "fine")
        assert w.registry.checks()["service:web"].status == "passing"
        await w.clock.advance(9)
        await w.agent.update_ttl("service:web", "passing", "fine")
        await w.clock.advance(9)
        assert w.registry.checks()["service:web"].status == "passing"
        await w.clock.advance(2)
        found = w.registry.checks()["service:web"]
        assert found.status == "critical"
        assert found.output == "TTL expired (last output before timeout follows): fine"


async def test_a_ttl_check_that_never_spoke_expires_in_few_words():
    async with World() as w:
        await w.agent.register_check(check(Name="c", **ttl(10)))
        await w.clock.advance(11)
        assert w.agent.checks()["c"].output == "TTL expired"


async def test_long_output_is_cut():
    async with World() as w:
        await w.agent.register_check(check(Name="c", OutputMaxSize=5, **ttl(10)))
        await w.agent.update_ttl("c", "passing", "1234567890")
        assert w.agent.checks()["c"].output == "12345 ... (captured 5 of 10 bytes)"


async def test_output_alone_is_published_late_and_a_status_at_once():
    async with World(check_update_interval=30.0) as w:
        await w.agent.register_check(check(Name="c", **ttl(900)))
        await w.agent.update_ttl("c", "passing", "one")
        await w.agent.update_ttl("c", "passing", "two")
        await w.clock.advance(14.9)  # half of the interval, and a random part of the other half
        assert w.agent.checks()["c"].output == "two"
        assert w.registry.checks()["c"].output == "one"
        await w.clock.advance(15.2)
        assert w.registry.checks()["c"].output == "two"


@pytest.mark.parametrize(
    ("check_id", "status", "error", "text"),
    [
        ("c", "bogus", InvalidRequest, "Invalid check status: 'bogus'"),
        ("nope", "passing", Refused, 'CheckID "nope" does not have associated TTL'),
        ("tcp", "passing", Refused, 'CheckID "tcp" does not have associated TTL'),
        (
            "_node_maintenance",
            "passing",
            Refused,
            'CheckID "_node_maintenance" does not have associated TTL',
        ),
    ],
)
async def test_what_is_no_ttl_update_is_refused(check_id, status, error, text):
    async with World() as w:
        await w.agent.register_check(check(Name="c", **ttl(9)))
        await w.agent.register_check(check(Name="tcp", TCP="x:1", Interval=100 * SECOND))
        await w.agent.node_maintenance(enable=True)
        with pytest.raises(error) as caught:
            await w.agent.update_ttl(check_id, status, "")
        assert str(caught.value) == text


async def test_an_http_check_runs_at_its_interval_without_drift():
    async with World() as w:
        w.http.answers["http://web/"] = answer()
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=10 * SECOND))
        await w.clock.advance(100)
        times = [at for at, _ in w.http.asked]
        assert len(times) == 10
        assert {round(b - a, 6) for a, b in pairwise(times)} == {10.0}
        found = w.registry.checks()["c"]
        assert found.status == "passing"
        assert found.output == "HTTP GET http://web/: 200 OK Output: hello"


async def test_a_slow_check_keeps_its_rhythm_and_does_not_pile_up():
    async with World() as w:

        async def slow(request: Any) -> HTTPResponse:
            await w.clock.sleep(15)
            return answer()

        w.http.answers["http://web/"] = slow
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=10 * SECOND))
        await w.clock.advance(100)
        times = [at for at, _ in w.http.asked]
        assert {round(b - a, 6) for a, b in pairwise(times)} == {20.0}


async def test_registering_the_same_check_again_neither_restarts_nor_resets_it():
    async with World() as w:
        w.http.answers["http://web/"] = answer()
        said = check(Name="c", HTTP="http://web/", Interval=10 * SECOND)
        for _ in range(12):
            await w.agent.register_check(said)
            await w.clock.advance(5)
        times = [at for at, _ in w.http.asked]
        assert {round(b - a, 6) for a, b in pairwise(times)} == {10.0}
        assert w.agent.checks()["c"].status == "passing"


async def test_a_prober_that_breaks_makes_the_check_critical_and_runs_on():
    async with World() as w:

        async def broken(request: Any) -> HTTPResponse:
            raise KeyError("oops")

        w.http.answers["http://web/"] = broken
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=10 * SECOND))
        await w.clock.advance(25)
        assert len(w.http.asked) == 2
        assert w.agent.checks()["c"].output == "internal error: 'oops'"


async def test_a_deregistered_check_runs_no_more():
    async with World() as w:
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=10 * SECOND))
        await w.agent.deregister_check("c")
        await w.clock.advance(30)
        assert w.http.asked == []
        assert w.registry.checks() == {}


@pytest.mark.parametrize("kind", [{"DockerContainerID": "x", "Args": ["y"]}, {"OSService": "x"}])
async def test_a_type_that_is_not_run_says_so(kind):
    async with World(enable_script_checks=True) as w:
        await w.agent.register_check(check(Name="c", Interval=SECOND, **kind))
        await w.clock.advance(2)
        found = w.agent.checks()["c"]
        assert found.status == "critical"
        assert found.output.startswith("This agent does not run")


async def test_scripts_are_refused_unless_allowed():
    async with World() as w:
        with pytest.raises(Refused, match="from remote calls"):
            await w.agent.register_check(check(Name="c", Args=["true"], Interval=SECOND))
        assert w.agent.checks() == {}


async def test_only_so_many_commands_run_at_once():
    async with World(enable_script_checks=True) as w:
        running, most = 0, 0

        async def busy() -> Ran:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await w.clock.sleep(5)
            running -= 1
            return Ran(exit_code=0, output=b"", total=0)

        w.commands.run = lambda *command, **limits: busy()
        checks = [{"Args": ["x"], "Interval": SECOND} for _ in range(40)]
        await w.agent.register_service(service(Name="web", Checks=checks))
        await w.clock.advance(12)
        assert most == MAX_COMMANDS
        assert {each.status for each in w.agent.checks().values()} == {"passing"}


async def test_a_service_critical_for_too_long_goes_with_its_checks():
    async with World() as w:
        await w.agent.register_service(
            service(
                Name="web",
                Check=ttl(5, DeregisterCriticalServiceAfter=10 * SECOND),
                Connect={"SidecarService": {}},
            )
        )
        await w.agent.update_ttl("service:web", "passing", "")
        await w.clock.advance(64)  # critical since 5, and never less than a minute
        assert set(w.registry.services()) == {"web", "web-sidecar-proxy"}
        await w.clock.advance(2)
        assert w.registry.services() == {}
        assert w.registry.checks() == {}


async def test_a_service_that_recovers_in_time_stays():
    async with World() as w:
        await w.agent.register_service(
            service(Name="web", Check=ttl(50, DeregisterCriticalServiceAfter=60 * SECOND))
        )
        await w.clock.advance(59)
        await w.agent.update_ttl("service:web", "passing", "")
        await w.clock.advance(49)
        assert set(w.registry.services()) == {"web"}


async def test_a_sidecar_comes_and_goes_with_its_service():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Port=80, Connect={"SidecarService": {}}))
        assert w.registry.services()["web-sidecar-proxy"].port == 21000
        assert w.agent.checks()["service:web-sidecar-proxy:2"].output == "No checks found."
        await w.agent.deregister_service("web")
        assert w.registry.services() == {}


async def test_replacing_checks_removes_those_not_named():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Checks=[ttl(9), ttl(9)]))
        await w.agent.service_maintenance("web", enable=True)
        await w.agent.register_service(service(Name="web", Check=ttl(9)))
        assert len(w.registry.checks()) == 4
        await w.agent.register_service(
            service(Name="web", Check=ttl(9)), replace_existing_checks=True
        )
        assert set(w.registry.checks()) == {"service:web"}


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda a: a.deregister_service(""), Refused, "ServiceID missing"),
        (lambda a: a.deregister_check(""), Refused, "CheckID missing"),
        (lambda a: a.service_maintenance("", enable=True), InvalidRequest, "Missing service ID"),
        (
            lambda a: a.service_maintenance("nope", enable=True),
            NotFound,
            'No service registered with ID "nope"',
        ),
        (lambda a: a.service("nope"), NotFound, "unknown service ID: nope"),
        (
            lambda a: a.register_check(check(Name="c", ServiceID="nope", **ttl(9))),
            Refused,
            'ServiceID "nope" does not exist',
        ),
    ],
)
async def test_what_is_not_here_is_told_in_consuls_words(call, error, text):
    async with World() as w:
        with pytest.raises(error) as caught:
            await call(w.agent)
        assert str(caught.value) == text


async def test_removing_what_is_not_here_is_fine():
    async with World() as w:
        await w.agent.deregister_service("nope")
        await w.agent.deregister_check("nope")
        await w.agent.node_maintenance(enable=False)


async def test_maintenance_beats_critical_beats_warning():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Checks=[ttl(99), ttl(99)]))
        seen = []
        for step in (
            lambda: w.agent.update_ttl("service:web:1", "passing", ""),
            lambda: w.agent.update_ttl("service:web:2", "passing", ""),
            lambda: w.agent.update_ttl("service:web:2", "warning", ""),
            lambda: w.agent.node_maintenance(enable=True, reason="why"),
        ):
            await step()
            health = w.agent.local_health("web")
            assert health is not None
            seen.append(health.aggregated_status)
        assert seen == ["critical", "passing", "warning", "maintenance"]
        assert w.registry.checks()["_node_maintenance"].notes == "why"
        assert [each.aggregated_status for each in w.agent.local_health_by_name("web")] == [
            "maintenance"
        ]
        assert w.agent.local_health("nope") is None
        assert w.agent.local_health_by_name("nope") == []


async def test_services_look_as_consul_prints_them():
    async with World() as w:
        await w.agent.register_service(
            service(Name="p2", Port=5, Kind="connect-proxy", Proxy={"DestinationServiceName": "z"})
        )
        await w.agent.register_service(
            service(Name="px", Address="1.2.3.4", Connect={"Native": True})
        )
        shown = w.agent.services()
        assert encode_json(shown["p2"]) == (
            b'{"Kind":"connect-proxy","ID":"p2","Service":"p2","Tags":[],"Meta":{},"Port":5,'
            b'"Address":"","Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,'
            b'"Proxy":{"DestinationServiceName":"z","MeshGateway":{},"Expose":{}}}'
        )
        assert encode_json(shown["px"]) == (
            b'{"ID":"px","Service":"px","Tags":[],"Meta":{},"Port":0,"Address":"1.2.3.4",'
            b'"TaggedAddresses":{"lan_ipv4":{"Address":"1.2.3.4","Port":0},'
            b'"wan_ipv4":{"Address":"1.2.3.4","Port":0}},'
            b'"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Connect":{"Native":true}}'
        )


async def test_one_service_carries_a_hash_to_wait_by():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Port=1))
        first = await w.agent.service("web")
        assert await w.agent.service("web", hash_="other") == first
        waiting = asyncio.ensure_future(w.agent.service("web", hash_=first.content_hash, wait=10))
        await settle()
        await w.agent.register_service(service(Name="web", Port=1))  # the same: wakes nobody
        await settle()
        assert not waiting.done()
        await w.agent.register_service(service(Name="web", Port=2))
        second = await waiting
        assert (second.port, second.content_hash != first.content_hash) == (2, True)


async def test_waiting_for_a_hash_ends_with_the_time_or_the_service():
    async with World() as w:
        await w.agent.register_service(service(Name="web"))
        first = await w.agent.service("web")
        waiting = asyncio.ensure_future(w.agent.service("web", hash_=first.content_hash, wait=10))
        await w.clock.advance(11)
        assert await waiting == first
        waiting = asyncio.ensure_future(w.agent.service("web", hash_=first.content_hash, wait=10))
        await settle()
        await w.agent.deregister_service("web")
        with pytest.raises(NotFound):
            await waiting


async def test_an_alias_of_another_nodes_service_follows_it():
    async with World() as w:
        await w.registry.write(
            RegisterEntity(msgspec.structs.replace(w.identity.node, id="", name="n2"))
        )
        await w.agent.register_check(check(Name="c", AliasNode="n2", AliasService="db"))
        await w.clock.advance(1)
        assert w.agent.checks()["c"].output == "Service db could not be found on node n2"
        await w.agent.register_service(service(Name="db", Check=ttl(900, Status="passing")))
        record = msgspec.structs.replace(w.registry.services()["db"])
        mine = msgspec.structs.replace(w.registry.checks()["service:db"], node="n2")
        node = msgspec.structs.replace(w.identity.node, id="", name="n2")
        await w.registry.write(RegisterEntity(node, record, (mine,)))
        await w.clock.advance(1)
        assert w.agent.checks()["c"].output == "All checks passing."
        bad = msgspec.structs.replace(mine, status="critical", output="down")
        await w.registry.write(RegisterEntity(node, None, (bad,)))
        await w.clock.advance(1)
        assert w.agent.checks()["c"].output == "Aliased check \"Service 'db' check\" failing: down"


async def test_registrations_survive_a_restart():
    w = World(data_dir=DATA)
    async with w:
        await w.agent.register_service(
            service(
                Name="web",
                Port=80,
                Token="t",
                Checks=[ttl(60), ttl(60)],
                Connect={"SidecarService": {}},
            )
        )
        await w.agent.update_ttl("service:web:1", "passing", "fine")
        await w.agent.service_maintenance("web", enable=True, reason="why")
        before = w.agent.services()
        await w.restart()
        assert w.agent.services() == before
        found = w.agent.checks()
        assert (found["service:web:1"].status, found["service:web:1"].output) == ("passing", "fine")
        assert found["service:web:2"].status == "critical"
        assert found["_service_maintenance:web"].notes == "why"
        assert w.agent.local.services["web"].token == "t"
        await w.agent.deregister_service("web")
        assert w.agent.services() == {}
        await w.restart()
        assert w.agent.services() == {}
        assert w.disk.files == {}


async def test_a_restored_ttl_still_ends_when_it_would_have():
    w = World(data_dir=DATA)
    async with w:
        await w.agent.register_check(check(Name="c", **ttl(60)))
        await w.agent.update_ttl("c", "passing", "fine")
        await w.clock.advance(40)
        await w.restart()
        assert w.agent.checks()["c"].status == "passing"
        await w.clock.advance(21)
        assert w.agent.checks()["c"].status == "critical"


async def test_a_ttl_that_ended_meanwhile_is_not_restored():
    w = World(data_dir=DATA)
    async with w:
        await w.agent.register_check(check(Name="c", **ttl(60)))
        await w.agent.update_ttl("c", "passing", "fine")
        await w.agent.close()
        w.clock.time += 61
        await w.restart()
        assert w.agent.checks()["c"].status == "critical"


async def test_a_broken_file_is_kept_aside_and_the_rest_is_restored():
    w = World(data_dir=DATA)
    async with w:
        await w.agent.register_service(service(Name="web"))
        broken = DATA / "services" / ("0" * 32)
        w.disk.files[broken] = b'{"Token":'
        await w.restart()
        assert set(w.agent.services()) == {"web"}
        assert w.disk.files[broken.with_name("0" * 32 + ".corrupt")] == b'{"Token":'
        assert broken not in w.disk.files


async def test_files_have_consuls_names_and_are_the_owners_alone():
    w = World(data_dir=DATA)
    async with w:
        await w.agent.register_service(service(Name="w", Check=ttl(9)))
        await w.agent.update_ttl("service:w", "passing", "")
        await settle()
        assert DATA / "services" / "f1290186a5d0b1ceab27f4e77c0c5d68" in w.disk.files
        assert len([path for path in w.disk.files if path.parent == DATA / "checks"]) == 1
        assert len([path for path in w.disk.files if path.parent == DATA / "checks" / "state"]) == 1
        assert set(w.disk.modes.values()) == {0o600}


CONSULS_SERVICE = (
    b'{"Token":"","Service":{"Kind":"connect-proxy","ID":"sp-sidecar-proxy","Service":'
    b'"sp-sidecar-proxy","Tags":null,"Address":"10.0.0.1","TaggedAddresses":{"lan_ipv4":{"Address":'
    b'"10.0.0.1","Port":21001}},"Meta":null,"Port":21001,"Weights":{"Passing":1,"Warning":1},'
    b'"EnableTagOverride":false,"Proxy":{"DestinationServiceName":"sp","DestinationServiceID":"sp",'
    b'"LocalServiceAddress":"127.0.0.1","LocalServicePort":3,"Upstreams":[{"DestinationType":'
    b'"service","DestinationName":"b","Datacenter":"","LocalBindPort":4,"Config":null,'
    b'"MeshGateway":{}}],"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":0,'
    b'"ModifyIndex":0},"Source":"remote","LocallyRegisteredAsSidecar":true}'
)
CONSULS_CHECK = (
    b'{"Check":{"Node":"o1","CheckID":"bar","Name":"bar","Status":"critical","Notes":"","Output":"",'
    b'"ServiceID":"sp-sidecar-proxy","ServiceName":"w","ServiceTags":["t"],"Type":"ttl",'
    b'"Definition":{},"CreateIndex":0,"ModifyIndex":0},"ChkType":{"CheckID":"","Name":"bar",'
    b'"Status":"","Notes":"","ScriptArgs":null,"HTTP":"","Header":null,"Method":"","Body":"",'
    b'"TCP":"","Interval":0,"AliasNode":"","AliasService":"","DockerContainerID":"","Shell":"",'
    b'"GRPC":"","GRPCUseTLS":false,"TLSSkipVerify":false,"Timeout":0,"TTL":10000000000,'
    b'"SuccessBeforePassing":0,"FailuresBeforeCritical":0,"ProxyHTTP":"","ProxyGRPC":"",'
    b'"DeregisterCriticalServiceAfter":120000000000,"OutputMaxSize":0},"Token":"",'
    b'"Source":"remote"}'
)


async def test_files_that_consul_wrote_are_taken_over():
    w = World(data_dir=DATA)
    w.disk.files[DATA / "services" / "4c96737c7bc89d3bb85aa37b770af823"] = CONSULS_SERVICE
    w.disk.files[DATA / "checks" / "37b51d194a7513e45b56f6524f2d51f2"] = CONSULS_CHECK
    async with w:
        found = w.agent.services()["sp-sidecar-proxy"]
        assert (found.port, found.proxy.upstreams[0].destination_name) == (21001, "b")
        assert w.agent.local.services["sp-sidecar-proxy"].sidecar
        assert w.agent.local.checks["bar"].ttl == 10.0
        assert w.registry.checks()["bar"].node == "n1"


async def test_a_full_disk_is_told_to_the_caller():
    w = World(data_dir=DATA)
    async with w:
        w.disk.full = True
        with pytest.raises(RegistryError, match="failed to persist"):
            await w.agent.register_service(service(Name="web"))


async def test_definitions_from_the_configuration_are_not_persisted_and_follow_a_reload():
    w = World(data_dir=DATA)
    async with w:
        await w.restart(
            [service(Name="web", Check=ttl(60)), service(Name="old")], [check(Name="c", **ttl(60))]
        )
        assert w.disk.files == {}
        await w.agent.register_service(service(Name="api"))
        await w.agent.update_ttl("service:web", "passing", "fine")
        await w.agent.reload([service(Name="web", Port=2, Check=ttl(60))], [])
        await w.clock.advance(1)
        assert set(w.registry.services()) == {"web", "api"}
        assert w.registry.services()["web"].port == 2
        assert {name: each.status for name, each in w.registry.checks().items()} == {
            "service:web": "passing"
        }


async def test_an_agent_counts_what_it_has():
    async with World() as w:
        await w.agent.register_service(service(Name="web", Checks=[ttl(9), ttl(9)]))
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=SECOND))
        await w.agent.node_maintenance(enable=True)
        assert w.agent.counts() == {
            "check_monitors": "0",
            "check_ttls": "2",
            "checks": "4",
            "services": "1",
        }


async def test_closing_twice_leaves_no_task_behind():
    w = World()
    async with w:
        await w.agent.register_check(check(Name="c", HTTP="http://web/", Interval=SECOND))
        await w.agent.close()
        await w.agent.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert others == []
