package compare_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/compare"
	"github.com/banyanhq/banyan/definitions"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// TestDiff checks the archives of testdata: two campaigns, what is said of them, and the
// same as JSON.
func TestDiff(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
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
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			from, to := checked(t, parts["old.yaml"]), checked(t, parts["new.yaml"])
			changes := compare.Diff(from, to)
			var text strings.Builder
			for _, c := range changes {
				text.WriteString(c.Text + "\n")
			}
			body, err := json.MarshalIndent(changes, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"changes": text.String(), "changes.json": string(body) + "\n"}
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return got[f.Name] != "" || f.Name == "changes" })
				for _, name := range []string{"changes", "changes.json"} {
					archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for name, text := range got {
				if diff := cmp.Diff(parts[name], text); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			// A campaign does not differ from itself, and every difference has a way back.
			if d := compare.Diff(from, from); len(d) > 0 {
				t.Errorf("the old one differs from itself: %v", d)
			}
			if back := compare.Diff(to, from); len(back) == 0 != (len(changes) == 0) {
				t.Errorf("%d changes there, %d back", len(changes), len(back))
			}
		})
	}
}

func checked(t *testing.T, source string) *campaign.Definition {
	t.Helper()
	def, problems := definitions.Check("campaign.yaml", []byte(source))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	return def
}

// fill sets every field of a value to something, and counts up so that no two are alike.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("v%d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * int64(time.Hour))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[campaign.Steps]() {
			v.Set(reflect.ValueOf(campaign.Steps{&campaign.Wait{For: time.Duration(*n) * time.Hour}}))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.Interface: // of a type that only its package knows
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "StepCommon" {
				fill(v.Field(i), n)
			}
		}
	default:
		panic("fill knows no " + v.Kind().String())
	}
}

// TestEveryField changes one field of every kind of step after another, and of whatever
// else a campaign holds: none may change in silence.
func TestEveryField(t *testing.T) {
	t.Parallel()
	for _, kind := range campaign.StepKinds() {
		filled := func() campaign.Step {
			var steps campaign.Steps
			if err := json.Unmarshal(fmt.Appendf(nil, `[{"kind":%q,"id":"1"}]`, kind), &steps); err != nil {
				t.Fatal(err)
			}
			n := 0
			fill(reflect.ValueOf(steps[0]).Elem(), &n)
			return steps[0]
		}
		whole := func(s campaign.Step) *campaign.Definition {
			return &campaign.Definition{Journeys: []campaign.Journey{{Name: "j", Steps: campaign.Steps{s}}}}
		}
		if d := compare.Diff(whole(filled()), whole(filled())); len(d) > 0 {
			t.Errorf("%s differs from itself: %v", kind, d)
		}
		for i := range reflect.TypeOf(filled()).Elem().NumField() {
			field := reflect.TypeOf(filled()).Elem().Field(i)
			if field.Name == "StepCommon" {
				continue
			}
			other := filled()
			n := 100
			fill(reflect.ValueOf(other).Elem().Field(i), &n)
			if d := compare.Diff(whole(filled()), whole(other)); len(d) == 0 {
				t.Errorf("a change of %s.%s is not told", kind, field.Name)
			}
		}
	}
	n := 0
	var def campaign.Definition
	fill(reflect.ValueOf(&def).Elem(), &n)
	def.Window.From, def.Window.Until = time.Unix(1e9, 0), time.Unix(2e9, 0)
	for i := range reflect.TypeOf(def).NumField() {
		other := def
		n := 1000
		fill(reflect.ValueOf(&other).Elem().Field(i), &n)
		if other.Window != def.Window {
			other.Window.From, other.Window.Until = time.Unix(1e9, 0), time.Unix(3e9, 0)
		}
		if d := compare.Diff(&def, &other); len(d) == 0 {
			t.Errorf("a change of %s is not told", reflect.TypeOf(def).Field(i).Name)
		}
	}
}

// TestTests checks what is said of tests, which concern nobody.
func TestTests(t *testing.T) {
	t.Parallel()
	old := []compare.Test{{Name: "same", Does: "x"}, {Name: "other", Does: "x"}, {Name: "gone", Does: "x"}}
	now := []compare.Test{{Name: "new", Does: "x"}, {Name: "other", Does: "y"}, {Name: "same", Does: "x"}}
	var got []string
	for _, c := range compare.Tests(old, now) {
		got = append(got, c.Text)
	}
	const nobody = "nobody, because tests are no part of what runs"
	want := []string{"test other: changed: " + nobody, "test gone: removed: " + nobody, "test new: added: " + nobody}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestManySteps compares long journeys, of which only programs make any.
func TestManySteps(t *testing.T) {
	t.Parallel()
	long := func(n, from int) *campaign.Definition {
		j := campaign.Journey{Name: "j"}
		for i := range n {
			j.Steps = append(j.Steps, &campaign.Wait{StepCommon: campaign.StepCommon{ID: fmt.Sprint(i + 1)}, For: time.Duration(i+from) * time.Hour})
		}
		return &campaign.Definition{Journeys: []campaign.Journey{j}}
	}
	if d := compare.Diff(long(5000, 1), long(5000, 1)); len(d) > 0 {
		t.Errorf("%d changes of nothing", len(d))
	}
	if d := compare.Diff(long(5000, 1), long(4999, 2)); len(d) == 0 {
		t.Error("no changes")
	}
	if d := compare.Diff(long(1500, 1), long(1499, 2)); len(d) != 1 || d[0].Change != compare.Removed {
		t.Errorf("%d changes where one step is gone", len(d))
	}
}
