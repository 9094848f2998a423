"""The groups of settings that say whom to trust."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import field

from .keys import Duration, Key, Section


class ACLTokens(Section, frozen=True):
    """Secrets the agent uses itself."""

    initial_management: Annotated[str, Key("Makes this token at the first start.")] = ""
    default: Annotated[str, Key("For requests that bring none.", reload=True)] = ""
    agent: Annotated[str, Key("For the agent's own registrations.", reload=True)] = ""
    agent_recovery: Annotated[str, Key("Works while no server answers.", reload=True)] = ""
    replication: Annotated[str, Key("For reading the primary datacenter.", reload=True)] = ""
    dns: Annotated[str, Key("For DNS.", reload=True)] = ""
    config_file_service_registration: Annotated[
        str, Key("For services and checks in files.", reload=True)
    ] = ""
    managed_service_provider: Annotated[
        tuple[dict[str, Any], ...], Key("Enterprise.", acts=False)
    ] = ()

    # secrets stay out of tracebacks and logs
    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing has override from 3.12 on
        return "ACLTokens()"


class ACLConfig(Section, frozen=True):
    """Access control."""

    enabled: Annotated[bool, Key("Ask who is asking.")] = False
    default_policy: Annotated[str, Key("`allow` or `deny` where no rule speaks.")] = "allow"
    down_policy: Annotated[
        str, Key("Without servers: `allow`, `deny`, `extend-cache` or `async-cache`.")
    ] = "extend-cache"
    policy_ttl: Annotated[Duration, Key("How long a policy is remembered.")] = 30.0
    role_ttl: Annotated[Duration, Key("How long a role is remembered; 0: as policies.")] = 0.0
    token_ttl: Annotated[Duration, Key("How long a token is remembered.")] = 30.0
    enable_key_list_policy: Annotated[bool, Key("Listing keys takes `list`.")] = False
    enable_token_replication: Annotated[bool, Key("Copy tokens from the primary.")] = False
    enable_token_persistence: Annotated[bool, Key("Keep tokens set by API on disk.")] = False
    msp_disable_bootstrap: Annotated[bool, Key("Enterprise.", acts=False)] = False
    tokens: ACLTokens = ACLTokens()


class ConnectConfig(Section, frozen=True):
    """The mesh and its certificate authority."""

    enabled: Annotated[bool, Key("Run the mesh.", default="false; true in dev mode")] = False
    ca_provider: Annotated[str, Key("Who signs.", default="consul: the servers themselves")] = ""
    ca_config: Annotated[dict[str, Any], Key("Settings of the provider.")] = field(
        default_factory=dict
    )
    enable_mesh_gateway_wan_federation: Annotated[
        bool, Key("Reach other datacenters through gateways.", acts=False)
    ] = False
    enable_serverless_plugin: Annotated[bool, Key("Lambda functions.", acts=False)] = False


class TLSDefaults(Section, frozen=True):
    """TLS for every interface that says nothing else."""

    ca_file: Annotated[str, Key("Trusted authorities, PEM.", reload=True)] = ""
    ca_path: Annotated[str, Key("A directory of them.", reload=True)] = ""
    cert_file: Annotated[str, Key("The agent's certificate, PEM.", reload=True)] = ""
    key_file: Annotated[str, Key("Its private key, PEM.", reload=True)] = ""
    tls_min_version: Annotated[str, Key("`TLSv1_0` to `TLSv1_3`.")] = "TLSv1_2"
    tls_cipher_suites: Annotated[str, Key("Suites below TLS 1.3, by commas.")] = ""
    verify_incoming: Annotated[bool, Key("Clients must show a certificate.")] = False
    verify_outgoing: Annotated[bool, Key("Servers must show a certificate.")] = False


class TLSInternalRPC(TLSDefaults, frozen=True):
    """TLS between agents."""

    verify_server_hostname: Annotated[
        bool, Key("Servers must be named `server.<datacenter>.<domain>`.")
    ] = False


class TLSHTTPS(TLSDefaults, frozen=True):
    """TLS of the HTTPS API."""


class TLSGRPC(TLSDefaults, frozen=True):
    """TLS of the gRPC API."""

    use_auto_cert: Annotated[bool, Key("Use the agent's own certificate.", acts=False)] = False


class TLSConfig(Section, frozen=True):
    """TLS. Whatever an interface leaves out is taken from `defaults`."""

    defaults: TLSDefaults = TLSDefaults()
    internal_rpc: TLSInternalRPC = TLSInternalRPC()
    https: TLSHTTPS = TLSHTTPS()
    grpc: TLSGRPC = TLSGRPC()


class AutoEncrypt(Section, frozen=True):
    """Certificates for clients from the servers' authority."""

    tls: Annotated[bool, Key("A client asks for one.", acts=False)] = False
    allow_tls: Annotated[bool, Key("A server gives them.", acts=False)] = False
    dns_san: Annotated[tuple[str, ...], Key("More names in it.", acts=False)] = ()
    ip_san: Annotated[tuple[str, ...], Key("More addresses in it.", acts=False)] = ()


