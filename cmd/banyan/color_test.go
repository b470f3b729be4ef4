package main

import (
	"os"
	"testing"
)

// TestColored checks who gets colour: a terminal, unless NO_COLOR or TERM=dumb say no.
func TestColored(t *testing.T) {
	t.Parallel()
	terminal, err := os.Open(os.DevNull) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = terminal.Close(), file.Close() }()
	for _, c := range []struct {
		to          *os.File
		name, value string
		want        bool
	}{
		{terminal, "", "", true},
		{terminal, "NO_COLOR", "1", false},
		{terminal, "NO_COLOR", "", true}, // present and empty means nothing
		{terminal, "TERM", "dumb", false},
		{terminal, "TERM", "xterm-256color", true},
		{file, "", "", false},
	} {
		if got := colored(c.to, func(name string) string {
			if name == c.name {
				return c.value
			}
			return ""
		}); got != c.want {
			t.Errorf("%s with %s=%q: %v", c.to.Name(), c.name, c.value, got)
		}
	}
}
