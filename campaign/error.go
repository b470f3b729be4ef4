package campaign

import (
	"errors"
	"fmt"
)

// Code classes an error by who must act on it.
type Code string

// Error codes. The HTTP API maps them to statuses; activities use them as error types
// so that a retry policy can tell what is worth another try.
const (
	CodeInvalid     Code = "invalid"     // the caller must change the request
	CodeNotFound    Code = "not_found"   // what was named does not exist
	CodeConflict    Code = "conflict"    // the state of things forbids it
	CodeForbidden   Code = "forbidden"   // the key may not do this
	CodeTooLarge    Code = "too_large"   // over a documented limit
	CodeUnavailable Code = "unavailable" // try again later
	CodeInternal    Code = "internal"    // our fault
)

// Error is an error with a code and a sentence for the person who must act.
type Error struct {
	Code    Code
	Message string
	cause   error
}

// Error gives the sentence.
func (e *Error) Error() string { return e.Message }

// Unwrap gives what was behind it, if anything.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error; %w wraps as in fmt.Errorf.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// CodeOf finds the code of any wrapped error; one without a code is internal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
