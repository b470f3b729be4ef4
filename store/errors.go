package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/banyanhq/banyan/campaign"
)

// PostgreSQL's error codes that Banyan acts on.
const (
	pgSerialization   = "40001"
	pgDeadlock        = "40P01"
	pgUniqueViolation = "23505"
	pgLockTimeout     = "55P03"
	pgCanceled        = "57014"
	pgUndefinedTable  = "42P01"
)

// translate gives an error from PostgreSQL its code. One that has a code already
// keeps it; what nobody foresaw is internal.
func translate(err error, doing string) error {
	if err == nil {
		return nil
	}
	var known *campaign.Error
	if errors.As(err, &known) {
		return err
	}
	if unavailable(err) {
		return campaign.Errorf(campaign.CodeUnavailable, "could not %s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func unavailable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return true
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		// Not an answer of PostgreSQL at all: the connection broke under the question.
		return !errors.Is(err, pgx.ErrNoRows) && pgconn.Timeout(err)
	}
	switch pg.Code {
	case pgLockTimeout, pgCanceled, pgSerialization, pgDeadlock:
		return true
	}
	// 08: connection, 53: out of resources, 57: operator intervention.
	return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57")
}

// hasCode reports whether PostgreSQL refused with this code.
func hasCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// found turns "no rows" into a not-found error that names what was asked for.
func found(err error, what, name string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return campaign.Errorf(campaign.CodeNotFound, "there is no %s %q", what, name)
	}
	return translate(err, "read the "+what)
}
