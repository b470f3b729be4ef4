#!/bin/sh
# Makes sure that PostgreSQL's server binaries can be found. Does nothing where
# BANYAN_DATABASE_URL names a database or the binaries are there; on Debian and its
# kin it installs the packages when run as root; otherwise it says what to do.
set -eu

if [ -n "${BANYAN_DATABASE_URL:-}" ]; then
    exit 0
fi
for dir in $(echo "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin \
    /usr/local/opt/postgresql*/bin /usr/local/pgsql/bin; do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
        exit 0
    fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing PostgreSQL from the distribution's packages (once)"
    export DEBIAN_FRONTEND=noninteractive
    # The package would create and start a cluster of its own, which nobody needs here.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends postgresql >/dev/null
    exit 0
fi
cat >&2 <<'END'
PostgreSQL was not found. One of these will do:
  - set BANYAN_DATABASE_URL to a PostgreSQL (14 or newer) that is running;
  - install it: `sudo apt-get install postgresql` or `brew install postgresql@17`;
  - run `make postgres` as root on Debian or Ubuntu, which installs it.
END
exit 1
