#!/usr/bin/env bash
# Fetch the real Consul 1.8.7 (MPL-2.0, as Debian 11 packaged it) that answers are compared with.
#
#   get_peers.sh            fetch it once; a failure is one line on stderr and exit code 1
#   get_peers.sh --summary  say whether the tests had it
#
# It comes from whichever Debian mirror this machine's apt already uses, through a private apt
# state: nothing is installed and nothing of the system is changed. CONSUL_ORACLE names another one.
set -euo pipefail

peer=${CONSUL_ORACLE:-${XDG_CACHE_HOME:-$HOME/.cache}/lictor-peers/consul}

usable() { [[ -x $peer ]] && "$peer" version >/dev/null 2>&1; }

missing() {
  echo "peers: no real Consul ($1); the tests that compare with it will be skipped" >&2
  exit 1
}

if [[ ${1:-} == --summary ]]; then
  if usable; then
    echo "make test: passed, with a real Consul beside ours ($("$peer" version | sed -n 1p))"
  else
    echo "make test: passed, WITHOUT the comparisons with a real Consul: it could not be had on this machine"
  fi
  exit 0
fi

usable && exit 0
[[ -z ${CONSUL_ORACLE:-} ]] || missing "CONSUL_ORACLE=$peer does not run"
command -v apt-get >/dev/null || missing "this system has no apt"
# head closes the pipe early, so pipefail must not see apt-get's complaint about it
mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null) || mirrors=
mirror=$(grep -E '/debian/?$' <<<"$mirrors" | sort -u | sed -n 1p) || true
[[ -n $mirror ]] || missing "apt names no Debian mirror"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/state/lists/partial" "$scratch/cache/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[[ ! -e $keyring ]] || signed="[signed-by=$keyring]"
echo "deb $signed $mirror bullseye main" >"$scratch/sources.list"
apt() {
  timeout 150 apt-get -qq -o Dir::Etc::SourceList="$scratch/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State="$scratch/state" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Retries=2 "$@" >>"$scratch/apt.log" 2>&1
}
echo "peers: fetching a real Consul to compare with" >&2
cd "$scratch"
apt update || missing "apt: $(tail -n 1 apt.log)"
apt download consul || missing "apt: $(tail -n 1 apt.log)"
dpkg-deb --extract consul_*.deb files || missing "its package could not be unpacked"
mkdir -p "$(dirname "$peer")"
install -m 0755 files/usr/bin/consul "$peer.$$"
mv "$peer.$$" "$peer"
usable || missing "the packaged one does not run here"
