#!/bin/sh
# Sets up a fresh Debian or Ubuntu host as a cluster member: `host_setup.sh STORAGE`, run from a
# copy of the repository in ~/iwpa-source. It may be run again.
# STORAGE is the NFS export that every host mounts at /mnt/iwpa, as HOST:/PATH (mount(8)). If
# something is already mounted there, it stays.
#
# The environments are in a second copy, ~/iwpa, because Ray reads everything in a folder that it
# synchronises whenever a host joins.
set -eu

storage=${1:-}
[ "$storage" ] || {
    echo "host_setup.sh: the shared storage is missing: host_setup.sh HOST:/PATH" >&2
    exit 2
}
source=$(cd "$(dirname "$0")/../.." && pwd)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# On Debian, a user's PATH lacks the directory of mount.nfs.
PATH=$PATH:/usr/sbin:/sbin
for command in git make rsync tmux ip mount.nfs; do
    command -v "$command" >/dev/null || missing=yes
done
python3 -c 'import ensurepip' 2>/dev/null || missing=yes
if [ "${missing:-}" ]; then
    # A fresh machine is often updating itself.
    as_root apt-get -o DPkg::Lock::Timeout=600 update -qq
    as_root apt-get -o DPkg::Lock::Timeout=600 install -y -qq \
        git make rsync tmux iproute2 nfs-common python3-venv
fi

if ! mountpoint -q /mnt/iwpa; then
    as_root mkdir -p /mnt/iwpa
    # Hosts must see one another's files soon: within three seconds instead of up to a minute.
    as_root mount -t nfs -o hard,actimeo=3 "$storage" /mnt/iwpa
fi
if [ ! -w /mnt/iwpa ]; then as_root chown "$(id -u):$(id -g)" /mnt/iwpa; fi

chmod 600 ~/.ray/auth_token
rsync -a --delete --exclude='/.venv*' --exclude=/.tools --exclude=/runs "$source/" ~/iwpa/
make --directory ~/iwpa setup cluster-env
if [ -e /dev/nvidia0 ]; then
    make --directory ~/iwpa gpu-learner
    # XLA looks here for its device library and its assembler.
    as_root ln -sfn ~/iwpa/.venv/lib/python3.10/site-packages/nvidia/cuda_nvcc /usr/local/cuda
fi
