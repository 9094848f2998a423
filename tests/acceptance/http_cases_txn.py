"""Transactions, asked of both agents."""

from __future__ import annotations

import json

from acceptance.http_cases import story

N = {"Node": "d-tn", "Address": "1.2.3.4"}


def txn(*steps: object, query: str = "") -> tuple[str, str, bytes]:
    return ("PUT", f"/v1/txn{query}", json.dumps(list(steps)).encode())


def kv(verb: str, key: str = "", **more: object) -> dict[str, object]:
    return {"KV": {"Verb": verb, **({"Key": key} if key else {}), **more}}


def node(verb: str, **body: object) -> dict[str, object]:
    return {"Node": {"Verb": verb, "Node": body}}


def service(verb: str, on: str = "d-tn", **body: object) -> dict[str, object]:
    return {"Service": {"Verb": verb, "Node": on, "Service": body}}


def check(verb: str, **body: object) -> dict[str, object]:
    return {"Check": {"Verb": verb, "Check": {"Node": "d-tn", **body}}}


def raw(*bodies: bytes) -> tuple[tuple[str, str, bytes], ...]:
    return tuple(("PUT", "/v1/txn", body) for body in bodies)


GONE = txn(node("delete", Node="d-tn"), kv("delete-tree", "d-t"))

