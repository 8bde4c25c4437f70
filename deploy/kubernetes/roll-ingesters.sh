#!/bin/sh
# Replaces the pods of the ingesters after a change of their StatefulSets, one zone after the other: two copies of every stream can
# be written and read all the time. Stops where a zone does not come back.
#
#   deploy/kubernetes/roll-ingesters.sh [namespace]
set -eu
namespace=${1:-loptr}
for zone in a b c; do
  echo "zone $zone"
  kubectl --namespace "$namespace" delete pod --wait --selector "app.kubernetes.io/component=ingester,loptr.io/zone=$zone"
  # Also waits for pods that are not there yet. Reading the log may take long.
  kubectl --namespace "$namespace" rollout status "statefulset/ingester-zone-$zone" --timeout 35m
done