class AutoConfigStatic(Section, frozen=True):
    """How the introduction of a client is checked."""

    allow_reuse: Annotated[bool, Key("One introduction serves many.", acts=False)] = False
    bound_audiences: Annotated[tuple[str, ...], Key("Accepted `aud`.", acts=False)] = ()
    bound_issuer: Annotated[str, Key("Accepted `iss`.", acts=False)] = ""
    claim_assertions: Annotated[tuple[str, ...], Key("Must be true.", acts=False)] = ()
    claim_mappings: Annotated[dict[str, str], Key("Claims to variables.", acts=False)] = field(
        default_factory=dict
    )
    list_claim_mappings: Annotated[dict[str, str], Key("The same, lists.", acts=False)] = field(
        default_factory=dict
    )
    clock_skew_leeway: Annotated[Duration, Key("Difference of clocks.", acts=False)] = 0.0
    expiration_leeway: Annotated[Duration, Key("Grace after expiry.", acts=False)] = 0.0
    not_before_leeway: Annotated[Duration, Key("Grace before validity.", acts=False)] = 0.0
    jwks_url: Annotated[str, Key("Where the keys are.", acts=False)] = ""
    jwks_ca_cert: Annotated[str, Key("Who vouches for that place.", acts=False)] = ""
    jwt_supported_algs: Annotated[tuple[str, ...], Key("Accepted `alg`.", acts=False)] = ()
    jwt_validation_pub_keys: Annotated[tuple[str, ...], Key("The keys.", acts=False)] = ()
    oidc_discovery_url: Annotated[str, Key("Where to find all that.", acts=False)] = ""
    oidc_discovery_ca_cert: Annotated[str, Key("Who vouches for it.", acts=False)] = ""


class AutoConfigAuthorization(Section, frozen=True):
    """A server's side."""

    enabled: Annotated[bool, Key("Configure clients that introduce themselves.", acts=False)] = (
        False
    )
    static: AutoConfigStatic = AutoConfigStatic()


class AutoConfig(Section, frozen=True):
    """A client's whole configuration from the servers, against a signed introduction."""

    enabled: Annotated[bool, Key("Ask for it.", acts=False)] = False
    intro_token: Annotated[str, Key("The introduction, a JWT.", acts=False)] = ""
    intro_token_file: Annotated[str, Key("A file that holds it.", acts=False)] = ""
    server_addresses: Annotated[tuple[str, ...], Key("Whom to ask.", acts=False)] = ()
    dns_sans: Annotated[tuple[str, ...], Key("More names in the certificate.", acts=False)] = ()
    ip_sans: Annotated[tuple[str, ...], Key("More addresses in it.", acts=False)] = ()
    authorization: AutoConfigAuthorization = AutoConfigAuthorization()
