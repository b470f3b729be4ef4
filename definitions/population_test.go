package definitions_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// acceptedPopulations are the archives of testdata/population/ok: a population, the campaign
// for which it is, and how it is formatted.
func acceptedPopulations(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/population/ok/*.txtar")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d archives: %v", len(files), err)
	}
	out := map[string]*txtar.Archive{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = archive
	}
	return out
}

func campaignBeside(t testing.TB, archive *txtar.Archive) *campaign.Definition {
	t.Helper()
	def, found := definitions.Check(input, part(archive, input).Data)
	if def == nil {
		t.Fatal(found)
	}
	return def
}

// TestFormatPopulations checks that `banyan fmt` knows a population: its keys come in the
// order of the page, comments stay, and what it says does not change.
func TestFormatPopulations(t *testing.T) {
	t.Parallel()
	read := func(archive *txtar.Archive, source []byte) string {
		pop, found := definitions.CheckPopulation(people, source, campaignBeside(t, archive))
		if pop == nil {
			t.Fatalf("%s\n%s", found.Text(false), source)
		}
		body, err := json.Marshal(pop)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for file, archive := range acceptedPopulations(t) {
		source := part(archive, people).Data
		out := formatOf(t, source)
		if diff := cmp.Diff(read(archive, source), read(archive, out)); diff != "" {
			t.Errorf("%s: formatting changes the population:\n%s", file, diff)
		}
		want := part(archive, "formatted.yaml")
		if *update {
			want.Data = out
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if diff := cmp.Diff(string(want.Data), string(out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestSchemaAndPopulationsAgree holds the schema of populations and their checker together:
// what the checker accepts the schema accepts, of the files as they stand and with one
// value after another changed.
func TestSchemaAndPopulationsAgree(t *testing.T) {
	schema, err := schemaAt("#/$defs/population")
	if err != nil {
		t.Fatal(err)
	}
	accepted, refused, byBoth := 0, 0, 0
	check := func(name string, source []byte, def *campaign.Definition) {
		pop, _ := definitions.CheckPopulation(people, source, def)
		no := refuses(t, schema, name, source, pop != nil)
		switch {
		case pop != nil:
			accepted++
		case no:
			byBoth++
			fallthrough
		default:
			refused++
		}
	}
	model := modelCampaign(t)
	files, err := filepath.Glob("testdata/population/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		check(file, part(archive, people).Data, model)
	}
	for _, s := range sectionsOf(t) {
		if s.population != nil {
			def, _ := definitions.Check(input, s.source)
			check(s.file, s.population, def)
		}
	}
	values := []string{
		"true", "5", "'5'", "0", "null", "[]", "[a]", "{}", "{a: b}", "9.90", "1d12h", "1h-2d", "'0h'", "5%", "100 %", "arrive", "hello", "1e2", "-1", "came", "''",
	}
	for file, archive := range acceptedPopulations(t) {
		def, source := campaignBeside(t, archive), part(archive, people).Data
		check(file, source, def)
		for i := 0; ; i++ {
			for _, value := range values {
				source, ok := changed(source, i, value)
				if !ok {
					break
				}
				check(file+" with "+value, source, def)
			}
			if _, ok := changed(source, i, "true"); !ok {
				break
			}
		}
	}
	t.Logf("%d are accepted by both; %d are refused, %d of them by the schema too", accepted, refused, byBoth)
	if accepted < 50 || byBoth < 200 {
		t.Errorf("%d accepted, %d refused by both: too few to show anything", accepted, byBoth)
	}
}

// TestSchemaOfPopulationsRefuses checks that an editor underlines what cannot stand there.
func TestSchemaOfPopulationsRefuses(t *testing.T) {
	t.Parallel()
	schema, err := schemaAt("#/$defs/population")
	if err != nil {
		t.Fatal(err)
	}
	const good = "population: x\njoined: 1d-2d\nlate: {share: 2%, by: 1h}\nbehaviour:\n  - {on: arrive, do: came, chance: 5%}\nreviews:\n  - {approve: 70%}\n"
	if refuses(t, schema, "good", []byte(good), true) {
		t.Fatal("the schema refuses a good population")
	}
	for _, c := range [][2]string{
		{"population: x\n", ""},
		{"joined: 1d-2d", "joined: 5"},
		{"share: 2%, ", ""},
		{"joined", "joinde"},
		{"on: arrive, ", ""},
		{"on: arrive", "on: arrives"},
		{"chance: 5%", "chance: 0.5"},
		{"chance", "chanse"},
		{"approve: 70%", "approve: true"},
		{"approve", "aprove"},
	} {
		source := strings.Replace(good, c[0], c[1], 1)
		if source == good || !refuses(t, schema, c[1], []byte(source), false) {
			t.Errorf("the schema accepts %q for %q", c[1], c[0])
		}
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
