package sqljob

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
)

// Bounds of a result in bytes: that of its rows, which leaves room for the rest
// of the 4 KiB that a result has, and that of a value.
const (
	maxResultRows = 3 << 10
	maxValue      = 512
)

// result gathers what statements say.
type result struct {
	maxRows    int
	affected   int64
	isAffected bool
	// rows are those of the last query, as JSON objects.
	rows    []byte
	isQuery bool
	more    bool
}

// add runs a statement and takes in what it says.
func (r *result) add(ctx context.Context, on runner, s sqltext.Statement, args []any) error {
	if s.IsQuery {
		return r.query(ctx, on, s.Text, args)
	}
	done, err := on.ExecContext(ctx, s.Text, args...)
	if err != nil {
		return err
	}
	affected, err := done.RowsAffected()
	if err != nil {
		return fmt.Errorf("counting the rows: %w", err)
	}
	r.affected, r.isAffected = r.affected+affected, true
	return nil
}

func (r *result) query(ctx context.Context, on runner, text string, args []any) (err error) {
	rows, err := on.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("reading the names of the columns: %w", err)
	}
	r.rows, r.isQuery, r.more = nil, true, false
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	for n := 0; rows.Next(); n++ {
		if n == r.maxRows {
			r.more = true
			break
		}
		if err := rows.Scan(places...); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
		row := appendRow(nil, columns, values)
		if len(r.rows)+len(row) > maxResultRows {
			r.more = true
			break
		}
		if n > 0 {
			r.rows = append(r.rows, ',')
		}
		r.rows = append(r.rows, row...)
	}
	return rows.Err()
}

// json is the result as JSON, such as {"rowsAffected":3} or {"rows":[{"id":1}]}.
func (r *result) json() string {
	b := []byte{'{'}
	if r.isAffected || !r.isQuery {
		b = strconv.AppendInt(append(b, `"rowsAffected":`...), r.affected, 10)
	}
	if r.isQuery {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, `"rows":[`...), r.rows...), ']')
		if r.more {
			b = append(b, `,"more":true`...)
		}
	}
	return string(append(b, '}'))
}

// appendRow adds a row as an object whose members are in the order of columns.
func appendRow(b []byte, columns []string, values []any) []byte {
	b = append(b, '{')
	for i, column := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendValue(b, column), ':')
		b = appendValue(b, values[i])
	}
	return append(b, '}')
}

// appendValue adds a value of a driver: a number, true or false, null, else a
// text. Bytes that are no text are written in base64.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendText(b, strconv.FormatFloat(v, 'g', -1, 64))
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case time.Time:
		return appendText(b, v.Format(time.RFC3339Nano))
	case []byte:
		if !utf8.Valid(v) {
			return appendText(b, base64.StdEncoding.EncodeToString(v[:min(len(v), maxValue)]))
		}
		return appendText(b, string(v))
	case string:
		return appendText(b, v)
	default:
		return appendText(b, fmt.Sprint(v))
	}
}

func appendText(b []byte, text string) []byte {
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "…"
	}
	// Of a string this fails never; what is no UTF-8 is replaced.
	encoded, err := json.Marshal(text)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, encoded...)
}
