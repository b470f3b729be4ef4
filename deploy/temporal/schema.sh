#!/bin/sh
# Brings Temporal's two databases to the schema of this version of its tools. It runs
# at every start: on an up-to-date database it does nothing, after an upgrade of the
# images it migrates. Where and as whom is in SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
set -eu

tool() {
    database=$1
    shift
    temporal-sql-tool --plugin postgres12 --database "$database" "$@"
}

tool temporal setup-schema --version 0.0
tool temporal update-schema --schema-name postgresql/v12/temporal
tool temporal_visibility setup-schema --version 0.0
tool temporal_visibility update-schema --schema-name postgresql/v12/visibility
