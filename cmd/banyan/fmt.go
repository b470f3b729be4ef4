package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/banyanhq/banyan/definitions"
)

type fmtCommand struct {
	Files []string `arg:"" name:"file" help:"Campaign files; - is the standard input."`
	Check bool     `xor:"what" help:"Write nothing; name the files that are not formatted, and fail if there are any."`
	Write bool     `short:"w" xor:"what" help:"Write the files themselves instead of printing them."`
}

// Run formats files. One that is no YAML is told, and the others are formatted all the same.
func (c *fmtCommand) Run(e *env) error {
	failed := false
	for _, file := range c.Files {
		if c.Write && file == "-" {
			return usageError{"the standard input cannot be written; leave -w out"}
		}
		source, err := readFile(e, file)
		if err != nil {
			failed = true
			_, _ = fmt.Fprintln(e.Stderr, "banyan:", err)
			continue
		}
		out, problems, err := definitions.Format(file, source)
		switch {
		case err != nil:
			failed = true
			_, _ = fmt.Fprintf(e.Stderr, "%s: %v\n", file, err)
			continue
		case problems != nil:
			failed = true
			_, _ = io.WriteString(e.Stderr, problems.Text(e.Color))
			continue
		}
		changed := !bytes.Equal(source, out)
		switch {
		case c.Check && changed:
			failed = true
			_, err = fmt.Fprintln(e.Stdout, file)
		case c.Check:
		case !c.Write:
			_, err = e.Stdout.Write(out)
		case changed:
			err = replaceFile(file, out)
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".banyan-fmt-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(data)
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), info.Mode().Perm())
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
