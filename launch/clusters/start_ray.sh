#!/bin/sh
# Starts Ray on this host, after stopping any instance that still runs:
#     start_ray.sh head [OPTION ...]                   on the stable host
#     start_ray.sh worker ADDRESS-OF-HEAD [OPTION ...] on each other host
# OPTION is any option of `ray start`. All ports are fixed, so that firewall rules can name them:
# Ray uses 6379 on the head and 22000-22999, and a program's nodes use 23000-23999.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
ray=$root/.venv-cluster/bin/ray

refuse() {
    echo "start_ray.sh: $1" >&2
    exit 2
}

# Prints the address from which this host reaches another one; nothing if it cannot.
address_towards() {
    ip -4 route get "$1" 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p'
}

case ${1:-} in
head)
    shift
    address=$(address_towards 192.0.2.1)
    # The launcher puts replay and learner on hosts that offer `stable`, which are not pre-empted.
    set -- --head --port=6379 --node-ip-address="${address:-127.0.0.1}" \
        --resources='{"stable": 1000}' \
        --dashboard-host=127.0.0.1 --dashboard-port=8265 "$@"
    ;;
worker)
    head=${2:-}
    [ "$head" ] || refuse "the address of the head is missing: start_ray.sh worker ADDRESS"
    shift 2
    address=$(address_towards "$head")
    [ "$address" ] || refuse "this host has no route to the head, $head"
    set -- --address="$head:6379" --node-ip-address="$address" "$@"
    ;;
*)
    refuse "'${1:-}' is neither head nor worker"
    ;;
esac
[ -s ~/.ray/auth_token ] ||
    refuse "$HOME/.ray/auth_token is missing; docs/cluster.md says how to make it"

# Only holders of the token can execute anything; the default mode is "disabled".
export RAY_AUTH_MODE=token
# Ray's default of 15 halves the speed of the processes that it starts.
export RAY_worker_niceness=0
export RAY_USAGE_STATS_ENABLED=0
# Reading Ray's files from a cold disk can take longer than its default limit of a minute.
export RAY_raylet_start_wait_time_s=300
# With a GPU, TensorFlow finds CUDA's libraries only on this path.
for libraries in "$root"/.venv/lib/python3.10/site-packages/nvidia/*/lib; do
    if [ -d "$libraries" ]; then
        export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
done

"$ray" stop >/dev/null
# Ray asks for many open files; a host that allows fewer must do.
# shellcheck disable=SC3045
ulimit -n 65536 2>/dev/null || true
exec "$ray" start "$@" \
    --node-manager-port=22000 --object-manager-port=22001 --runtime-env-agent-port=22002 \
    --dashboard-agent-grpc-port=22003 --dashboard-agent-listen-port=22004 \
    --metrics-export-port=22005 --min-worker-port=22100 --max-worker-port=22999 \
    --object-store-memory=200000000
