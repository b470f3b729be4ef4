#!/bin/sh
# Makes the roles and databases of Banyan and Temporal, once, when the volume is empty.
# Neither is a superuser. psql quotes the passwords, whatever they contain.
set -eu

psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
    --set=banyan="$BANYAN_POSTGRES_PASSWORD" --set=temporal="$TEMPORAL_POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE banyan LOGIN PASSWORD :'banyan';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE banyan OWNER banyan;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE banyan, temporal, temporal_visibility FROM PUBLIC;
SQL
