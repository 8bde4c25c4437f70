#!/bin/sh
# Installs the programs that test/servers runs against (Debian 12 or later, root). Can be run again at any time.
# syslog-ng-core takes the place of rsyslog where that is installed.
set -eu
packages='radosgw ceph-mon ceph-osd syslog-ng-core syslog-ng-mod-http nginx prometheus etcd-server memcached redis-server systemd'
missing=
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=none
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo 'every test server is installed'
  exit 0
fi
echo "not installed:$missing"
# The tests start their own processes: Debian's services must not start with the installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086 # a list of names
apt-get install -y --no-install-recommends $missing
