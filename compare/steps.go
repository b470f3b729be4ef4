package compare

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/banyanhq/banyan/campaign"
)

func (d *differ) journey(path, where string, from, to any) {
	old, ok := from.(campaign.Journey)
	now, ok2 := to.(campaign.Journey)
	if !ok || !ok2 {
		return
	}
	if old.Drive == "" { // which means the same
		old.Drive = campaign.DriveMembers
	}
	if now.Drive == "" {
		now.Drive = campaign.DriveMembers
	}
	d.struc(path, where, reflect.ValueOf(old), reflect.ValueOf(now), entrants)
	d.block(path, where, old.Steps, now.Steps)
}

// block compares two lists of steps: those that are one and the same are found first,
// whatever stands between them.
func (d *differ) block(path, where string, from, to campaign.Steps) {
	a, b := facesOf(from), facesOf(to)
	pairs := align(a, b, likeness)
	back := map[int]int{}
	for i, j := range pairs {
		back[j] = i
	}
	movedFrom, movedTo := map[int]int{}, map[int]int{}
	for j := range to {
		if _, ok := back[j]; ok {
			continue
		}
		for i := range from {
			_, stays := pairs[i]
			if _, taken := movedFrom[i]; !stays && !taken && a[i].does == b[j].does {
				movedFrom[i], movedTo[j] = j, i
				break
			}
		}
	}
	for i, old := range from {
		if _, ok := pairs[i]; ok {
			continue
		}
		if j, ok := movedFrom[i]; ok {
			d.add(Change{
				Path: at(path, to[j]), Change: Moved, Where: place(where, to[j]), Concerns: entrants,
				Old: old.Common().ID, New: to[j].Common().ID,
			})
			continue
		}
		d.add(Change{Path: at(path, old), Change: Removed, Where: place(where, old), Concerns: entrants})
	}
	for j, now := range to {
		if _, ok := movedTo[j]; ok {
			continue
		}
		i, ok := back[j]
		if !ok {
			d.add(Change{Path: at(path, now), Change: Added, Where: place(where, now), Concerns: entrants})
			continue
		}
		d.step(path, where, from[i], now)
	}
}

func at(path string, s campaign.Step) string { return path + ".steps." + s.Common().ID }

func place(where string, s campaign.Step) string {
	return fmt.Sprintf("%s, step %s (%s)", where, s.Common().ID, campaign.StepName(s))
}

// step compares two steps that stand for each other.
func (d *differ) step(path, where string, old, now campaign.Step) {
	here := place(where, now)
	if old.Kind() != now.Kind() {
		d.add(Change{Path: at(path, now), Change: Changed, Where: here, Old: campaign.StepName(old), New: campaign.StepName(now), Concerns: entrants})
		return
	}
	if a, b := old.Common().Label, now.Common().Label; a != b {
		d.add(Change{Path: at(path, now) + ".label", Change: Changed, Where: here, Key: "label", Old: a, New: b, Concerns: entrants})
	}
	if was, ok := old.(*campaign.Wait); ok {
		if is, ok := now.(*campaign.Wait); ok && (was.For != is.For || was.Until != is.Until || was.At != is.At) {
			d.add(Change{Path: at(path, now) + ".wait", Change: Changed, Where: here, Key: "wait", Old: wait(was), New: wait(is), Concerns: entrants})
		}
		return
	}
	if was, ok := old.(*campaign.Split); ok {
		if is, ok := now.(*campaign.Split); ok {
			d.split(path, where, here, was, is)
		}
		return
	}
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(now).Elem()
	d.struc(at(path, now), here, a, b, entrants)
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.Type.Kind() == reflect.Slice && f.Type != stepsType && holdsSteps(f.Type) {
			d.cases(path, where, here, old, now, a.Field(i), b.Field(i))
		}
	}
	d.blocks(path, where, here, old, now)
}

// split compares two splits arm by arm, by their names: their order means nothing.
func (d *differ) split(path, where, here string, old, now *campaign.Split) {
	if old.Name != now.Name {
		d.add(Change{Path: at(path, now) + ".name", Change: Changed, Where: here, Key: "name", Old: old.Name, New: now.Name, Concerns: entrants})
	}
	arm := func(s *campaign.Split, name string) *campaign.Arm {
		for i := range s.Arms {
			if s.Arms[i].Name == name {
				return &s.Arms[i]
			}
		}
		return nil
	}
	for _, was := range old.Arms {
		if arm(now, was.Name) == nil {
			d.add(Change{Path: at(path, now) + "." + was.Name, Change: Removed, Where: here + ", arm " + was.Name, Concerns: entrants})
		}
	}
	for i := range now.Arms {
		is := &now.Arms[i]
		place, spot := at(path, now)+"."+is.Name, here+", arm "+is.Name
		was := arm(old, is.Name)
		if was == nil {
			d.add(Change{Path: place, Change: Added, Where: spot, New: "share " + share(is.Share), Concerns: entrants})
			was = &campaign.Arm{Share: is.Share}
		}
		if was.Share != is.Share {
			d.add(Change{Path: place + ".share", Change: Changed, Where: spot, Key: "share", Old: share(was.Share), New: share(is.Share), Concerns: entrants})
		}
		d.block(path, where, was.Steps, is.Steps)
	}
}

