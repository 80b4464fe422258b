package sqljob

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// isConnectionLost says that a connection was not made or has broken, so that
// the same may succeed later. A connection that was not made within its time
// ends with a deadline that is not the item's.
func isConnectionLost(err error) bool {
	for _, lost := range []error{driver.ErrBadConn, mysql.ErrInvalidConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded} {
		if errors.Is(err, lost) {
			return true
		}
	}
	_, isOfNetwork := errors.AsType[net.Error](err)
	return isOfNetwork
}