STORIES = [
    story(
        "txn bodies",
        *raw(
            b"", b"null", b"{}", b"[5]", b"[]", b"[{}]", b"[", b"x",
            b'[{"KV":5}]', b'[{"KV":{"Verb":5}}]', b'[{"KV":{"Key":5}}]',
            b'[{"KV":{"Verb":"set","Key":"a","Value":5}}]',
            b'[{"KV":{"Verb":"set","Key":"a","Value":"%%"}}]',
            b'[{"KV":{"Verb":"set","Key":"a","Index":-1}}]',
            b'[{"Foo":{}}]', b'[{"Session":{}}]', b'[{"Intention":{}}]',
            b'[{"KV":{"Verb":"set","Foo":1}}]', b'[{"Node":3}]',
            b'[{"Service":3}]', b'[{"Check":3}]', b'[{"Node":{"Verb":1}}]',
            b'[{"Service":{"Verb":1}}]', b'[{"Check":{"Verb":1}}]',
        ),
        ("OPTIONS", "/v1/txn"),
        ("GET", "/v1/txn"),
        txn(query="?dc=nope"),
        txn(query="?stale&consistent"),
        txn(kv("get", "d-none"), query="?stale"),
        txn(*[kv("get", "d-none")] * 65),
        txn(*[{}] * 65),
    ),
    story(
        "txn keys",
        GONE,
        txn(kv("set", "d-t1", Value="YQ==", Flags=7), kv("get", "d-t1"), kv("get-tree", "d-t")),
        ("GET", "/v1/kv/d-t1"),
        txn(kv("cas", "d-t1", Index=1)),
        txn(kv("cas", "d-t2", Index=0, Value="Yg=="), kv("cas", "d-t2", Index=0)),
        txn(kv("cas", "d-t2", Index=0, Value="Yg==")),
        txn(kv("get-tree", "d-t")),
        txn(kv("get-tree", "d-tnone")),
        txn(kv("get-or-empty", "d-t1")),
        txn(kv("bogus", "d-t1")),
        txn(kv("bogus", "d-t1"), kv("set", "d-t3")),
        ("GET", "/v1/kv/d-t3"),
        txn(kv("set")),
        txn(kv("get")),
        txn(kv("get"), kv("set", "d-t3")),
        txn(kv("get"), kv("get-tree"), kv("get", "d-none")),
        txn(kv("get-tree"), kv("get", "d-none")),
        txn(kv("delete"), kv("check-index"), kv("check-not-exists"), kv("bogus")),
        txn(kv("get-tree"), kv("delete-cas"), kv("set", "d-x")),
        txn(kv("check-index", "d-tnone")),
        txn(kv("check-session", "d-t1", Session="abc"), kv("check-session", "d-tnone")),
        txn(kv("check-session", "d-t1")),
        txn(kv("check-not-exists", "d-t1"), kv("check-not-exists", "d-tnone")),
        txn(kv("check-not-exists", "d-tnone")),
        txn(kv("lock", "d-t1"), kv("unlock", "d-t1"), kv("lock", "d-t1", Session="abc")),
        txn(kv("lock", "d-t1", Session="11111111-1111-1111-1111-111111111111")),
        txn(kv("unlock", "d-t1", Session="11111111-1111-1111-1111-111111111111")),
        txn(kv("unlock", "d-tnone", Session="abc")),
        ("PUT", "/v1/session/create", b'{"LockDelay":"0s"}', "s"),
        txn(kv("lock", "d-t1", Session="{s}", Value="bG9jaw==")),
        txn(kv("lock", "d-t1", Session="{s}"), kv("check-session", "d-t1", Session="{s}")),
        ("PUT", "/v1/session/create", b'{"LockDelay":"0s"}', "o"),
        txn(kv("lock", "d-t1", Session="{o}")),
        txn(kv("unlock", "d-t1", Session="{s}"), kv("get", "d-t1")),
        txn(kv("delete-cas", "d-t1", Index=1), kv("delete-cas", "d-tnone", Index=1)),
        txn(kv("delete-cas", "d-tnone", Index=1)),
        txn(kv("delete", "d-t1"), kv("delete", "d-tnone"), kv("get", "d-t1")),
        ("GET", "/v1/kv/d-t1"),
        txn(kv("delete", "d-t1")),
        txn(kv("delete-tree", "d-t")),
        ("GET", "/v1/kv/d-t?recurse"),
        txn({**kv("set", "d-t5"), **node("get", Node="n1")}),
        ("PUT", "/v1/session/destroy/{s}"),
        ("PUT", "/v1/session/destroy/{o}"),
        GONE,
    ),
    story(
        "txn nodes",
        GONE,
        txn(node("get"), node("get", Node="d-zz"), node("get", ID="x")),
        txn(node("get", ID="aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")),
        txn(node("set"), node("cas"), node("delete"), node("delete-cas"), node("bogus")),
        txn(node("set", Node="d-tn", ID="x"), node("delete", Node="d-tn", ID="x")),
        txn(node("set", Node="d-tn")),
        txn(node("set", **N, Meta={"a": "b"}), node("get", Node="D-TN")),
        txn(node("cas", **N, ModifyIndex=3)),
        txn(node("cas", **N)),
        txn(node("cas", Node="d-tn2", ModifyIndex=3), node("bogus", Node="d-tn")),
        txn(node("delete-cas", Node="d-tn", ModifyIndex=3)),
        txn(node("delete-cas", Node="d-tnone", ModifyIndex=3)),
        txn(node("set", Node="d-tn", Address="9.9.9.9"), node("get", Node="d-none")),
        ("GET", "/v1/catalog/node/d-tn"),
        txn(node("delete", Node="d-tn"), node("delete", Node="d-tnone")),
        ("GET", "/v1/catalog/node/d-tn"),
        txn(node("set", Node="d-tn", ID="dddddddd-aaaa-aaaa-aaaa-aaaaaaaaaaaa", Address="1.1.1.1")),
        txn(node("get", Node="ignored", ID="dddddddd-aaaa-aaaa-aaaa-aaaaaaaaaaaa")),
        txn(node("delete", Node="d-tn", ID="dddddddd-aaaa-aaaa-aaaa-aaaaaaaaaaaa")),
        GONE,
    ),
    story(
        "txn services",
        GONE,
        txn(service("get", ID="zz"), service("get")),
        txn(service("set", Service="d-ts1")),
        txn(node("set", **N), service("set", Service="d-ts1", Port=5, Tags=["a"])),
        txn(service("get", ID="d-ts1"), service("get", Service="d-ts1"), service("get", ID="zz")),
        txn(service("get", on="D-TN", ID="d-ts1")),
        txn(service("set", ID="x")),
        txn(service("delete", ID="d-ts1"), service("delete-cas", ID="d-ts1")),
        txn(service("set"), service("delete")),
        txn(service("bogus", Service="d-ts1")),
        txn(service("bogus")),
        txn(service("cas", Service="d-ts1", ModifyIndex=3)),
        txn(service("cas", Service="d-ts2", ID="two", ModifyIndex=0, Port=1)),
        txn(service("delete-cas", Service="d-ts1", ModifyIndex=3)),
        txn(service("delete-cas", Service="d-none", ModifyIndex=3)),
        txn(service("set", Service="d-ts1", Weights={"Passing": 3, "Warning": 2})),
        ("GET", "/v1/catalog/service/d-ts1"),
        txn(service("delete", Service="d-ts1"), service("delete", Service="d-none")),
        ("GET", "/v1/catalog/service/d-ts1"),
        GONE,
    ),
    story(
        "txn checks",
        GONE,
        txn(check("get", CheckID="zz"), check("get")),
        txn(check("set", CheckID="d-tc")),
        txn(node("set", **N), service("set", Service="d-ts1", Tags=["a"])),
        txn(check("set", CheckID="d-tc", Name="c"), check("get", CheckID="d-tc")),
        txn(check("set", CheckID="d-tc", ServiceID="none"), check("set", CheckID="")),
        txn(check("set", CheckID="d-tc2", ServiceID="d-ts1", Status="passing", Output="o")),
        txn(check("get", CheckID="d-tc2")),
        txn(check("set", Name="only-a-name")),
        txn(check("set", CheckID="d-tc3", Definition={"HTTP": "http://x", "Interval": "10s"})),
        txn(check("cas", CheckID="d-tc", ModifyIndex=3), check("bogus", CheckID="d-tc")),
        txn(check("delete-cas", CheckID="d-tc", ModifyIndex=3)),
        txn(check("delete-cas", CheckID="none", ModifyIndex=3)),
        ("GET", "/v1/health/node/d-tn"),
        txn(check("delete", CheckID="d-tc"), check("delete", CheckID="none")),
        ("GET", "/v1/health/node/d-tn"),
        GONE,
    ),
]  # fmt: skip
