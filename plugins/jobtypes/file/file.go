// Package file is the job type FILE: it copies, moves, deletes or sums up the
// files of a directory. The items of a job share the directory: each takes the
// files whose name it has by hash.
//
// Nothing is reached outside of the two directories, also not over links, which
// are never followed.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the job type in config.
const Type = "FILE"

// The properties of the job type.
const (
	PropAction    = "file.action"
	PropSource    = "file.source"
	PropGlob      = "file.glob"
	PropRecursive = "file.recursive"
	PropTarget    = "file.target"
	PropOverwrite = "file.overwrite"
	PropOlderThan = "file.older.than"
)

// The values of PropAction.
const (
	ActionCopy     = "copy"
	ActionMove     = "move"
	ActionDelete   = "delete"
	ActionChecksum = "checksum"
)

// The values of PropOverwrite.
const (
	OverwriteNever   = "never"
	OverwriteChanged = "changed"
	OverwriteAlways  = "always"
)

// Plugin returns the job type.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindJobType,
			Type:        Type,
			Version:     "1",
			Description: "Copies, moves, deletes or sums up the files of a directory, which its items share.",
			Props: props.Schema{
				{Name: PropAction, Type: props.String, Required: true, Enum: []string{ActionCopy, ActionMove, ActionDelete, ActionChecksum}, Description: "what happens to the files"},
				{Name: PropSource, Type: props.Path, Required: true, Description: "directory of the files", Example: "inbox"},
				{Name: PropGlob, Type: props.String, Description: "names of the files; required for delete, all files otherwise", Example: "*.csv"},
				{Name: PropRecursive, Type: props.Bool, Default: "false", Description: "also the files of directories below"},
				{Name: PropTarget, Type: props.Path, Description: "directory for what is copied or moved, or for the lists of sums; it must exist", Example: "archive"},
				{Name: PropOverwrite, Type: props.String, Default: OverwriteNever, Enum: []string{OverwriteNever, OverwriteChanged, OverwriteAlways}, Description: "replace a file of the target: never, when its size or time differs, or always"},
				{Name: PropOlderThan, Type: props.Duration, Default: "0s", Min: "0s", Description: "leave out files that were changed more recently", Example: "24h"},
			},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) { return newJob(values) },
	}
}

type job struct {
	action    string
	source    string
	target    string
	glob      glob
	recursive bool
	overwrite string
	olderThan time.Duration
}

var _ spi.JobType = (*job)(nil)

func newJob(values props.Values) (*job, error) {
	j := &job{
		action: values.String(PropAction), source: values.String(PropSource), target: values.String(PropTarget),
		recursive: values.Bool(PropRecursive), overwrite: values.String(PropOverwrite), olderThan: values.Duration(PropOlderThan),
	}
	pattern := values.String(PropGlob)
	switch {
	case j.action == ActionDelete && pattern == "":
		return nil, refused(PropGlob, "is required to delete; * names all files")
	case j.action == ActionDelete && j.target != "":
		return nil, refused(PropTarget, "is given, and what is deleted goes nowhere")
	case j.action != ActionDelete && j.target == "":
		return nil, refused(PropTarget, "is required to "+j.action)
	case pattern == "":
		pattern = "*"
	}
	var err error
	if j.glob, err = newGlob(pattern); err != nil {
		return nil, refused(PropGlob, err.Error())
	}
	if j.action == ActionCopy || j.action == ActionMove {
		inside, err := filepath.Rel(j.source, j.target)
		if err == nil && (inside == "." || j.recursive && filepath.IsLocal(inside)) {
			return nil, refused(PropTarget, "is "+PropSource+" or lies in it")
		}
	}
	return j, nil
}

func refused(property, why string) error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: property + " " + why}
}

// Execute handles the files of one item. Its message says how many.
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	source, err := openRoot(PropSource, j.source)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	defer source.Close() //nolint:errcheck // only read from
	p := &pass{job: j, source: source, sharding: req.Context, services: req.Services}
	if j.target != "" {
		if p.target, err = openRoot(PropTarget, j.target); err != nil {
			return spi.ExecuteResponse{}, err
		}
		defer p.target.Close() //nolint:errcheck // what was written is closed
	}
	if err := p.run(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return spi.ExecuteResponse{}, cause
		}
		return spi.ExecuteResponse{}, err
	}
	return spi.ExecuteResponse{Message: p.message()}, nil
}

func openRoot(property, dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		e := spi.NewError(spi.CodeFailed, fmt.Sprintf("opening the directory of %s: %v", property, err))
		if errors.Is(err, fs.ErrNotExist) {
			e.Code = spi.CodeNotFound
		}
		return nil, e
	}
	return root, nil
}
