package spi

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Code tells what went wrong in a way that survives a process or module
// border. Codes are append-only. From 1000 on they are the author's own.
type Code int32

// The codes of the ABI.
const (
	CodeFailed            Code = 1  // the job's own failure; the default
	CodeInvalidProperties Code = 2  // a property was refused
	CodeUnsupported       Code = 3  // the operation or capability does not exist here
	CodeDenied            Code = 4  // a grant is missing; the message names it
	CodeNotFound          Code = 5  // what was asked for does not exist
	CodeTimeout           Code = 6  // the call ran past its deadline
	CodeCancelled         Code = 7  // the call was cancelled
	CodeLeaseLost         Code = 8  // this node no longer owns the item
	CodeLimit             Code = 9  // memory, output, log or fuel is used up
	CodeTrap              Code = 10 // a module trapped or exited
	CodeProtocol          Code = 11 // the plugin broke the contract
	CodePluginGone        Code = 12 // the plugin's process is gone
	CodeUnavailable       Code = 13 // something needed is away for now
	CodeTooLarge          Code = 14 // a value is above its bound
	CodeRateLimited       Code = 15 // too many calls
	CodeInternal          Code = 16 // a fault of the host
)

// FirstAuthorCode is the first code that belongs to plugin authors.
const FirstAuthorCode Code = 1000

// codeNames is ordered by code.
var codeNames = [...]string{
	"", "FAILED", "INVALID_PROPERTIES", "UNSUPPORTED", "DENIED", "NOT_FOUND", "TIMEOUT", "CANCELLED", "LEASE_LOST",
	"LIMIT", "TRAP", "PROTOCOL", "PLUGIN_GONE", "UNAVAILABLE", "TOO_LARGE", "RATE_LIMITED", "INTERNAL",
}

// String returns the name of the code, or its number when it has none.
func (c Code) String() string {
	if c > 0 && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return strconv.Itoa(int(c))
}

// Retryable is the default of the retry hint for the code.
func (c Code) Retryable() bool {
	switch c {
	case CodeTimeout, CodePluginGone, CodeUnavailable, CodeRateLimited:
		return true
	default:
		return false
	}
}

// FromGuest returns the code that the host accepts when plugin code sends c:
// codes that only the host may use become [CodeProtocol], 0 becomes
// [CodeFailed].
func (c Code) FromGuest() Code {
	switch {
	case c == 0:
		return CodeFailed
	case c >= CodeFailed && c <= CodeNotFound, c >= CodeUnavailable && c <= CodeRateLimited, c >= FirstAuthorCode:
		return c
	default:
		return CodeProtocol
	}
}

// FromAuthor returns the code of a call whose plugin code, in Go, returns an error
// of c. Codes that only a host may say become [CodeFailed]: an author gets them
// from operations and contexts of his own, and passes them on. Only the engine
// and the hosts know whether they are true of the call.
func (c Code) FromAuthor() Code {
	if c = c.FromGuest(); c == CodeProtocol {
		return CodeFailed
	}
	return c
}

// Causes with which the engine cancels the context of a call. They are found
// with context.Cause and errors.Is. No node cancels with ErrDisabled in this
// version: what runs goes on. In a module the sdk does, since should_stop says
// so.
var (
	ErrStopping  = errors.New("node is stopping")
	ErrTimeout   = errors.New("timeout exceeded")
	ErrLeaseLost = errors.New("lease lost")
	ErrDisabled  = errors.New("disabled")
	// ErrSuperseded is the cause of an item that still runs at its next fire, when
	// its job has the concurrency policy CANCEL_RUNNING.
	ErrSuperseded = errors.New("its next fire has come")
)

// ErrPluginGone is matched by errors of [CodePluginGone].
var ErrPluginGone = errors.New("plugin is gone")

// Error is an error that crosses a plugin border.
type Error struct {
	// Code says what went wrong.
	Code Code
	// Message says it to a person; at most 4 KiB cross a border.
	Message string
	// Stack is where it happened, if known.
	Stack string
	// Retryable hints that the same call may succeed later.
	Retryable bool
	// Property names the refused property, with CodeInvalidProperties.
	Property string
	// RetryAfter is how long the same call will not succeed, if known; whole
	// milliseconds of it cross a border.
	RetryAfter time.Duration
}

// NewError returns an error with the code's default retry hint.
func NewError(code Code, message string) *Error {
	return &Error{Code: code, Message: message, Retryable: code.Retryable()}
}

// Error returns the message.
func (e *Error) Error() string {
	if e == nil {
		return "an error without content"
	}
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Message
}

// Is lets errors.Is match the sentinel that belongs to the code.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	switch target {
	case ErrTimeout, context.DeadlineExceeded:
		return e.Code == CodeTimeout
	case context.Canceled:
		return e.Code == CodeCancelled
	case ErrLeaseLost:
		return e.Code == CodeLeaseLost
	case ErrPluginGone:
		return e.Code == CodePluginGone
	default:
		return false
	}
}

// AsError turns any error into an [*Error], keeping an [*Error] in its chain
// with the text of the whole chain. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		if e.Error() == err.Error() {
			return e
		}
		wrapped := *e
		wrapped.Message = err.Error()
		return &wrapped
	}
	code := CodeFailed
	switch {
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		code = CodeTimeout
	case errors.Is(err, ErrLeaseLost):
		code = CodeLeaseLost
	case errors.Is(err, ErrPluginGone):
		code = CodePluginGone
	case errors.Is(err, ErrStopping), errors.Is(err, ErrDisabled), errors.Is(err, ErrSuperseded), errors.Is(err, context.Canceled):
		code = CodeCancelled
	}
	return NewError(code, err.Error())
}
