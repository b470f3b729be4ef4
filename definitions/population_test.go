package definitions_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

func modelCampaign(t testing.TB) *campaign.Definition {
	t.Helper()
	source, err := fs.ReadFile(definitions.Shipped(), "fitness-trial.yaml")
	if err != nil {
		t.Fatal(err)
	}
	def, problems := definitions.Check("fitness-trial.yaml", source)
	if def == nil {
		t.Fatal(problems)
	}
	return def
}

// TestPopulations checks that every population in testdata/population is refused with
// exactly the problems that stand behind it. They are populations of the model campaign.
func TestPopulations(t *testing.T) {
	t.Parallel()
	def := modelCampaign(t)
	files, err := filepath.Glob("testdata/population/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source := part(archive, "population.yaml")
			pop, found := definitions.CheckPopulation("population.yaml", source.Data, def)
			if pop != nil {
				t.Error("it was accepted")
			}
			positions(t, source.Data, found)
			if *update {
				part(archive, problems).Data = []byte(found.Text(false))
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(part(archive, problems).Data), found.Text(false)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// FuzzCheckPopulation looks for a file that brings the reader down.
func FuzzCheckPopulation(f *testing.F) {
	def := modelCampaign(f)
	files, err := filepath.Glob("testdata/population/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(part(archive, "population.yaml").Data)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		pop, found := definitions.CheckPopulation("p.yaml", source, def)
		if (pop == nil) != found.Refused() {
			t.Errorf("a population %v with the problems %v", pop, found)
		}
		_, _ = definitions.TestsBeside("p.test.yaml", source, def)
	})
}
