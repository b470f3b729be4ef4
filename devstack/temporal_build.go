package devstack

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// keepBinaries is how many builds of the server stay: this one and the one before, for
// a branch that is switched back and forth. Each is about 150 MB.
const keepBinaries = 2

// BuildTemporal gives the path of the embedded Temporal server, building it first if its
// sources changed since the last time. The very first build compiles a whole Temporal
// and takes minutes; it tells people so. Processes that want it at the same time wait
// for one of them to build it.
func BuildTemporal(ctx context.Context, cfg Config) (string, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return "", err
	}
	plan, err := planBuild(cfg)
	if err != nil {
		return "", err
	}
	if isFile(plan.binary) {
		return plan.binary, nil
	}
	bin := filepath.Dir(plan.binary)
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for programs: %w", err)
	}
	lock, err := waitForBuildLock(ctx, cfg, filepath.Join(bin, "build.lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close() //nolint:errcheck // closing it is releasing it
	if isFile(plan.binary) {
		return plan.binary, nil // somebody else built it meanwhile
	}
	if err := buildTemporal(ctx, cfg, plan); err != nil {
		return "", err
	}
	return plan.binary, pruneBinaries(bin)
}

// buildPlan says from what the server is built, and where it goes.
type buildPlan struct{ source, binary string }

// planBuild finds the sources and names the program after them.
func planBuild(cfg Config) (buildPlan, error) {
	root, ok := cfg.machine.projectRoot()
	if !ok {
		return buildPlan{}, fmt.Errorf("our own Temporal server is built from Banyan's source, which was not found: "+
			"start inside the project's folder, set %s to it, or set %s to a server that runs",
			EnvSource, EnvTemporalAddress)
	}
	source := filepath.Join(root, "devstack", "temporal")
	digest, err := sourceDigest(source)
	if err != nil {
		return buildPlan{}, err
	}
	return buildPlan{source: source, binary: filepath.Join(cfg.Dir, "bin", "temporal-"+digest)}, nil
}

// isFile says whether a program is there; it appears under its name when it is whole.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// sourceDigest names a build: its sources, its exact dependencies and its platform.
func sourceDigest(source string) (string, error) {
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no sources of the Temporal server in %s", source)
	}
	files = append(files, filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, runtime.GOOS, runtime.GOARCH) // a hash takes everything
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read the Temporal server's sources: %w", err)
		}
		_, _ = fmt.Fprintln(sum, filepath.Base(path), len(text))
		_, _ = sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}

// waitForBuildLock waits as long as it takes: the other one builds what we need.
func waitForBuildLock(ctx context.Context, cfg Config, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the build lock: %w", err)
	}
	start := time.Now()
	for {
		locked, err := tryLock(file)
		if err == nil && locked {
			return file, nil
		}
		if err == nil {
			cfg.out.livef("another process builds the Temporal server; waiting (%s)", elapsed(start))
			err = pause(ctx)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("wait for the build of the Temporal server: %w", err), file.Close())
		}
	}
}

// buildTemporal runs the Go tool.
func buildTemporal(ctx context.Context, cfg Config, plan buildPlan) error {
	tool, err := cfg.machine.lookPath("go")
	if err != nil {
		return fmt.Errorf("our own Temporal server is built with Go, which is not on PATH: "+
			"install it, or set %s to a server that runs: %w", EnvTemporalAddress, err)
	}
	draft := plan.binary + ".new"
	// -v names each package as it is compiled, which is what progress can show.
	cmd := exec.CommandContext(ctx, tool, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", draft, ".")
	cmd.Dir = plan.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "PWD="+plan.source)
	cmd.SysProcAttr = childAttributes(nil)
	cmd.WaitDelay = time.Second // for compilers that still hold the pipe after a cancel
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}

	start := time.Now()
	cfg.out.sayf("building the Temporal server, once: about eight minutes of one core the first time, " +
		"seconds when the Go build cache knows it")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	last := showBuild(cfg.out, start, pipe)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build the Temporal server: %w", context.Cause(ctx))
		}
		return fmt.Errorf("build the Temporal server in %s: %w\n%s", plan.source, err, strings.Join(last, "\n"))
	}
	if err := os.Rename(draft, plan.binary); err != nil {
		return fmt.Errorf("put the Temporal server in place: %w", err)
	}
	cfg.out.sayf("built the Temporal server in %s", elapsed(start))
	return nil
}

// showBuild turns the Go tool's output into progress until it ends, and gives its last
// lines for an error message.
func showBuild(out *progress, start time.Time, tool io.Reader) []string {
	var mu sync.Mutex
	packages, doing := 0, "resolving its modules"
	show := func() {
		mu.Lock()
		defer mu.Unlock()
		out.livef("building the Temporal server: %s, %d packages, %s", elapsed(start), packages, doing)
	}
	done := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		// The linker says nothing for many seconds; the clock goes on.
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				show()
			}
		}
	})
	var last []string
	for lines := bufio.NewScanner(tool); lines.Scan(); {
		line := lines.Text()
		mu.Lock()
		if download, ok := strings.CutPrefix(line, "go: downloading "); ok {
			doing = "downloading " + download
		} else {
			packages++
			doing = line
		}
		mu.Unlock()
		if last = append(last, line); len(last) > tailLines {
			last = last[1:]
		}
		if out.terminal {
			show()
		}
	}
	close(done)
	ticking.Wait()
	return last
}

// pruneBinaries removes all but the newest builds. A running server keeps its program
// even when the name is gone.
func pruneBinaries(bin string) error {
	binaries, err := filepath.Glob(filepath.Join(bin, "temporal-*"))
	if err != nil {
		return fmt.Errorf("list old servers: %w", err)
	}
	type build struct {
		path string
		made time.Time
	}
	var builds []build
	for _, path := range binaries {
		if info, err := os.Stat(path); err == nil {
			builds = append(builds, build{path, info.ModTime()})
		}
	}
	slices.SortFunc(builds, func(a, b build) int { return b.made.Compare(a.made) })
	for i, old := range builds {
		if i < keepBinaries {
			continue
		}
		if err := os.Remove(old.path); err != nil {
			return fmt.Errorf("remove an old server: %w", err)
		}
	}
	return nil
}

// elapsed is a time since, in words short enough for a line that is rewritten.
func elapsed(start time.Time) string { return time.Since(start).Round(time.Second).String() }
