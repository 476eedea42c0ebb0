#!/bin/sh
# The unit is new or gone. A node that runs goes on as it is until it is restarted.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
