"""Services, intentions, configuration entries and configuration files."""

from __future__ import annotations

import subprocess

from acceptance import consul
from lictor.cli.main import run

pytestmark = consul.MARKS


SERVICES_HCL = """
service {
  name = "hweb"
  id = "hweb1"
  port = 80
  tags = ["a", "b"]
  meta { x = "y" }
  check {
    id = "c1"
    ttl = "10s"
  }
}
"""
SERVICES_JSON = """{"services":[{"name":"s1","port":1,"checks":[{"id":"x","ttl":"10s"}]},
 {"name":"s2","id":"s2-1","weights":{"passing":3,"warning":1}}],"service":{"name":"s3"}}"""


def test_services(play, tmp_path):
    (tmp_path / "s.hcl").write_text(SERVICES_HCL)
    (tmp_path / "m.json").write_text(SERVICES_JSON)
    (tmp_path / "t.txt").write_text("x")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "key.json").write_text('{"service":{"name":"q","bogus":1}}')
    (tmp_path / "noname.json").write_text('{"service":{"id":"t"}}')
    play("""
        services register
        services register -id=x
        services register -port=8 -address=1.2.3.4
        services register -name=x -id=x s.hcl
        services register /nope.json
        services register t.txt
        services register empty.json
        services register bad.json
        services register key.json
        services register noname.json
        services register s.hcl
        catalog services -tags
        services register m.json
        services deregister m.json s.hcl
        services register -name=cli-web -port=8080 -tag=a -tag=b -meta=x=y -address=1.2.3.4
        services register -name=cli-web -tagged-address=lan=1.2.3.4:5
        services register -name=cli-web -tagged-address=lan=1.2.3.4
        services register -name=cli-web -tagged-address=lan
        services register -port=x -name=y
        services deregister
        services deregister -id=x m.json
        services deregister -id=nosuch
        services deregister -id=cli-web
        services deregister noname.json
    """)


def test_intentions(play):
    play("""
        intention create
        intention create a
        intention create a b c
        intention create -allow -deny cli-a cli-b
        intention create -deny -meta=x=y -meta=a=b cli-a cli-b
        intention get cli-a cli-b
        intention create cli-a cli-b
        intention create -replace cli-a cli-b
        intention create a/b/c cli-b
        intention create 'we*' cli-b
        intention create '*' cli-b
        intention create -file /nope
        intention create -file
        intention get
        intention get a b c
        intention get cli-a cli-b
        intention get cli-a cli-zz
        intention get zz
        intention check
        intention check cli-a cli-b
        intention check cli-q cli-z
        intention match
        intention match a b
        intention match cli-b
        intention match -source cli-a
        intention match -source -destination cli-a
        intention delete
        intention delete a b c
        intention delete zz
        intention delete 11111111-2222-3333-4444-555555555555
        intention delete cli-a cli-zz
        intention delete cli-a cli-b
        intention delete '*' cli-b
    """)


ENTRIES = {
    "sd.hcl": 'Kind = "service-defaults"\nName = "lweb"\nProtocol = "http"\n',
    "sr.json": """{"kind":"service-resolver","name":"lweb","connect_timeout":"7s",
        "subsets":{"v1":{"filter":"Service.Meta.version == v1"}},
        "failover":{"*":{"datacenters":["dc2"]}}}""",
    "pd.hcl": """kind = "proxy-defaults"
        name = "global"
        config { local_connect_timeout_ms = 1000  handshake_timeout_ms = 10000 }
        mesh_gateway { mode = "local" }
        expose { checks = true
          paths = [{ path = "/m", local_path_port = 1, listener_port = 2, protocol = "http" }]
        }""",
    "ig.hcl": """Kind = "ingress-gateway"
        Name = "ig"
        TLS { Enabled = true }
        Listeners = [{ Port = 8080
          Protocol = "http"
          Services = [{ Name = "lweb"
            Hosts = ["a.b"] }] }]""",
    "bogus.json": '{"kind":"bogus"}',
    "nokind.json": '{"name":"bogus"}',
    "key.json": '{"kind":"service-defaults","name":"x","Bad":1}',
    "cut.json": '{"kind":"service-defaults","name":"x"',
    "word.hcl": "kind\n",
    "duration.json": '{"kind":"service-resolver","name":"x","connect_timeout":"zz"}',
    "splits.json": '{"kind":"service-splitter","name":"x","splits":[]}',
    "empty.json": "",
}


