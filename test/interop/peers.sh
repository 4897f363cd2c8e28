#!/usr/bin/env bash
# peers.sh: other mail servers for the interop tests, without installing them on the machine. They live in
# overlays of / (the layer of a peer is DIR/PEER/upper), seen only by the processes started here.
#
#   peers.sh setup DIR PEER PACKAGE...    fetches Debian packages into a layer (root, network)
#   peers.sh run DIR PEER COMMAND...      runs a command where they are installed; what it writes outside
#                                         /tmp is forgotten
set -eu
mode=$1 dir=$2 peer=$3
if [ -z "${PEERS_INSIDE:-}" ]; then
    exec env PEERS_INSIDE=1 unshare --mount --propagation private "$0" "$@"
fi
shift 3
layer=$dir/$peer
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/upper /mnt/work /mnt/root
if [ "$mode" = setup ]; then
    mkdir -p "$layer/upper" "$layer/work"
    options=lowerdir=/,upperdir=$layer/upper,workdir=$layer/work
else
    # The kernel wants no layer inside another one, so this one is copied.
    tar -C "$layer/upper" --exclude=./var/cache/apt --exclude=./var/lib/apt -cf - . | tar -C /mnt/upper -xpf -
    options=lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work
fi
mount -t overlay overlay -o "$options" /mnt/root
mount --rbind /proc /mnt/root/proc
mount --rbind /sys /mnt/root/sys
mount --rbind /dev /mnt/root/dev
mount --bind /tmp /mnt/root/tmp
mount -t tmpfs tmpfs /mnt/root/run
mkdir -p /mnt/root/run/lock
unset PEERS_INSIDE
if [ "$mode" = setup ]; then
    printf '#!/bin/sh\nexit 101\n' >/mnt/root/usr/sbin/policy-rc.d # start nothing
    chmod +x /mnt/root/usr/sbin/policy-rc.d
    set -- sh -c 'apt-get -qq update && exec apt-get -qq install -y --no-install-recommends "$@"' sh "$@"
    export DEBIAN_FRONTEND=noninteractive
fi
exec chroot /mnt/root /usr/bin/env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
