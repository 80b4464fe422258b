package databasetest

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/go-sql-driver/mysql"

	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

type mariaDB struct{}

var _ product = mariaDB{}

func (mariaDB) name() string          { return "MariaDB" }
func (mariaDB) accounts() []string    { return []string{"mysql", "nobody"} }
func (mariaDB) scheme() string        { return "mysql" }
func (mariaDB) quit() os.Signal       { return os.Kill }
func (mariaDB) adminDatabase() string { return "mysql" }

// program finds one of MariaDB's programs, of which Debian keeps the server away
// from the PATH of accounts that are not root.
func (mariaDB) program(name string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(candidate); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("there is no program %s on the PATH or in /usr/sbin", name)
}

// settings count for the making of the data and for the server.
func (mariaDB) settings(dir string) []string {
	return []string{
		"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--skip-name-resolve", "--debug-no-sync", "--innodb-flush-method=nosync",
		"--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M",
	}
}

func (m mariaDB) install(account processtest.Account, dir string) error {
	script, err := m.program("mariadb-install-db")
	if err != nil {
		return err
	}
	users := fmt.Sprintf("CREATE USER IF NOT EXISTS '%s'@'127.0.0.1' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'127.0.0.1';\n", User, Password, User)
	if err := writeFile(account, filepath.Join(dir, "users.sql"), users); err != nil {
		return err
	}
	return finish(account, dir, script, append(m.settings(dir), "--auth-root-authentication-method=normal", "--skip-test-db")...)
}

func (m mariaDB) launch(account processtest.Account, dir string, port int) (*processtest.Process, string, error) {
	server, err := m.program("mariadbd")
	if err != nil {
		return nil, "", err
	}
	process, err := processtest.LaunchAs(account, dir, server, append(m.settings(dir),
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(port), "--socket="+filepath.Join(dir, "socket"), "--pid-file="+filepath.Join(dir, "pid"),
		"--init-file="+filepath.Join(dir, "users.sql"), "--character-set-server=utf8mb4", "--performance-schema=OFF")...)
	return process, "ready for connections", err
}

func (mariaDB) open(address, database string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName, config.User, config.Passwd = "tcp", address, database, User, Password
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server: %w", err)
	}
	return sql.OpenDB(connector), nil
}
