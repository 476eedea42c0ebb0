#!/bin/bash
# In a Debian that systemd runs, and that is thrown away afterwards (boot.sh): what the
# package installs, the unit at work, upgrade, removal.
set -u
trap 'echo "booted: failed in line $LINENO: $BASH_COMMAND"; journalctl -u nodedb -n 30 --no-pager -o cat; exit 1' ERR
set -E

step() { printf '== %s\n' "$*"; }
is() { [ "$1" = "$2" ] || { echo "got $1, want $2"; return 1; }; }
show() { systemctl show nodedb -p "$1" --value; }
said() { journalctl --sync && journalctl -u nodedb --no-pager -o cat | grep -q -- "$1"; }
ask() { nodedb "$@" --addr unix:/run/nodedb/redis.sock; }
config=/etc/nodedb/nodedb.yaml

step install
dpkg -i /check/nodedb.deb
getent passwd nodedb
is "$(systemctl is-enabled nodedb || true)" disabled
is "$(systemctl is-active nodedb || true)" inactive
man -w nodedb >/dev/null
bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader nodedb || [ $? = 124 ]; complete -p nodedb' >/dev/null
nodedb --version
is "v$(dpkg-query -W -f '${Version}' nodedb | tr '~' -)" "$(nodedb --version | cut -d ' ' -f 2)"

step start
systemctl enable --now nodedb
is "$(systemctl is-active nodedb)" active
is "$(stat -c '%U %a' /var/lib/nodedb /run/nodedb /run/nodedb/redis.sock | tr '\n' ' ')" "nodedb 750 nodedb 750 nodedb 660 "
ask put greeting hello
is "$(grep -c '^Seccomp:.2' /proc/"$(show MainPID)"/status)" 1

step 'archive in the state directory, reload'
sed -i 's|^#archive:.*|archive: [file:///var/lib/nodedb/archive]|' $config
systemctl restart nodedb
ask restore-point here
ls /var/lib/nodedb/archive/nodedb/v1/*/wal/*/* >/dev/null
sed -i 's|^#log-level: info|log-level: debug|' $config
systemctl reload nodedb
sleep 1
said log_level=DEBUG

step 'killed, and started again'
pid=$(show MainPID)
systemctl kill -s KILL --kill-who=main nodedb
sleep 4
is "$(show NRestarts)" 1
[ "$(show MainPID)" != "$pid" ]
is "$(ask get greeting)" hello

step 'an archive that the unit may not write to: the stop keeps to its time'
systemctl stop nodedb
is "$(show Result)" success
install -d -o nodedb /mnt/backup
sed -i 's|^archive:.*|archive: [file:///mnt/backup]|; s|^#drain-timeout: 1m|drain-timeout: 3s|' $config
systemctl start nodedb
ask put outside 1
SECONDS=0
systemctl stop nodedb
[ $SECONDS -lt 10 ]
said 'read-only file system'

step 'and one that it may'
install -d /etc/systemd/system/nodedb.service.d
printf '[Service]\nReadWritePaths=/mnt/backup\n' >/etc/systemd/system/nodedb.service.d/archive.conf
systemctl daemon-reload
systemctl reset-failed nodedb
systemctl start nodedb
systemctl stop nodedb
is "$(show Result)" success
ls /mnt/backup/nodedb/v1/*/wal/*/* >/dev/null

step 'usage is not tried again'
cp $config /check/good.yaml
echo 'nonsense: 1' >>$config
! systemctl start nodedb
sleep 3
is "$(show NRestarts) $(show ExecMainStatus) $(show ActiveState)" '0 2 failed'
cp /check/good.yaml $config

step 'upgrade: configuration, user and the node that runs stay'
systemctl reset-failed nodedb
systemctl start nodedb
pid=$(show MainPID)
dpkg -i /check/nodedb.deb
cmp $config /check/good.yaml
is "$(show MainPID) $(systemctl is-enabled nodedb)" "$pid enabled"
is "$(ask get greeting)" hello

step 'removal stops the node; data and configuration stay'
dpkg -r nodedb
[ ! -e /usr/bin/nodedb ] && [ ! -d "/proc/$pid" ]
[ -d /var/lib/nodedb/node ] && cmp $config /check/good.yaml
said 'stopped after'

step 'purge: the data stays'
dpkg --purge nodedb
[ ! -e $config ] && [ -d /var/lib/nodedb/node ]
echo 'booted: all is good'
