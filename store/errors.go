package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/banyanhq/banyan/campaign"
)

// PostgreSQL's error codes that Banyan acts on.
const (
	pgSerialization  = "40001"
	pgDeadlock       = "40P01"
	pgLockTimeout    = "55P03"
	pgCanceled       = "57014"
	pgUndefinedTable = "42P01"
	pgUnique         = "23505"
	pgNotText        = "22021" // bytes that are no UTF-8, or a zero character
	pgNotJSONText    = "22P05"
	pgDataException  = "22" // the class of all that says a value cannot be kept
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
	if hasCode(err, pgNotText) || hasCode(err, pgNotJSONText) {
		return campaign.Errorf(campaign.CodeInvalid, "a name or an id holds characters that are no text")
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
		var broken net.Error
		return pgconn.Timeout(err) || errors.As(err, &broken) || errors.Is(err, io.EOF) ||
			errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
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
