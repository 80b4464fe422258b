package process

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"

	"github.com/elasticjob-go/elasticjob/spi"
)

// maxFile bounds the file of a program, in bytes.
const maxFile = 1 << 30

// image is a private copy of a program, of which the checksum was taken while
// it was made.
type image struct {
	sha string
	// path is what is executed.
	path string
	// memory holds the copy if it is one in memory, which path then names.
	memory *os.File
}

// close frees a copy in memory. A copy on disk is removed with its directory.
func (i *image) close() error {
	if i.memory == nil {
		return nil
	}
	return i.memory.Close()
}

// readImage copies the file and checks that it is a program with the expected
// checksum. A copy on disk is made in dir.
func readImage(path, wantSHA, dir string, inMemory bool) (_ *image, err error) {
	file, err := openProgram(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	// The kernel runs what is in memory; an interpreter would have to find it.
	i, sum, err := copyImage(file, dir, filepath.Base(path), inMemory && string(file.head) == "\x7fELF")
	if err != nil {
		return nil, fmt.Errorf("copying the program: %w", err)
	}
	i.sha = hex.EncodeToString(sum)
	if err := checkSum(i.sha, wantSHA); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

// Check finds what [Host.Load] would refuse of the file of a program, without
// copying or starting it. sha256 is the expected checksum in hexadecimal, "" for
// any. Errors begin with the path.
func Check(path, sha256 string) error {
	if err := checkFile(path, sha256); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func checkFile(path, wantSHA string) error {
	file, err := openProgram(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	if wantSHA == "" {
		return nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	return checkSum(hex.EncodeToString(hash.Sum(nil)), wantSHA)
}

func checkSum(sum, want string) error {
	if want != "" && !strings.EqualFold(want, sum) {
		return spi.NewError(spi.CodeDenied, "sha256 is "+sum+", but "+strings.ToLower(want)+" is expected")
	}
	return nil
}

// programFile is an open file that may be a program, at most maxFile of it.
type programFile struct {
	io.Reader
	io.Closer
	head []byte // the first bytes, which are read again
}

// missingFile is the error of a file that is not there.
type missingFile struct{}

func (missingFile) Error() string { return "there is no such file" }

// Unwrap is what errors.Is knows such an error by.
func (missingFile) Unwrap() error { return fs.ErrNotExist }

// openProgram opens a file, unless it cannot be a program.
func openProgram(path string) (_ *programFile, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile{}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	// Before opening, because opening a pipe would wait for its other end.
	if !info.Mode().IsRegular() {
		return nil, spi.NewError(spi.CodeProtocol, "is not a regular file")
	}
	if info.Size() > maxFile {
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("is larger than %d MiB, the most a program may have", maxFile>>20))
	}
	if goruntime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0 {
		return nil, spi.NewError(spi.CodeDenied, "is not executable; chmod +x makes it so")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	source := bufio.NewReader(io.LimitReader(file, maxFile))
	head, err := source.Peek(4)
	if err == nil || errors.Is(err, io.EOF) {
		head = bytes.Clone(head)
		err = refuseHead(head)
	} else {
		err = fmt.Errorf("reading the program: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &programFile{Reader: source, Closer: file, head: head}, nil
}

// refuseHead refuses what cannot be a program of any system.
func refuseHead(head []byte) error {
	switch {
	case len(head) == 0:
		return spi.NewError(spi.CodeProtocol, "is not a program: it is empty")
	case string(head) == "\x00asm":
		return spi.NewError(spi.CodeProtocol, "is a WebAssembly module: list it as wasm, not as process")
	default:
		return nil
	}
}

func copyImage(source io.Reader, dir, name string, inMemory bool) (*image, []byte, error) {
	hash := sha256.New()
	source = io.TeeReader(source, hash)
	if inMemory {
		i, err := copyToMemory(source, name)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return i, hash.Sum(nil), err
		}
		// Nothing was read yet.
	}
	path := filepath.Join(dir, name)
	err := copyToDisk(source, path)
	return &image{path: path}, hash.Sum(nil), err
}

// copyToDisk writes the program to a new file. No process is started
// meanwhile: one that is forked while the file is open for writing holds it
// open until it executes something, and the system refuses to execute a file
// that somebody may write to.
func copyToDisk(source io.Reader, path string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}
