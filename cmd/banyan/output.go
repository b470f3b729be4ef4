package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// printer writes lines and remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// output writes a value as JSON where --json asks for it, and in words otherwise.
func output(e *env, g *Globals, value any, words func(*printer)) error {
	if g.JSON {
		return writeJSON(e.Stdout, value)
	}
	p := &printer{w: e.Stdout}
	words(p)
	return p.err
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
