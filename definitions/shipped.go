package definitions

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped gives the campaigns that Banyan ships, one YAML file each, in its root. The tests
// of NAME.yaml stand beside it in NAME.test.yaml.
func Shipped() fs.FS { return shipped }
