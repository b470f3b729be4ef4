// Command generate writes the demo's members and events. `go generate ./demo` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/banyanhq/banyan/demo/internal/generate"
)

func main() {
	for name, content := range map[string]func() ([]byte, error){
		"members.csv": generate.Members, "events.ndjson": generate.Events,
	} {
		data, err := content()
		if err == nil {
			err = os.WriteFile(name, data, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "generate %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}
