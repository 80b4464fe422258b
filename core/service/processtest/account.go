package processtest

import (
	"fmt"
	"os/user"
	"strconv"
)

// Account is an account of the system. The zero Account is that of the test.
type Account struct {
	isOther bool
	user    uint32
	group   uint32
}

// Unprivileged is the account for programs that refuse to run as root: the first
// of the names that the system knows when the test runs as root, else its own.
func Unprivileged(names ...string) (Account, error) {
	if !isRoot() {
		return Account{}, nil
	}
	for _, name := range names {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		userID, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return Account{}, fmt.Errorf("reading the id of the account %s: %w", name, err)
		}
		groupID, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return Account{}, fmt.Errorf("reading the group of the account %s: %w", name, err)
		}
		return Account{isOther: true, user: uint32(userID), group: uint32(groupID)}, nil
	}
	return Account{}, fmt.Errorf("the system has none of the accounts %q", names)
}
