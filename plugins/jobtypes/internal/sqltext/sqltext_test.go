package sqltext_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
)

// grammars are those of the products.
func grammars() map[string]sqltext.Grammar {
	return map[string]sqltext.Grammar{"postgres": sqltext.PostgreSQL(), "mysql": sqltext.MySQL(), "sqlite": sqltext.SQLite()}
}

// known knows the parameters jobName and runId.
func known(name string) error {
	if name == "jobName" || name == "runId" {
		return nil
	}
	return errors.New("does not know :" + name)
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		only       string // the grammar it is about; "" for all
		// want are the statements with ? as every placeholder.
		want       []string
		parameters []string
	}{
		{name: "one parameter", text: "DELETE FROM t WHERE id = :runId;", want: []string{"DELETE FROM t WHERE id = ?"}, parameters: []string{"runId"}},
		{name: "several, one of them twice", text: "x :jobName,:runId(:jobName)", want: []string{"x ?,?(?)"}, parameters: []string{"jobName", "runId", "jobName"}},
		{name: "behind a word", text: "LIMIT:runId", want: []string{"LIMIT ?"}, parameters: []string{"runId"}},
		{name: "in a literal", text: "SELECT ':jobName;', 'it''s :jobName', :runId", want: []string{"SELECT ':jobName;', 'it''s :jobName', ?"}, parameters: []string{"runId"}},
		{name: "in a name", text: `SELECT ":jobName"";"`, want: []string{`SELECT ":jobName"";"`}},
		{name: "in a line of comment", text: "SELECT 1 -- it's :jobName; \n, 2", want: []string{"SELECT 1 -- it's :jobName; \n, 2"}},
		{name: "in a comment", text: "SELECT 1 /* it's :jobName; */, 2", want: []string{"SELECT 1 /* it's :jobName; */, 2"}},
		{name: "comment that ends the text", text: "SELECT 1 --", want: []string{"SELECT 1 --"}},
		{name: "several statements", text: ";; INSERT INTO t VALUES (:runId); -- and\nSELECT 1; /* end */ ;", want: []string{"INSERT INTO t VALUES (?)", "-- and\nSELECT 1"}, parameters: []string{"runId"}},
		{name: "numbers and colons", text: "SELECT 1:2, a [ 1 : 2 ], :1, '12:30', b :=1", only: "postgres", want: []string{"SELECT 1:2, a [ 1 : 2 ], :1, '12:30', b :=1"}},
		{name: "cast", text: "SELECT :runId::bigint, now()::text", only: "postgres", want: []string{"SELECT ?::bigint, now()::text"}, parameters: []string{"runId"}},
		{name: "dollar quotes", text: "DO $$ BEGIN PERFORM ':jobName'; END $$; SELECT $a$ $$ :jobName $a$, x$y$z, :runId", only: "postgres", want: []string{"DO $$ BEGIN PERFORM ':jobName'; END $$", "SELECT $a$ $$ :jobName $a$, x$y$z, ?"}, parameters: []string{"runId"}},
		{name: "strings with escapes", text: `SELECT E'\':jobName', e'\\', 'a\', :runId, TRUE'x\'`, only: "postgres", want: []string{`SELECT E'\':jobName', e'\\', 'a\', ?, TRUE'x\'`}, parameters: []string{"runId"}},
		{name: "nested comments", text: "SELECT /* /* :jobName */ ' */ :runId", only: "postgres", want: []string{"SELECT /* /* :jobName */ ' */ ?"}, parameters: []string{"runId"}},
		{name: "operators with ?", text: "SELECT j ? 'a', # 3, @ -1", only: "postgres", want: []string{"SELECT j ? 'a', # 3, @ -1"}},
		{name: "backslashes", text: `SELECT '\':jobName', "\":jobName", :runId`, only: "mysql", want: []string{`SELECT '\':jobName', "\":jobName", ?`}, parameters: []string{"runId"}},
		{name: "backticks", text: "SELECT `it's`, `a``:jobName`, :runId", only: "mysql", want: []string{"SELECT `it's`, `a``:jobName`, ?"}, parameters: []string{"runId"}},
		{name: "hash and double minus", text: "SELECT 1 # it's\n, 2--1, :runId -- it's", only: "mysql", want: []string{"SELECT 1 # it's\n, 2--1, ? -- it's"}, parameters: []string{"runId"}},
		{name: "variables", text: "SET @a := :runId", only: "mysql", want: []string{"SET @a := ?"}, parameters: []string{"runId"}},
		{name: "comments do not nest", text: "SELECT /* /* */ :runId", only: "mysql", want: []string{"SELECT /* /* */ ?"}, parameters: []string{"runId"}},
		{name: "brackets", text: "SELECT [it's :jobName], :runId", only: "sqlite", want: []string{"SELECT [it's :jobName], ?"}, parameters: []string{"runId"}},
		{name: "backslash is no escape", text: `SELECT '\', :runId`, only: "sqlite", want: []string{`SELECT '\', ?`}, parameters: []string{"runId"}},
		{name: "other alphabets", text: "SELECT Größe, 数量 FROM 表 WHERE a=:runId", want: []string{"SELECT Größe, 数量 FROM 表 WHERE a=?"}, parameters: []string{"runId"}},
	}
	for _, test := range tests {
		for name, g := range grammars() {
			if test.only != "" && test.only != name {
				continue
			}
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				statements, err := sqltext.Parse(test.text, g, known)
				if name == "postgres" {
					for i := range statements {
						statements[i].Text = regexp.MustCompile(`\$[0-9]+`).ReplaceAllString(statements[i].Text, "?")
					}
				}
				var got, parameters []string
				for _, s := range statements {
					got, parameters = append(got, s.Text), append(parameters, s.Parameters...)
				}
				if err != nil || !slices.Equal(got, test.want) || !slices.Equal(parameters, test.parameters) {
					t.Errorf("Parse(%q) = %q with %q, %v, want %q with %q", test.text, got, parameters, err, test.want, test.parameters)
				}
			})
		}
	}
}

