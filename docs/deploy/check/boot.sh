#!/bin/sh
# boot.sh PACKAGE.deb: installs the package in a fresh Debian that systemd runs as
# process 1 of a container, and looks there (booted.sh). Needs root. NSPAWNFLAGS are for
# machines that systemd does not run itself: --register=no --keep-unit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in mmdebstrap systemd-nspawn; do
	command -v $tool >/dev/null || { echo "package-boot needs $tool" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "package-boot needs root" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,man-db,bash-completion \
	"${SUITE:-stable}" "$root" "${MIRROR:-http://deb.debian.org/debian}"
install -d "$root/check"
install -m 0755 "$here/booted.sh" "$root/check"
install -m 0644 "$1" "$root/check/nodedb.deb"
cat >"$root/etc/systemd/system/check.service" <<'END'
[Unit]
After=dbus.service
[Service]
StandardOutput=file:/check/log
StandardError=file:/check/log
ExecStart=/bin/sh -c '/check/booted.sh; systemctl exit $?'
[Install]
WantedBy=multi-user.target
END
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/"
rc=0
# Process 1 ends with what booted.sh ended with.
timeout 300 systemd-nspawn --quiet ${NSPAWNFLAGS:-} --console=pipe --private-network -D "$root" --boot </dev/null >/dev/null || rc=$?
cat "$root/check/log"
exit $rc
