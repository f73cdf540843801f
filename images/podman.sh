#!/usr/bin/env bash
# podman as root, with settings that also work where cgroups are hybrid and the limit on open files is low.
#   images/podman.sh ARGUMENT...
set -euo pipefail

settings=$(mktemp)
trap 'rm -f "$settings"' EXIT
limit=$(ulimit -Hn)
if [ "$limit" = unlimited ]; then
    limit=1048576
fi
printf '[containers]\ndefault_ulimits = ["nofile=%s:%s"]\n' "$limit" "$limit" >"$settings"
if command -v runc >/dev/null; then # crun refuses hybrid cgroups
    printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n' >>"$settings"
fi
CONTAINERS_CONF="$settings" podman "$@"
