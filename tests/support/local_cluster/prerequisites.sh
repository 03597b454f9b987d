#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that the local cluster, the cameras and the VMS of the tests need, on a bare Debian 12.
# Run as root by `make demo` and `make test`; asks the archive only when something is missing. Go and Python are yours.
# Further packages, which only a measurement needs, are its arguments.
set -euo pipefail

packages=(
  # the node: container runtime, pod network, kube-proxy's tools
  containerd runc containernetworking-plugins iptables nftables iproute2 conntrack kmod util-linux catatonit
  # images without Docker and without a registry
  buildah mmdebstrap
  # the compiler of the worker's media path
  gcc libc6-dev python3-dev
  "$@"
)

# the cameras and the VMS, which name theirs beside their code
support=$(dirname "$(dirname "$(realpath "$0")")")
while read -r package; do
  packages+=("$package")
done < <(sort -u "$support"/*/prerequisites.txt)
# hls.js for the page of the VMS comes from npm; any npm will do
command -v npm >/dev/null || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $state == installed ]] || missing+=("$package")
done
if ((${#missing[@]})); then
  if ((EUID != 0)); then
    echo "These Debian packages are missing: ${missing[*]}. Run $0 as root." >&2
    exit 1
  fi
  echo "installing Debian packages: ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  # Debian starts what it installs; the cluster runs a containerd of its own and needs no other.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  log=$(mktemp)
  if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; its last words are above, all of them in $log" >&2
    exit 1
  fi
  rm -f "$log"
fi

go_version=$(go env GOVERSION 2>/dev/null || true)
if [[ ! $go_version =~ ^go1\.([0-9]+) ]] || ((BASH_REMATCH[1] < 26)); then
  echo "Go 1.26 or newer is needed to build Kubernetes (found: ${go_version:-none}). See https://go.dev/dl." >&2
  exit 1
fi
