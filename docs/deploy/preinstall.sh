#!/bin/sh
# The user of the unit. Nothing is started: a node needs its configuration first.
set -e
getent group nodedb >/dev/null || groupadd --system nodedb
getent passwd nodedb >/dev/null ||
    useradd --system --gid nodedb --home-dir /var/lib/nodedb --no-create-home --shell /usr/sbin/nologin nodedb