def test_config(play, tmp_path):
    for name, text in ENTRIES.items():
        (tmp_path / name).write_text(text)
    play("""
        config read
        config read -kind=service-defaults
        config read -kind=service-defaults -name=x
        config list
        config list -kind=bogus
        config list -kind=service-defaults
        config write
        config write a b
        config write /nope
        config write sd.hcl
        config write sr.json
        config write pd.hcl
        config write ig.hcl
        config read -kind=service-defaults -name=lweb
        config read -kind=proxy-defaults -name=global
        config read -kind=ingress-gateway -name=ig
        config list -kind=service-defaults
        config write -cas sd.hcl
        config write -cas -modify-index=1 sd.hcl
        config write -modify-index=1 sd.hcl
        config write bogus.json
        config write nokind.json
        config write key.json
        config write cut.json
        config write word.hcl
        config write splits.json
        config write empty.json
        config write -http-addr=127.0.0.1:1 sd.hcl
        config read -http-addr=127.0.0.1:1 -kind=service-defaults -name=lweb
        config list -http-addr=127.0.0.1:1 -kind=service-defaults
        config delete
        config delete -kind=service-defaults
        config delete -kind=bogus -name=x
        config delete -kind=service-defaults -name=nosuch
        config delete -kind=service-defaults -name=lweb
        config delete -http-addr=127.0.0.1:1 -kind=service-defaults -name=lweb
        config delete -kind=ingress-gateway -name=ig
        config delete -kind=service-resolver -name=lweb
        config delete -kind=proxy-defaults -name=global
        config delete -kind=service-defaults -name=lweb
    """)


CONFIGURATIONS = {
    "ok.hcl": 'data_dir = "/tmp/x"',
    "warned.hcl": 'data_dir = "/tmp/x" server = true bootstrap = true',
    "bogus.hcl": "bogus = 1",
    "port.hcl": 'data_dir = "/tmp/x" ports { http = 99999 }',
    "word.txt": "x",
    "json.conf": '{"data_dir": "/tmp/x"}',
}


def test_validate(play, tmp_path):
    for name, text in CONFIGURATIONS.items():
        (tmp_path / name).write_text(text)
    play("""
        validate
        validate -quiet
        validate nope
        validate ok.hcl
        validate warned.hcl
        validate -quiet warned.hcl
        validate -quiet ok.hcl
        validate bogus.hcl
        validate -quiet bogus.hcl
        validate word.txt
        validate port.hcl
        validate json.conf
        validate -config-format=json json.conf
        validate -config-format=bad json.conf
        validate ok.hcl warned.hcl
        validate -bogus
    """)


def test_connect(play, tmp_path):
    config = '{"Provider":"consul","Config":{"LeafCertTTL":"73h"}}'
    (tmp_path / "ca.json").write_text(config)
    lifetimes = '"LeafCertTTL":"72h","IntermediateCertTTL":"8760h","RotationPeriod":"2160h"'
    (tmp_path / "back.json").write_text(f'{{"Provider":"consul","Config":{{{lifetimes}}}}}')
    (tmp_path / "cut.json").write_text("{")
    (tmp_path / "other.json").write_text('{"Provider":"zz","Config":{}}')
    play("""
        connect ca get-config x
        connect ca get-config -http-addr=127.0.0.1:1
        connect ca set-config
        connect ca set-config -config-file=/nope
        connect ca set-config -config-file=cut.json
        connect ca set-config -config-file=other.json
        connect ca set-config -config-file=ca.json
        connect ca get-config
        connect ca set-config -config-file=back.json
        connect ca set-config -http-addr=127.0.0.1:1 -config-file=ca.json
        connect expose
        connect expose -ingress-gateway=g
        connect expose -service=g -port=3
        connect expose -ingress-gateway=g -service=s
        connect expose -ingress-gateway=g -service=s -port=80
        connect expose -ingress-gateway=g -service=s -port=80
        connect expose -ingress-gateway=g -service=s -port=80 -protocol=http
        connect expose -ingress-gateway=g -service=s2 -port=80
        connect expose -ingress-gateway=g -service=s2 -port=81 -protocol=http -host=a.b
        connect expose -ingress-gateway=g -service=s2 -port=82
        config read -kind=ingress-gateway -name=g
        connect expose -http-addr=127.0.0.1:1 -ingress-gateway=g -service=s -port=80
        intention get g s
        !config delete -kind=ingress-gateway -name=g
        !intention delete g s
        !intention delete g s2
    """)


def test_tls(play, tmp_path):
    files = ["consul-agent-ca.pem", "consul-agent-ca-key.pem"]
    play("""
        tls cert create
        tls cert create -server -client
        tls cert create -client -node=n
        tls cert create -client
        tls cert create -client -ca=/nope -key=/nope
    """)
    made = []
    for tool in (consul.BINARY, None):
        words = [["tls", "ca", "create"], ["tls", "cert", "create", "-server"]]
        for one in words:
            if tool:
                subprocess.run([tool, *one], check=True, capture_output=True)
            else:
                assert run(one) == 0
        made.append(sorted(path.name for path in tmp_path.iterdir()))
        for path in tmp_path.iterdir():
            path.unlink()
    assert (
        made[0]
        == made[1]
        == sorted([*files, "dc1-server-consul-0.pem", "dc1-server-consul-0-key.pem"])
    )
