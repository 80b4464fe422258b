package databasetest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

type postgreSQL struct{}

var _ product = postgreSQL{}

func (postgreSQL) name() string          { return "PostgreSQL" }
func (postgreSQL) accounts() []string    { return []string{"postgres", "nobody"} }
func (postgreSQL) scheme() string        { return "postgres" }
func (postgreSQL) quit() os.Signal       { return syscall.SIGQUIT }
func (postgreSQL) adminDatabase() string { return "postgres" }

// program finds one of PostgreSQL's programs: on the PATH, or where Debian has
// them, the one of the latest version.
func (postgreSQL) program(name string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return filepath.Abs(found)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("there is no program %s on the PATH or in /usr/lib/postgresql", name)
	}
	return found[len(found)-1], nil
}

func (p postgreSQL) install(account processtest.Account, dir string) error {
	initdb, err := p.program("initdb")
	if err != nil {
		return err
	}
	password := filepath.Join(dir, "password")
	if err := writeFile(account, password, Password+"\n"); err != nil {
		return err
	}
	return finish(account, dir, initdb, "--pgdata", filepath.Join(dir, "data"), "--username", User, "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
}

func (p postgreSQL) launch(account processtest.Account, dir string, port int) (*processtest.Process, string, error) {
	postgres, err := p.program("postgres")
	if err != nil {
		return nil, "", err
	}
	args := []string{"-D", filepath.Join(dir, "data")}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(port), "unix_socket_directories=", "max_connections=200", "shared_buffers=16MB",
		"dynamic_shared_memory_type=mmap", "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_wal_size=64MB",
	} {
		args = append(args, "-c", setting)
	}
	process, err := processtest.LaunchAs(account, dir, postgres, args...)
	return process, "database system is ready to accept connections", err
}

func (p postgreSQL) open(address, database string) (*sql.DB, error) {
	u := url.URL{Scheme: p.scheme(), User: url.UserPassword(User, Password), Host: address, Path: "/" + database, RawQuery: "sslmode=disable"}
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("reading the URL of the server: %w", err)
	}
	return stdlib.OpenDB(*config), nil
}
