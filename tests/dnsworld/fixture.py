"""Fixture F: a catalogue with every case that DNS tells apart.

Each row is a body of ``PUT /v1/catalog/register``, so that a real Consul can be loaded with the
same; :func:`state_of` loads our state from it.
"""

from lictor.registry import apply as applying
from lictor.registry import commands
from lictor.registry.records import (
    DEFAULT_WEIGHTS,
    NO_CONNECT,
    NO_DEFINITION,
    NO_PROXY,
    HealthCheck,
    Node,
    NodeService,
    Proxy,
    ServiceAddress,
    Weights,
)
from lictor.registry.state.store import State


def row(node, address, service=None, check=None, **node_fields):
    body = {"Node": node, "Address": address, **node_fields}
    if service:
        body["Service"] = service
    if check:
        body["Check"] = check
    return body


def svc(name, port=0, **fields):
    return {"ID": fields.pop("ID", name), "Service": name, "Port": port, **fields}


FOO_META = {"env": "prod", "rfc1035-raw": "v=spf1", "k=1": "a`b", " lead": "x"}
BAR = ("bar", "10.0.0.2")
TA = {
    "TaggedAddresses": {
        "lan": "10.0.0.14",
        "lan_ipv4": "10.0.0.14",
        "lan_ipv6": "2001:db8::14",
        "wan": "198.51.100.14",
    }
}

AGENT = {"Node": "n1", "Address": "127.0.0.1"}
"""The server itself, which a real Consul registers by itself."""

FIXTURE = [
    row("foo", "10.0.0.1", svc("web", 80, Tags=["v1", "Primary"]), NodeMeta=FOO_META),
    row(
        *BAR,
        svc(
            "web",
            81,
            Address="10.9.9.9",
            Tags=["v2", "a.b"],
            Weights={"Passing": 7, "Warning": 3},
        ),
    ),
    row(*BAR, svc("extaddr", 444, Address="db.example.net")),
    row(*BAR, svc("intc", 445, Address="web.service.consul")),
    row(*BAR, svc("selfc", 446, Address="selfc.service.consul")),
    row(*BAR, svc("loop1", 447, Address="loop2.service.consul")),
    row(*BAR, svc("loop2", 448, Address="loop1.service.consul")),
    row("v6", "2001:db8::5", svc("web6", 86)),
    row("v6b", "10.0.0.6", svc("mixed6", 87, Address="2001:db8::77")),
    row("ext", "www.example.com", svc("extsvc", 443)),
    row(
        "crit",
        "10.0.0.3",
        svc("critsvc", 90),
        {"CheckID": "c", "Name": "c", "Status": "critical", "ServiceID": "critsvc"},
    ),
    row(
        "warn",
        "10.0.0.4",
        svc("warnsvc", 91, Weights={"Passing": 10, "Warning": 4}),
        {"CheckID": "c", "Name": "c", "Status": "warning", "ServiceID": "warnsvc"},
    ),
    row(
        "nodecrit",
        "10.0.0.7",
        svc("ncsvc", 92),
        {"CheckID": "n", "Name": "n", "Status": "critical"},
    ),
    *[row(f"m{n:02}", f"10.1.0.{n}", svc("many", 9000 + n)) for n in range(1, 31)],
    row("dup", "10.0.0.8", svc("dup", 1001, ID="d1")),
    row("dup", "10.0.0.8", svc("dup", 1002, ID="d2")),
    row("dup", "10.0.0.8", svc("dup", 1002, ID="d3")),
    row("Upper", "10.0.0.9", svc("UpSvc", 1003, Tags=["MyTag"])),
    row("dot.node", "10.0.0.10"),
    row("under_score", "10.0.0.11", svc("under_svc", 1004)),
    row("noport", "10.0.0.12", svc("noport")),
    row("cn", "10.0.0.13", svc("db", 5432)),
    row(
        "cn",
        "10.0.0.13",
        svc("db-proxy", 21000, Kind="connect-proxy", Proxy={"DestinationServiceName": "db"}),
    ),
    row(
        "ta",
        "10.0.0.14",
        svc(
            "tasvc",
            1006,
            Address="10.8.8.8",
            TaggedAddresses={
                "lan_ipv4": {"Address": "10.8.8.8", "Port": 1006},
                "lan_ipv6": {"Address": "2001:db8::88", "Port": 1007},
            },
        ),
        **TA,
    ),
    row("same", "10.0.0.40", svc("same", 1008, Address="10.0.0.40")),
]

SERVER = {**AGENT, "Service": svc("consul", 8300)}


def command(body, datacenter="dc1"):
    """The command that a registration ``body`` becomes."""
    node = Node(
        id="",
        name=body["Node"],
        address=body["Address"],
        datacenter=datacenter,
        tagged_addresses=body.get("TaggedAddresses"),
        meta=body.get("NodeMeta"),
        create_index=0,
        modify_index=0,
    )
    given = body.get("Service")
    check = body.get("Check")
    checks = ()
    if check:
        checks = (
            HealthCheck(
                node=body["Node"],
                check_id=check["CheckID"],
                name=check["Name"],
                status=check["Status"],
                notes="",
                output="",
                service_id=check.get("ServiceID", ""),
                service_name="",
                service_tags=(),
                type="",
                definition=NO_DEFINITION,
                create_index=0,
                modify_index=0,
            ),
        )
    return commands.RegisterEntity(
        node=node, service=_service(given) if given else None, checks=checks
    )


def _service(given):
    weights = given.get("Weights")
    tagged = given.get("TaggedAddresses")
    proxy = given.get("Proxy")
    return NodeService(
        kind=given.get("Kind", ""),
        id=given["ID"],
        name=given["Service"],
        tags=tuple(given.get("Tags", ())),
        address=given.get("Address", ""),
        tagged_addresses=tagged
        and {
            key: ServiceAddress(address=one["Address"], port=one["Port"])
            for key, one in tagged.items()
        },
        meta=None,
        port=given["Port"],
        weights=Weights(passing=weights["Passing"], warning=weights["Warning"])
        if weights
        else DEFAULT_WEIGHTS,
        enable_tag_override=False,
        proxy=Proxy(
            destination_service_name=proxy["DestinationServiceName"],
            mesh_gateway=NO_PROXY.mesh_gateway,
            expose=NO_PROXY.expose,
        )
        if proxy
        else NO_PROXY,
        connect=NO_CONNECT,
        create_index=0,
        modify_index=0,
    )


def register(state, body):
    """Apply the registration ``body``; return the touched topics."""
    entry = commands.Entry(time=0, origin=commands.SERVER, command=command(body))
    result, topics = applying.apply(state, commands.encode(entry), state.index + 1)
    assert result is True
    return topics


def deregister(state, node, service_id=""):
    entry = commands.Entry(
        time=0,
        origin=commands.SERVER,
        command=commands.DeregisterEntity(node=node, service_id=service_id),
    )
    _, topics = applying.apply(state, commands.encode(entry), state.index + 1)
    return topics


def loaded_state(bodies=(SERVER, *FIXTURE)):
    state = State()
    for body in bodies:
        register(state, body)
    return state
