package sqljob_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/sqljob"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestPropertiesAreChecked(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	tests := []struct {
		name, property, want string
		given                []string
	}{
		{name: "postgres of JDBC", property: sqljob.PropURL, want: "is a URL of JDBC; write postgres://USER@HOST:PORT/DATABASE", given: []string{sqljob.PropURL, "jdbc:postgresql://h/db?user=u&password=" + secret}},
		{name: "mysql of JDBC", property: sqljob.PropURL, want: "is a URL of JDBC; write mysql://", given: []string{sqljob.PropURL, "jdbc:mysql://h:3306/db"}},
		{name: "unknown JDBC", property: sqljob.PropURL, want: "mysql://USER@HOST:PORT/DATABASE or sqlite:PATH", given: []string{sqljob.PropURL, "jdbc:h2:mem:x"}},
		{name: "unknown scheme", property: sqljob.PropURL, want: "is of no known database", given: []string{sqljob.PropURL, "oracle://u:" + secret + "@h/db"}},
		{name: "no scheme", property: sqljob.PropURL, want: "is of no known database", given: []string{sqljob.PropURL, secret}},
		{name: "password that needs escapes", property: sqljob.PropURL, want: "is no URL", given: []string{sqljob.PropURL, "postgres://u:" + secret + "#/@h/db"}},
		{name: "no host", property: sqljob.PropURL, want: "lacks the user, the host or the database", given: []string{sqljob.PropURL, "postgres:///db"}},
		{name: "no user", property: sqljob.PropURL, want: "lacks the user", given: []string{sqljob.PropURL, "mysql://h/db"}},
		{name: "no database", property: sqljob.PropURL, want: "lacks the user", given: []string{sqljob.PropURL, "mysql://u@h/"}},
		{name: "parameter of postgres", property: sqljob.PropURL, want: "does not take", given: []string{sqljob.PropURL, "postgres://u:" + secret + "@h/db?sslmode=perhaps"}},
		{name: "parameter of mysql", property: sqljob.PropURL, want: "there are tls and collation", given: []string{sqljob.PropURL, "mysql://u@h/db?allowAllFiles=true"}},
		{name: "value of a parameter of mysql", property: sqljob.PropURL, want: "tls is true", given: []string{sqljob.PropURL, "mysql://u@h/db?tls=perhaps"}},
		{name: "sqlite in memory", property: sqljob.PropURL, want: "names no file", given: []string{sqljob.PropURL, "sqlite::memory:"}},
		{name: "sqlite with parameters", property: sqljob.PropURL, want: "names no file", given: []string{sqljob.PropURL, "sqlite:a.db?mode=ro"}},
		{name: "sqlite with a password", property: sqljob.PropPassword, want: "SQLite has no passwords", given: []string{sqljob.PropPassword, secret}},
		{name: "two passwords", property: sqljob.PropPassword, want: "is another one", given: []string{sqljob.PropURL, "mysql://u:a@h/db", sqljob.PropPassword, secret}},
		{name: "unknown parameter", property: sqljob.PropStatement, want: "did you mean :shardingItem?", given: []string{sqljob.PropStatement, "SELECT :shardingitem"}},
		{name: "item that is no number", property: "sql.statement.x", want: "the number of an item", given: []string{sqljob.PropItemStatement + "x", "SELECT 1"}},
		{name: "item with a sign", property: "sql.statement.-1", want: "the number of an item", given: []string{sqljob.PropItemStatement + "-1", "SELECT 1"}},
		{name: "item with a zero before it", property: "sql.statement.01", want: "the number of an item", given: []string{sqljob.PropItemStatement + "01", "SELECT 1"}},
		{name: "empty statement of an item", property: "sql.statement.1", want: "holds no statement", given: []string{sqljob.PropItemStatement + "1", ""}},
		{name: "no statement", property: sqljob.PropStatement, want: "is missing, and no item has statements of its own", given: []string{sqljob.PropStatement, ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			given := map[string]string{sqljob.PropURL: "sqlite:a.db", sqljob.PropStatement: "SELECT 1"}
			for i := 0; i < len(test.given); i += 2 {
				given[test.given[i]] = test.given[i+1]
			}
			_, err := construct(t, given)
			wantError(t, err, spi.CodeInvalidProperties, false, test.want, secret)
			if e := spi.AsError(err); e != nil && e.Property != test.property {
				t.Errorf("the error is of property %q, want %q", e.Property, test.property)
			}
		})
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	schema := sqljob.Plugin().Descriptor.Props
	for _, name := range []string{sqljob.PropURL, sqljob.PropPassword} {
		if f, ok := schema.Find(name); !ok || !f.Secret {
			t.Errorf("%s is no secret", name)
		}
	}
	for property, value := range map[string]string{sqljob.PropMaxRows: "101", sqljob.PropMaxConnections: "0", sqljob.PropConnectTimeout: "0s", sqljob.PropTransaction: "yes"} {
		_, problems := schema.Resolve(map[string]string{sqljob.PropURL: "sqlite:a", property: value})
		if len(problems) != 1 || problems[0].Property != property {
			t.Errorf("Resolve() of %s: %s = %v, want a problem", property, value, problems)
		}
	}
}

func TestRelativePathsStartFromTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wantResult(t, newJob(t, map[string]string{sqljob.PropURL: "sqlite:here.db", sqljob.PropDirectory: dir, sqljob.PropStatement: "CREATE TABLE t (a INT)"}), `{"rowsAffected":0}`)
	if _, err := os.Stat(filepath.Join(dir, "here.db")); err != nil {
		t.Errorf("the file is not where it should be: %v", err)
	}
}
