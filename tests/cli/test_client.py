import socket
import socketserver
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lictor.cli import client as client_module
from lictor.cli.client import Client
from lictor.cli.errors import AgentError, BadSettings, Refused, Unreachable
from lictor.cli.settings import Settings, settings_from


def client(address, **more):
    return Client(Settings(address=address, **more))


def test_our_variables_win_over_consuls():
    environment = {"LICTOR_HTTP_ADDR": "a:1", "CONSUL_HTTP_ADDR": "b:2", "CONSUL_HTTP_TOKEN": "t"}
    settings = settings_from({}, environment)
    assert (settings.address, settings.token) == ("a:1", "t")


def test_flags_win_over_variables():
    settings = settings_from(
        {"http_addr": "f:1", "token": "x"}, {"LICTOR_HTTP_ADDR": "a:1", "LICTOR_HTTP_TOKEN": "y"}
    )
    assert (settings.address, settings.token) == ("f:1", "x")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("HTTP_TOKEN_FILE", "token_file"),
        ("CACERT", "ca_file"),
        ("CAPATH", "ca_path"),
        ("CLIENT_CERT", "client_cert"),
        ("CLIENT_KEY", "client_key"),
        ("TLS_SERVER_NAME", "server_name"),
        ("HTTP_AUTH", "basic_auth"),
        ("NAMESPACE", "namespace"),
        ("PARTITION", "partition"),
    ],
)
@pytest.mark.parametrize("prefix", ["LICTOR", "CONSUL"])
def test_every_variable_is_read(name, field, prefix):
    assert getattr(settings_from({}, {f"{prefix}_{name}": "v"}), field) == "v"


def test_switches_are_read_as_booleans(capsys):
    assert settings_from({}, {"CONSUL_HTTP_SSL": "true"}).ssl
    assert not settings_from({}, {"CONSUL_HTTP_SSL_VERIFY": "0"}).verify
    assert settings_from({}, {"CONSUL_HTTP_SSL_VERIFY": "x"}).verify
    assert (
        'could not parse CONSUL_HTTP_SSL_VERIFY: strconv.ParseBool: parsing "x"'
        in capsys.readouterr().err
    )


def test_a_request_carries_token_credentials_and_the_common_parameters(agent):
    agent.answers["GET /v1/x"] = 1
    more = {
        "token": "secret",
        "basic_auth": "me:pw",
        "datacenter": "dc2",
        "stale": True,
        "namespace": "n",
    }
    assert client(agent.address, **more).get("/v1/x", {"a": ["1", "2"], "b": None}).value() == 1
    (request,) = agent.requests
    assert request == "GET /v1/x?a=1&a=2&dc=dc2&ns=n&stale="
    assert agent.headers[request]["X-Consul-Token"] == "secret"
    assert agent.headers[request]["Authorization"] == "Basic bWU6cHc="
    assert agent.headers[request]["Host"] == agent.address


def test_an_empty_flag_is_as_good_as_none():
    settings = settings_from({"token": "", "http_addr": ""}, {"LICTOR_HTTP_TOKEN": "y"})
    assert (settings.token, settings.address) == ("y", "127.0.0.1:8500")


def test_an_address_may_be_a_port_alone(agent):
    agent.answers["GET /v1/x"] = 1
    assert client(":" + agent.address.partition(":")[2]).get("/v1/x").value() == 1


def test_bytes_that_are_no_text_are_sent_as_they_came(agent):
    agent.answers["GET /v1/kv/%FF?a=%FE"] = 1
    assert client(agent.address).get("/v1/kv/\udcff", {"a": "\udcfe"}).value() == 1


def test_the_tokens_file_wins(agent, tmp_path):
    file = tmp_path / "token"
    file.write_text("  from-file\n")
    agent.answers["GET /v1/x"] = 1
    client(agent.address, token="inline", token_file=str(file)).get("/v1/x")
    assert agent.headers["GET /v1/x"]["X-Consul-Token"] == "from-file"


