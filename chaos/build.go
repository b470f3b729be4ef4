package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wrongBy is how far the clock of the odd worker is ahead, in seconds.
const wrongBy = 300

// build builds the real program, and the same program with a clock that is wrong. The
// product has no switch for a wrong clock, and should have none; so the second build
// takes Go's own time.Now from a copy that is five minutes ahead (go build -overlay).
// Every line of Banyan and of its libraries is the same in both.
func build(ctx context.Context, dir string) (banyan, odd string, err error) {
	banyan, odd = filepath.Join(dir, "banyan"), filepath.Join(dir, "banyan-wrong-clock")
	root, err := goTool(ctx, "env", "GOROOT")
	if err != nil {
		return "", "", err
	}
	overlay, err := wrongClock(strings.TrimSpace(root), dir)
	if err != nil {
		return "", "", err
	}
	_, err = goTool(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", banyan, "github.com/banyanhq/banyan/cmd/banyan")
	if err == nil {
		_, err = goTool(ctx, "build", "-trimpath", "-ldflags=-s -w", "-overlay", overlay, "-o", odd, "github.com/banyanhq/banyan/cmd/banyan")
	}
	return banyan, odd, err
}

// wrongClock writes the overlay. In Go 1.26 time.Now begins with the line that it looks for.
func wrongClock(root, dir string) (string, error) {
	const begins = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	source := filepath.Join(root, "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), begins) != 1 {
		return "", errors.New("this Go's time.Now does not begin as the one of Go 1.26: chaos/build.go has to learn how it does")
	}
	ahead := filepath.Join(dir, "time.go")
	changed := strings.Replace(string(text), begins, fmt.Sprintf("%s\tsec += %d\n", begins, wrongBy), 1)
	if err := os.WriteFile(ahead, []byte(changed), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: ahead}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, overlay, 0o600)
}

func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}
