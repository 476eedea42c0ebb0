#!/bin/sh
# image.sh ENGINE IMAGE VERSION: runs the image as it is meant to run: not as root, on a
# root that cannot be written, without capabilities. Ports 6380 and 6381 must be free.
# RUNFLAGS are for engines that need more, say --cgroups=disabled.
set -eu
engine=$1 image=$2 version=$3 name=nodedb-check-$$ network=${NETWORK:-host}

fail() { echo "image-check: $*" >&2; $engine logs $name >&2 || true; exit 1; }
run() { $engine run ${RUNFLAGS:-} --network "$network" --read-only --cap-drop all -v $name:/data "$@"; }
trap '$engine rm -f $name >/dev/null 2>&1 || true; $engine volume rm $name >/dev/null 2>&1 || true' EXIT
ready() {
	i=0
	until $engine logs $name 2>&1 | grep -q 'running; '; do
		i=$((i + 1))
		[ $i -lt 100 ] || fail "does not run after 10 s"
		sleep 0.1
	done
	$engine exec $name /usr/bin/nodedb status --addr 127.0.0.1:6380 >/dev/null || fail "no status"
}

for program in nodedb pitr-restore; do
	got=$(run --rm --entrypoint /usr/bin/$program "$image" --version)
	case $got in "$program v$version "*) echo "$got" ;; *) fail "version $got, want $version" ;; esac
done
if run --rm "$image" >/dev/null 2>&1; then fail "serves strangers without a password"; fi
run -d --name $name -e NODEDB_OPEN=true "$image" >/dev/null
ready
[ "$($engine exec $name /usr/bin/nodedb put --addr 127.0.0.1:6380 greeting hello >/dev/null && echo put)" = put ] || fail "no put"
if [ "$network" = host ] && command -v curl >/dev/null; then
	for path in livez readyz; do
		curl -fsS "http://127.0.0.1:6381/$path" >/dev/null || fail "no /$path"
	done
	curl -fsS http://127.0.0.1:6381/metrics | grep -F "nodedb_build_info{version=\"v$version\"} 1" || fail "no build info"
fi
$engine stop -t 30 $name >/dev/null
[ "$($engine inspect -f '{{.State.ExitCode}}' $name)" = 0 ] || fail "the stop was not clean"
$engine logs $name 2>&1 | grep 'stopped after' || fail "the stop did not drain"
$engine rm $name >/dev/null
run -d --name $name -e NODEDB_OPEN=true "$image" >/dev/null
ready
[ "$($engine exec $name /usr/bin/nodedb get --addr 127.0.0.1:6380 greeting)" = hello ] || fail "the volume lost a key"
echo "image-check: $image is good"