def test_a_path_is_escaped_as_go_escapes_it(agent):
    agent.answers["PUT /v1/kv/a%20b%3F%23/c%25;d"] = True
    assert client(agent.address).put("/v1/kv/a b?#/c%;d").decode(bool)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (
            "127.0.0.1:1",
            'Get "http://127.0.0.1:1/v1/x": dial tcp 127.0.0.1:1: connect: connection refused',
        ),
        (
            "http://127.0.0.1:1/",
            'Get "http://127.0.0.1:1/v1/x": dial tcp 127.0.0.1:1: connect: connection refused',
        ),
        (
            "unix:///nope",
            'Get "http://%2Fnope/v1/x": dial unix /nope: connect: no such file or directory',
        ),
    ],
)
def test_a_connection_that_fails_says_so_as_go_does(address, complaint):
    with pytest.raises(Unreachable) as caught:
        client(address).get("/v1/x")
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"address": "ftp://a"}, "Unknown protocol scheme: ftp"),
        ({"address": "a:b"}, 'parse "a:b": invalid port ":b" after host'),
        (
            {"address": "a", "token_file": "/nope"},
            "Error loading token file: open /nope: no such file or directory",
        ),
        (
            {"address": "a", "ca_file": "/nope"},
            "Error loading CA File: open /nope: no such file or directory",
        ),
        ({"address": "a", "client_key": "k"}, "both client cert and client key must be provided"),
    ],
)
def test_settings_that_cannot_work_are_told(settings, complaint):
    with pytest.raises(BadSettings) as caught:
        Client(Settings(**settings)).get("/v1/x")
    assert caught.value.message == f"Error connecting to Consul agent: {complaint}"


def test_a_refusal_carries_status_and_body(agent, reply):
    agent.answers["GET /v1/x"] = reply(403, b"Permission denied")
    with pytest.raises(
        Refused, match=r"^Unexpected response code: 403 \(Permission denied\)$"
    ) as caught:
        client(agent.address).get("/v1/x")
    assert caught.value.status == 403


def test_an_answer_of_another_shape_is_an_error(agent):
    agent.answers["GET /v1/x"] = {"a": 1}
    with pytest.raises(AgentError, match="Unexpected answer: Expected `array`"):
        client(agent.address).get("/v1/x").decode(list[str])


def test_an_answer_without_end_is_cut_short(agent, monkeypatch):
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 10)
    agent.answers["GET /v1/x"] = b"0123456789a"
    with pytest.raises(AgentError, match="longer than 10 bytes"):
        client(agent.address).get("/v1/x")


@pytest.fixture
def serve():
    """Answer every connection with fixed bytes."""
    servers = []

    def start(content, *, path=None):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(65536)
                self.request.sendall(content)

        kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
        server = kind(str(path) if path else ("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        servers.append((server, thread))
        return f"unix://{path}" if path else f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_unix_socket_is_asked(serve, tmp_path):
    address = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7", path=tmp_path / "s")
    assert client(address).get("/v1/x").value() == 7


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "EOF"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "EOF"),
        (b"nonsense\r\n\r\n", "malformed HTTP response"),
    ],
)
def test_a_broken_answer_is_told(serve, content, complaint):
    with pytest.raises(Unreachable, match=complaint):
        client(serve(content)).get("/v1/x")


def test_silence_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unreachable, match="i/o timeout"):
            client(address).get("/v1/x", timeout=0.01)


def self_signed(name):
    """A certificate for ``name`` that vouches for itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number()
    )
    certificate = (
        builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(encoding), private


class TestTLS:
    @pytest.fixture
    def secure(self, tmp_path):
        """An agent behind TLS, and the file that vouches for it."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "1")
                self.end_headers()
                self.wfile.write(b"1")

            def log_message(self, *_):
                """Stay quiet."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self_signed("server.dc1.lictor")
        (tmp_path / "ca.pem").write_bytes(certificate)
        (tmp_path / "key.pem").write_bytes(key)
        context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", str(tmp_path / "ca.pem")
        server.shutdown()
        thread.join()
        server.server_close()

    def test_a_trusted_name_is_believed(self, secure):
        address, ca_file = secure
        asked = client(address, ca_file=ca_file, server_name="server.dc1.lictor")
        assert asked.get("/v1/x").value() == 1

    def test_a_wrong_name_is_not(self, secure):
        address, ca_file = secure
        with pytest.raises(Unreachable, match="x509"):
            client(address, ca_file=ca_file, server_name="other").get("/v1/x")

    def test_an_unknown_authority_is_not(self, secure):
        with pytest.raises(Unreachable, match="x509: certificate signed by unknown authority"):
            client(secure[0], server_name="server.dc1.lictor").get("/v1/x")

    def test_verification_may_be_switched_off(self, secure):
        assert client(secure[0], verify=False).get("/v1/x").value() == 1

    def test_a_plain_server_is_recognised(self, agent):
        with pytest.raises(Unreachable, match="http: server gave HTTP response to HTTPS client"):
            client(f"https://{agent.address}").get("/v1/x")
