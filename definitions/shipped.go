package definitions

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var shipped embed.FS

// The names of files that stand beside each other.
const (
	CampaignSuffix   = ".yaml"
	TestsSuffix      = ".test.yaml"       // the campaign's tests
	PopulationSuffix = ".population.yaml" // members to rehearse it with
)

// Shipped gives the campaigns that Banyan ships, one YAML file each, in its root, with its
// tests and its population beside it.
func Shipped() fs.FS { return shipped }

// ShippedNames lists the shipped campaigns. A file is called as its campaign is.
func ShippedNames() []string {
	entries, _ := shipped.ReadDir(".") // the root is always there
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), CampaignSuffix)
		if ok && !strings.Contains(name, ".") { // else it is NAME.test or NAME.population
			names = append(names, name)
		}
	}
	return names
}
