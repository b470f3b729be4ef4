package definitions

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped gives the campaigns that Banyan ships, one YAML file each, in its root.
func Shipped() fs.FS { return shipped }
