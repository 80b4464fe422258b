package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"
)

// print writes a result to stdout: the value as a document, or what text
// writes.
func (a *app) print(value any, text func(w io.Writer)) error {
	var result []byte
	if a.format == formatTable {
		var b bytes.Buffer
		text(&b)
		result = b.Bytes()
	} else {
		var err error
		if result, err = encode(a.format, value, true); err != nil {
			return err
		}
	}
	if _, err := a.Out.Write(result); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// note writes a remark to stderr, which is no part of the result: as text, or
// as a log record when documents were asked for.
func (a *app) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.format != formatTable || a.logFormat == logJSON {
		a.logger.Info("note", "text", text)
		return
	}
	_, _ = fmt.Fprintln(a.Err, printable("note: "+text))
}

// encode returns value as a document that ends with a line break. JSON is
// spread over lines for readers, or on one line among other lines.
func encode(format string, value any, spread bool) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if spread {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	if format != formatYAML {
		return b.Bytes(), nil
	}
	document, err := yaml.JSONToYAML(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return document, nil
}

// table collects rows whose columns are aligned.
type table struct {
	w *tabwriter.Writer
}

func newTable(w io.Writer) *table {
	return &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// row adds a row. Empty cells are shown as a dash, so that columns can be
// counted.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = oneLine(cell)
		if cell == "" {
			cells[i] = "-"
		}
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// flush writes the table; what it writes to is a buffer.
func (t *table) flush() { _ = t.w.Flush() }

// printable makes text safe for a terminal: what is neither graphic nor a line
// break is shown as an escape, so that a hostile file cannot steer the reader.
func printable(text string) string {
	return escapeIf(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsGraphic(r) })
}

// oneLine is printable without line breaks and tabs.
func oneLine(text string) string {
	return escapeIf(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

func escapeIf(text string, bad func(rune) bool) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if !strings.ContainsFunc(text, bad) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !bad(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
