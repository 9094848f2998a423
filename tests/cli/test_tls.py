import socket
import ssl
import threading
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from lictor.cli.issuing import CannotIssue, Pair, Wanted, issue, make_authority

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def authority(lictor, home):
    assert lictor("tls", "ca", "create").code == 0
    return home


def names(path):
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(one.value) for one in found]


def test_an_authority_is_two_files_and_its_key_is_private(lictor, home):
    outcome = lictor("tls", "ca", "create")
    assert outcome.stdout == "==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem\n"
    assert (home / "consul-agent-ca-key.pem").stat().st_mode & 0o777 == 0o600
    outcome = lictor("tls", "ca", "create")
    assert (outcome.code, outcome.stderr) == (1, "consul-agent-ca.pem already exists.\n")


def test_an_authority_may_be_constrained(lictor, home):
    lictor(
        "tls", "ca", "create", "-domain=nc", "-name-constraint", "-additional-name-constraint=foo"
    )
    certificate = x509.load_pem_x509_certificate((home / "nc-agent-ca.pem").read_bytes())
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    assert [one.value for one in limits.permitted_subtrees] == ["foo", "nc", "localhost"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-client"], ["client.dc1.consul", "localhost", "127.0.0.1"]),
        (["-cli"], ["cli.dc1.consul", "localhost"]),
        (
            ["-server", "-node=n", "-additional-dnsname=a.b", "-additional-ipaddress=::1"],
            ["server.dc1.consul", "n.server.dc1.consul", "a.b", "localhost", "::1", "127.0.0.1"],
        ),
    ],
)
def test_a_certificate_has_the_names_of_its_kind(lictor, authority, words, expected):
    outcome = lictor("tls", "cert", "create", *words)
    kind = words[0].removeprefix("-")
    assert outcome.stdout.endswith(
        "==> Using consul-agent-ca.pem and consul-agent-ca-key.pem\n"
        f"==> Saved dc1-{kind}-consul-0.pem\n==> Saved dc1-{kind}-consul-0-key.pem\n"
    )
    path = authority / f"dc1-{kind}-consul-0.pem"
    assert names(path) == expected
    subject = x509.load_pem_x509_certificate(path.read_bytes()).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == expected[0]


def test_certificates_are_numbered(lictor, authority):
    for number in range(2):
        assert (
            f"dc1-client-consul-{number}.pem" in lictor("tls", "cert", "create", "-client").stdout
        )


@pytest.mark.slow
def test_a_server_and_a_client_trust_each_other(lictor, authority):
    lictor("tls", "cert", "create", "-server")
    lictor("tls", "cert", "create", "-client")

    def context(purpose, kind):
        made = ssl.create_default_context(purpose, cafile="consul-agent-ca.pem")
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(f"dc1-{kind}-consul-0.pem", f"dc1-{kind}-consul-0-key.pem")
        return made

    ours, theirs = socket.socketpair()
    server = context(ssl.Purpose.CLIENT_AUTH, "server")

    def serve():
        with server.wrap_socket(theirs, server_side=True) as secure:
            secure.sendall(secure.recv(4))

    thread = threading.Thread(target=serve)
    thread.start()
    client = context(ssl.Purpose.SERVER_AUTH, "client")
    with client.wrap_socket(ours, server_hostname="server.dc1.consul") as secure:
        secure.sendall(b"ping")
        assert secure.recv(4) == b"ping"
    thread.join()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cert", "create"], "Please provide either -server, -client, or -cli"),
        (["cert", "create", "-server", "-cli"], "Please provide either -server, -client, or -cli"),
        (["cert", "create", "-client", "-node=n"], "-node requires -server"),
        (["cert", "create", "-client", "-days=0"], "-days must be positive"),
        (["ca", "create", "-days=-1"], "-days must be positive"),
        (
            ["cert", "create", "-client"],
            "Error reading CA: open consul-agent-ca.pem: no such file or directory",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(lictor, home, words, said):
    outcome = lictor("tls", *words)
    assert (outcome.code, outcome.stderr) == (1, f"{said}\n")
    assert list(home.iterdir()) == []


def test_an_address_that_is_none(lictor, authority):
    outcome = lictor("tls", "cert", "create", "-client", "-additional-ipaddress=x")
    assert outcome.stderr == "x is no IP address\n"


def test_only_an_authority_with_its_own_key_signs():
    one, other = (make_authority(days=1, now=NOW) for _ in range(2))
    wanted = Wanted(names=["a"], addresses=[], usages=[])
    leaf = issue(one, wanted, days=1, now=NOW)
    for wrong, said in (
        (Pair(b"", one.key), "certificate"),
        (Pair(one.certificate, b""), "key"),
        (Pair(one.certificate, other.key), "does not belong"),
        (leaf, "not one of a CA"),
    ):
        with pytest.raises(CannotIssue, match=said):
            issue(wrong, wanted, days=1, now=NOW)
