#!/bin/sh
# Installs the Debian package in a copy of this machine, with a systemd and a loopback of its own, and uses it.
#
#   deploy/debian/try.sh target/deploy/cresset_0.1.0-1_amd64.deb
#
# Root is needed, and unshare(1). What is written goes to a layer in memory that is gone in the end.
set -eu

if [ "${2:-}" != inside ]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    status=0
    LOG=$log timeout --signal=KILL 180 \
        unshare --mount --net --pid --fork --uts --ipc --cgroup --kill-child sh "$0" "$1" inside || status=$?
    cat "$log"
    exit "$status"
fi

layer=$(mktemp --directory)
mount -t tmpfs none "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/machine"
machine=$layer/machine
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$machine"
mount -t proc proc "$machine/proc"
mount -t sysfs sysfs "$machine/sys"
mount --rbind /dev "$machine/dev"
mount -t tmpfs tmpfs "$machine/run"
mount -t tmpfs tmpfs "$machine/tmp"
mount -t tmpfs tmpfs "$machine/sys/fs/cgroup"
mkdir "$machine/sys/fs/cgroup/unified" "$machine/sys/fs/cgroup/systemd"
mount -t cgroup2 cgroup2 "$machine/sys/fs/cgroup/unified"
mount -t cgroup -o none,name=systemd cgroup "$machine/sys/fs/cgroup/systemd"

cp "$1" "$machine/package.deb"
cp "$(dirname "$0")/try-steps.sh" "$machine/steps.sh"
touch "$machine/log"
mount --bind "$LOG" "$machine/log"
# systemd makes a new identity for the copy.
: > "$machine/etc/machine-id"
cat > "$machine/etc/systemd/system/try.service" <<'UNIT'
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
SuccessActionExitStatus=0
FailureAction=exit-force
FailureActionExitStatus=1

[Service]
Type=oneshot
ExecStart=/bin/sh -eux /steps.sh
StandardOutput=append:/log
StandardError=append:/log
UNIT
# Not chroot(1): in one, the kernel lets nobody make the user namespaces that the unit asks for.
cd "$machine"
mkdir outside
pivot_root . outside
umount --lazy /outside
exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin container=try \
    /lib/systemd/systemd --unit=try.service --show-status=0
