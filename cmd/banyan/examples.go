package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

type examplesCommand struct {
	Name string `arg:"" optional:"" help:"Print this campaign."`
	Save string `help:"Write it, its tests and a population for it into this folder instead. No file is replaced." placeholder:"DIR"`
}

// example is one line of the list.
type example struct {
	Campaign string `json:"campaign"`
	Title    string `json:"title"`
}

// Run lists the campaigns that this build ships, prints one, or makes a copy of it.
func (c *examplesCommand) Run(e *env, g *Globals) error {
	names := definitions.ShippedNames()
	switch {
	case c.Name == "" && c.Save != "":
		return usageError{"say which campaign is to be saved: banyan examples NAME --save DIR"}
	case c.Name == "":
		return listExamples(e, g, names)
	case !slices.Contains(names, c.Name):
		return campaign.Errorf(campaign.CodeNotFound, "no example is called %q; there are %s", c.Name, strings.Join(names, ", "))
	case c.Save != "":
		return saveExample(e, c.Name, c.Save)
	}
	source, err := fs.ReadFile(definitions.Shipped(), c.Name+definitions.CampaignSuffix)
	if err != nil {
		return err
	}
	_, err = e.Stdout.Write(source)
	return err
}

func listExamples(e *env, g *Globals, names []string) error {
	list, width := make([]example, 0, len(names)), 0
	for _, name := range names {
		file := name + definitions.CampaignSuffix
		source, err := fs.ReadFile(definitions.Shipped(), file)
		if err != nil {
			return err
		}
		def, problems := definitions.Check(file, source)
		if def == nil {
			return campaign.Errorf(campaign.CodeInternal, "%s is refused by this build:\n%s", file, problems.Text(false))
		}
		list, width = append(list, example{name, def.Title}), max(width, len(name))
	}
	return output(e, g, list, func(p *printer) {
		for _, x := range list {
			p.line("%-*s  %s", width, x.Campaign, x.Title)
		}
	})
}

// saveExample copies the files of a campaign. Either all of them are new, or none is
// written.
func saveExample(e *env, name, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	suffixes := []string{definitions.CampaignSuffix, definitions.TestsSuffix, definitions.PopulationSuffix}
	for _, suffix := range suffixes {
		file := filepath.Join(folder, name+suffix)
		if _, err := os.Lstat(file); err == nil {
			return campaign.Errorf(campaign.CodeConflict, "%s is there already, and nothing was written; name another folder", file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, suffix := range suffixes {
		source, err := fs.ReadFile(definitions.Shipped(), name+suffix)
		if err != nil {
			return err
		}
		file := filepath.Join(folder, name+suffix)
		if err := writeNew(file, source); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(e.Stdout, file); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
