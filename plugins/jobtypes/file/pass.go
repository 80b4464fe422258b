package file

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
)

const (
	// maxFiles bounds how many files an item takes.
	maxFiles = 1_000_000
	// shownErrors is how many errors the failure of an item names.
	shownErrors = 5
	// progressEvery is how often an item reports.
	progressEvery = time.Second
	// temporary begins the names of files that are being written.
	temporary = ".elasticjob-"
	// list begins the names of lists of sums, which the number of the item ends.
	list = "SHA256SUMS-"
)

// pass is one execution.
type pass struct {
	job            *job
	source, target *os.Root
	sharding       spi.ShardingContext
	services       spi.Services

	done, skipped int
	bytes         int64
	failed        int
	errors        []string
	sums          strings.Builder
	reported      time.Time
}

// itemOf is the item that a file belongs to: FNV-1a of 64 bits over its name,
// relative to the source and with slashes, modulo the number of items.
func itemOf(name string, total int) int {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int(h.Sum64() % uint64(max(1, total)))
}

// run handles all files of the item. A file that fails does not stop the others.
func (p *pass) run(ctx context.Context) error {
	names, err := p.list(ctx)
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.report(ctx, i, len(names))
		switch err := p.handle(ctx, name); {
		case err == nil:
		case ctx.Err() != nil:
			return err
		case errors.Is(err, errSkipped):
			p.skipped++
		default:
			p.failed++
			if len(p.errors) < shownErrors {
				p.errors = append(p.errors, err.Error())
			}
		}
	}
	if p.job.action == ActionChecksum {
		if err := p.writeSums(ctx); err != nil {
			return err
		}
	}
	if p.failed > 0 {
		return spi.NewError(spi.CodeFailed, fmt.Sprintf("%d of %d files failed: %s", p.failed, len(names), strings.Join(p.errors, "; ")))
	}
	return nil
}

// list returns the files of the item in their order.
func (p *pass) list(ctx context.Context) ([]string, error) {
	var names []string
	err := fs.WalkDir(p.source.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist) && name != ".":
			return nil // it went while the directory was read
		case err != nil:
			return fmt.Errorf("reading the directory: %w", err)
		case entry.IsDir() && name != "." && !p.job.recursive:
			return fs.SkipDir
		case !entry.Type().IsRegular(), strings.HasPrefix(path.Base(name), temporary):
			return nil
		case p.job.action == ActionChecksum && strings.HasPrefix(path.Base(name), list):
			return nil
		case !p.job.glob.matches(name), itemOf(name, p.sharding.ShardingTotalCount) != p.sharding.ShardingItem:
			return nil
		}
		if names = append(names, name); len(names) > maxFiles {
			return spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the item has more than %d files: use more items", maxFiles))
		}
		return nil
	})
	return names, err
}

// errSkipped says that there is nothing to do with a file.
var errSkipped = errors.New("skipped")

// handle does with a file what the job is for. One that is gone, or has become
// something else than a file, is skipped.
func (p *pass) handle(ctx context.Context, name string) error {
	info, err := p.source.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errSkipped
	case err != nil:
		return err
	case !info.Mode().IsRegular(), time.Since(info.ModTime()) < p.job.olderThan:
		return errSkipped
	}
	switch p.job.action {
	case ActionDelete:
		err = p.source.Remove(name)
	case ActionChecksum:
		err = p.sum(ctx, name, info)
	case ActionCopy:
		err = p.copy(ctx, name, info)
	case ActionMove:
		if err = p.copy(ctx, name, info); err == nil {
			err = p.removeMoved(name, info)
		}
	}
	if errors.Is(err, errVanished) || p.job.action == ActionDelete && errors.Is(err, fs.ErrNotExist) {
		return errSkipped
	}
	if err == nil {
		p.done++
		p.bytes += info.Size()
	}
	return err
}

// removeMoved removes a file that was copied, unless somebody wrote another one
// in its place meanwhile.
func (p *pass) removeMoved(name string, copied fs.FileInfo) error {
	now, err := p.source.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !isSame(copied, now) {
		return fmt.Errorf("%s has changed after it was copied and stays", name)
	}
	return p.source.Remove(name)
}

// isSame says that a file is the one of before and was not written since.
func isSame(before, now fs.FileInfo) bool {
	return os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// report tells how far the item is. That nobody takes the report is no failure.
func (p *pass) report(ctx context.Context, done, total int) {
	if time.Since(p.reported) < progressEvery {
		return
	}
	p.reported = time.Now()
	_ = ops.ReportProgress(ctx, p.services, ops.Progress{Done: int64(done), Total: int64(total), Message: p.message()})
}

// message is the result, such as: copy: 3 files, 1024 bytes, 1 skipped.
func (p *pass) message() string {
	return fmt.Sprintf("%s: %d files, %d bytes, %d skipped", p.job.action, p.done, p.bytes, p.skipped)
}
