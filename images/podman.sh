#!/usr/bin/env bash
# podman as root, with settings that also work where cgroups are hybrid and limits are low.
#   images/podman.sh ARGUMENT...
set -euo pipefail

settings=$(mktemp)
trap 'rm -f "$settings"' EXIT
# podman's defaults may be above what this machine allows; and podman itself allows no more processes than there are ids.
smaller() {
    local found=$1
    if [ "$found" = unlimited ] || [ "$found" -gt "$2" ]; then found=$2; fi
    echo "$found:$found"
}
files=$(smaller "$(ulimit -Hn)" 1048576)
processes=$(smaller "$(ulimit -Hu)" "$(cat /proc/sys/kernel/pid_max)")
printf '[containers]\ndefault_ulimits = ["nofile=%s", "nproc=%s"]\n' "$files" "$processes" >"$settings"
if command -v runc >/dev/null; then # crun refuses hybrid cgroups
    printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n' >>"$settings"
fi
CONTAINERS_CONF="$settings" podman "$@"