// cases compares lists of branches with conditions, such as those of choose. The branches'
// steps are compared here too, because a branch that was put in front gives those behind
// it other names.
func (d *differ) cases(path, where, here string, old, now campaign.Step, from, to reflect.Value) {
	was, is := campaign.Children(old), campaign.Children(now)
	if len(was) < from.Len() || len(is) < to.Len() {
		return
	}
	heads := func(v reflect.Value, blocks []campaign.Block) []face {
		out := make([]face, v.Len())
		for i := range out {
			out[i] = face{name: brief(v.Index(i)), does: bare(blocks[i].Steps), at: i}
		}
		return out
	}
	a, b := heads(from, was), heads(to, is)
	pairs := align(a, b, func(x, y face) int {
		score := 0
		if x.name == y.name {
			score += strong
		}
		if x.does == y.does && x.does != "[]" {
			score += weak
		}
		if x.at == y.at {
			score++
		}
		return score
	})
	back := map[int]int{}
	for i, j := range pairs {
		back[j] = i
	}
	for i := range a {
		if _, ok := pairs[i]; !ok {
			d.add(Change{Path: at(path, now) + "." + was[i].Name, Change: Removed, Where: here + ", case " + fmt.Sprint(i+1), Old: a[i].name, Concerns: entrants})
		}
	}
	for j := range b {
		spot := fmt.Sprintf("%s, case %d", here, j+1)
		i, ok := back[j]
		switch {
		case !ok:
			d.add(Change{Path: at(path, now) + "." + is[j].Name, Change: Added, Where: spot, New: b[j].name, Concerns: entrants})
			continue
		case a[i].name != b[j].name:
			d.struc(at(path, now)+"."+is[j].Name, spot, from.Index(i), to.Index(j), entrants)
		}
		d.block(path, where, was[i].Steps, is[j].Steps)
	}
}

// blocks compares the branches of two steps by their names, those of cases left out.
func (d *differ) blocks(path, where, here string, old, now campaign.Step) {
	skip := 0
	v := reflect.ValueOf(now).Elem()
	w := reflect.ValueOf(old).Elem()
	skipOld := 0
	for i := range v.NumField() {
		if t := v.Field(i).Type(); t.Kind() == reflect.Slice && t != stepsType && holdsSteps(t) {
			skip += v.Field(i).Len()
			skipOld += w.Field(i).Len()
		}
	}
	was, is := campaign.Children(old), campaign.Children(now)
	if skip > len(is) || skipOld > len(was) {
		return
	}
	was, is = was[skipOld:], is[skip:]
	for _, b := range is {
		var before campaign.Steps
		for _, o := range was {
			if o.Name == b.Name {
				before = o.Steps
			}
		}
		d.block(path, where, before, b.Steps)
	}
	for _, o := range was {
		gone := true
		for _, b := range is {
			gone = gone && b.Name != o.Name
		}
		if gone {
			d.add(Change{Path: at(path, now) + "." + o.Name, Change: Removed, Where: here + ", " + o.Name, Concerns: entrants})
		}
	}
}

// How much speaks for two steps being one.
const (
	strong = 10
	weak   = 4
)

// face is what a step is known by.
type face struct {
	kind  campaign.StepKind
	label string
	name  string
	does  string // all that it does, wherever it stands
	at    int
}

func facesOf(steps campaign.Steps) []face {
	out := make([]face, len(steps))
	for i, s := range steps {
		out[i] = face{s.Kind(), s.Common().Label, campaign.StepName(s), bare(steps[i : i+1]), i}
	}
	return out
}

// likeness is how much speaks for two steps being one and the same; 0 is nothing.
func likeness(a, b face) int {
	score := 0
	if a.label != "" && a.label == b.label {
		score += strong
	}
	if a.kind != b.kind {
		return score
	}
	score += weak
	if a.name == b.name {
		score += strong
	}
	if a.does == b.does {
		score += weak
	}
	return score
}

// bare is the JSON of steps without places: no IDs and no lines.
func bare(steps campaign.Steps) string {
	body, err := json.Marshal(steps)
	if err != nil {
		return ""
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(out)
}

func strip(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			strip(x)
		}
	case map[string]any:
		if _, ok := v["kind"]; ok {
			delete(v, "id")
			delete(v, "line")
		}
		for _, x := range v {
			strip(x)
		}
	}
}

// maxTable bounds the table of an alignment. Longer lists, which only programs write, are
// compared place by place.
const maxTable = 4_000_000

// align pairs the items of two lists, in order, so that most speaks for the pairs.
func align(a, b []face, score func(x, y face) int) map[int]int {
	pairs := map[int]int{}
	begin := 0
	for begin < min(len(a), len(b)) && a[begin].does == b[begin].does && a[begin].name == b[begin].name {
		pairs[begin] = begin
		begin++
	}
	n, m := len(a), len(b)
	for n > begin && m > begin && a[n-1].does == b[m-1].does && a[n-1].name == b[m-1].name {
		n, m = n-1, m-1
		pairs[n] = m
	}
	if (n-begin)*(m-begin) > maxTable {
		for i := begin; i < min(n, m); i++ {
			pairs[i] = i
		}
		return pairs
	}
	best := make([][]int, n+1)
	for i := range best {
		best[i] = make([]int, m+1)
	}
	for i := n - 1; i >= begin; i-- {
		for j := m - 1; j >= begin; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if s := score(a[i], b[j]); s > 0 {
				best[i][j] = max(best[i][j], best[i+1][j+1]+s)
			}
		}
	}
	for i, j := begin, begin; i < n && j < m; {
		switch s := score(a[i], b[j]); {
		case s > 0 && best[i][j] == best[i+1][j+1]+s:
			pairs[i] = j
			i, j = i+1, j+1
		case best[i][j] == best[i+1][j]:
			i++
		default:
			j++
		}
	}
	return pairs
}
