#!/bin/sh
# The last removal (remove of dpkg, 0 of rpm) stops the node; an upgrade does not.
set -e
case "$1" in
remove | 0) [ ! -d /run/systemd/system ] || systemctl disable --now nodedb.service ;;
esac