func TestPlaceholdersOfPostgreSQLCountPerStatement(t *testing.T) {
	t.Parallel()
	got, err := sqltext.Parse("SELECT x:runId, :runId; SELECT :jobName", sqltext.PostgreSQL(), known)
	want := []sqltext.Statement{
		{Text: "SELECT x $1, $2", Parameters: []string{"runId", "runId"}, IsQuery: true},
		{Text: "SELECT $1", Parameters: []string{"jobName"}, IsQuery: true},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Parse() has error %v and differs (-want +got):\n%s", err, diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, only, want string }{
		{text: "", want: "holds no statement"},
		{text: " ; -- nothing", want: "holds no statement"},
		{text: ":jobName", want: "no more than a parameter"},
		{text: "SELECT 'a", want: `has a '\'' that nothing closes`},
		{text: `SELECT "a""`, want: `has a '"' that nothing closes`},
		{text: "SELECT /* a", want: "a comment that nothing closes"},
		{text: "SELECT /* a /* */", only: "postgres", want: "a comment that nothing closes"},
		{text: "SELECT $a$ $b$", only: "postgres", want: "has a $a$ that nothing closes"},
		{text: "SELECT :x", want: "does not know :x"},
		{text: "SELECT $1", only: "postgres", want: "a parameter by number"},
		{text: "SELECT ?", only: "mysql", want: "write parameters by name"},
		{text: "SELECT @a", only: "sqlite", want: "write parameters by name"},
		{text: "SELECT 1; commit", want: "begins or ends a transaction with COMMIT"},
		{text: "START TRANSACTION; SELECT 1", want: "sql.transaction says"},
		{text: "COPY t (a) FROM stdin WITH (FORMAT csv)", want: "a COPY with STDIN"},
		{text: "SELECT 1; copy (SELECT 1) TO STDOUT", want: "a COPY with STDOUT"},
		{text: "SELECT '\x00'", want: "is no text"},
		{text: "SELECT '\xff'", want: "is no text"},
		{text: strings.Repeat("SELECT 1;", 101), want: "more than 100 statements"},
		{text: "SELECT 1" + strings.Repeat(",:runId", 1001), want: "more than 1000 parameters"},
	}
	for _, test := range tests {
		for name, g := range grammars() {
			if test.only != "" && test.only != name {
				continue
			}
			if _, err := sqltext.Parse(test.text, g, known); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%.40q) of %s = %v, want %q in the error", test.text, name, err, test.want)
			}
		}
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"select 1": true, "(SELECT 1) UNION SELECT 2": true, "VALUES (1)": true, "TABLE t": true, "SHOW TABLES": true, "EXPLAIN DELETE FROM t": true, "PRAGMA x": true,
		"INSERT INTO t SELECT 1": false, "UPDATE t SET a = 1": false, "DELETE FROM t RETURNING id": true, "DELETE FROM t WHERE a IN (SELECT returning FROM u)": false,
		"WITH a AS (SELECT 1) SELECT 2": true, "WITH a AS (SELECT 1) DELETE FROM t": false, "WITH a AS (DELETE FROM t RETURNING id) SELECT 1": true, "CALL p()": false,
	} {
		got, err := sqltext.Parse(text, sqltext.PostgreSQL(), known)
		if err != nil || len(got) != 1 || got[0].IsQuery != want {
			t.Errorf("Parse(%q) = %+v, %v, want IsQuery %t", text, got, err, want)
		}
	}
}
