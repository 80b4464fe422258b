package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// chunk is how much is copied before the context is asked again, in bytes.
const chunk = 1 << 20

// errVanished says that a file went between its listing and its reading.
var errVanished = errors.New("vanished")

// open opens a file of the source, which must be the one that was listed.
func (p *pass) open(name string, listed fs.FileInfo) (*os.File, error) {
	f, err := p.source.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errVanished
	}
	if err != nil {
		return nil, err
	}
	if err := unchanged(f, listed); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unchanged refuses an open file that is not as it was listed.
func unchanged(f *os.File, listed fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !isSame(listed, now) {
		return fmt.Errorf("%s changes while it is read", f.Name())
	}
	return nil
}

// copy makes a file of the target that has content, permissions and time of one
// of the source. It is there as a whole or not at all.
func (p *pass) copy(ctx context.Context, name string, info fs.FileInfo) error {
	if err := p.mayWrite(name, info); err != nil {
		return err
	}
	from, err := p.open(name, info)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // only read from
	return p.write(name, func(to *os.File) error {
		read, err := transfer(ctx, to, from)
		if err != nil {
			return err
		}
		if err := unchanged(from, info); err != nil {
			return err
		}
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return err
		}
		written, err := transfer(ctx, io.Discard, to)
		if err != nil {
			return err
		}
		if read != written {
			return fmt.Errorf("%s reads otherwise than it was written", name)
		}
		return to.Chmod(info.Mode().Perm())
	}, func(unfinished string) error {
		if err := p.target.Chtimes(unfinished, info.ModTime(), info.ModTime()); err != nil {
			return err
		}
		return p.publish(unfinished, name)
	})
}

// mayWrite says whether a file of the target may be written.
func (p *pass) mayWrite(name string, info fs.FileInfo) error {
	there, err := p.target.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", PropTarget, err)
	case os.SameFile(there, info):
		return fmt.Errorf("%s is the same file in source and target", name)
	case p.job.overwrite == OverwriteNever:
		return errSkipped
	case !there.Mode().IsRegular():
		return fmt.Errorf("%s of the target is no file", name)
	case p.job.overwrite == OverwriteChanged && there.Size() == info.Size() && there.ModTime().Equal(info.ModTime()):
		return errSkipped
	}
	return nil
}

// publish gives a finished file its name. Others may have made a file of that name
// since mayWrite has looked, such as a job that fires at the same time: one that is
// not to be replaced is not replaced then either.
func (p *pass) publish(unfinished, name string) error {
	if p.job.overwrite != OverwriteNever {
		return p.target.Rename(unfinished, name)
	}
	switch err := p.target.Link(unfinished, name); {
	case err == nil:
		return p.target.Remove(unfinished)
	case errors.Is(err, fs.ErrExist):
		return errSkipped
	}
	// Not every file system has hard links.
	switch _, err := p.target.Lstat(name); {
	case err == nil:
		return errSkipped
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return p.target.Rename(unfinished, name)
}

// write makes a file of the target under a name of its own, on the disk, before
// finish gives it its name. What fails leaves nothing.
func (p *pass) write(name string, fill func(*os.File) error, finish func(unfinished string) error) (err error) {
	dir := path.Dir(name)
	if err := p.target.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unfinished := path.Join(dir, temporary+rand.Text())
	f, err := p.target.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.target.Remove(unfinished))
		}
	}()
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = finish(unfinished)
	}
	if err != nil {
		return err
	}
	return p.syncDir(dir)
}

// syncDir brings the name of a new file onto the disk. Windows has no such thing.
func (p *pass) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := p.target.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // the file is there; only a crash right now could take it away
	}
	return errors.Join(d.Sync(), d.Close())
}

// transfer copies all of from, as long as ctx has not ended, and returns its
// SHA-256.
func transfer(ctx context.Context, to io.Writer, from io.Reader) ([sha256.Size]byte, error) {
	h := sha256.New()
	both := io.MultiWriter(to, h)
	for {
		if err := ctx.Err(); err != nil {
			return [sha256.Size]byte{}, err
		}
		switch _, err := io.CopyN(both, from, chunk); {
		case errors.Is(err, io.EOF):
			return [sha256.Size]byte(h.Sum(nil)), nil
		case err != nil:
			return [sha256.Size]byte{}, err
		}
	}
}

// sum adds a line about a file, as the program sha256sum writes it.
func (p *pass) sum(ctx context.Context, name string, info fs.FileInfo) error {
	f, err := p.open(name, info)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read from
	sum, err := transfer(ctx, io.Discard, f)
	if err != nil {
		return err
	}
	if err := unchanged(f, info); err != nil {
		return err
	}
	if shown := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name); shown != name {
		name = shown
		p.sums.WriteByte('\\')
	}
	p.sums.WriteString(hex.EncodeToString(sum[:]) + "  " + name + "\n")
	return nil
}

// writeSums writes the list of the item.
func (p *pass) writeSums(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := list + strconv.Itoa(p.sharding.ShardingItem)
	err := p.write(name, func(f *os.File) error {
		_, err := f.WriteString(p.sums.String())
		return err
	}, func(unfinished string) error { return p.target.Rename(unfinished, name) })
	if err != nil {
		return fmt.Errorf("writing the list of sums: %w", err)
	}
	return nil
}
