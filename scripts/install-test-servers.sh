#!/bin/sh
# Installs the servers that test/servers runs against (Debian 12 or later, root). Can be run again at any time.
set -eu
missing=
for program in radosgw radosgw-admin ceph ceph-mon ceph-osd ceph-authtool monmaptool; do
  command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -z "$missing" ]; then
  echo 'every test server is installed'
  exit 0
fi
echo "not installed:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd
