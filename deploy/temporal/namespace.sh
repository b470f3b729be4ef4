#!/bin/sh
# Makes the namespace and its search attributes, and returns when both can be used. It
# runs at every start; what is there stays as it is. The server is in TEMPORAL_ADDRESS,
# the namespace in TEMPORAL_NAMESPACE.
set -eu

# try WHAT COMMAND…: repeats a command until it succeeds, for two minutes at most.
try() {
    what=$1
    shift
    left=60
    until error=$("$@" 2>&1); do
        left=$((left - 1))
        if [ "$left" = 0 ]; then
            echo "$what: $error" >&2
            exit 1
        fi
        sleep 2
    done
    echo "$what: done"
}

namespace() {
    temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" ||
        temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
}

# Adding one that is there changes nothing. Right after the namespace was made, it may
# take the server a moment to know it.
attributes() {
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
        --name Campaign --type Keyword \
        --name Journey --type Keyword \
        --name Step --type Keyword \
        --name Outcome --type Keyword \
        --name Phase --type Keyword \
        --name Member --type Keyword \
        --name Version --type Keyword
}

# A count over all of them fails until the server has learnt each.
usable() {
    temporal workflow count --namespace "$TEMPORAL_NAMESPACE" --query \
        "Campaign='' AND Journey='' AND Step='' AND Outcome='' AND Phase='' AND Member='' AND Version=''"
}

try "server" temporal operator cluster health
try "namespace $TEMPORAL_NAMESPACE" namespace
try "search attributes" attributes
try "search attributes in use" usable
