package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is where a result was measured, without anything that names it.
type Machine struct {
	OS       string `json:"os"`
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int64  `json:"memory_mb"`
	Go       string `json:"go"`
	SDK      string `json:"temporal_sdk"`
	Postgres string `json:"postgres,omitempty"`
	Temporal string `json:"temporal_server,omitempty"`
}

func machine(context.Context) (Machine, error) {
	m := Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(string(text), "model name")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		kb, _, _ := strings.Cut(field(string(text), "MemTotal"), " ")
		if n, err := strconv.ParseInt(kb, 10, 64); err == nil {
			m.MemoryMB = n >> 10
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "go.temporal.io/sdk" {
				m.SDK = dep.Version
			}
		}
	}
	return m, nil
}

// field finds "name : value" in a file of /proc.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
