package rules

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// answersOf lists the answers that a journey may have from its member, in the order of
// its questions.
func answersOf(j *campaign.Journey) []campaign.Property {
	var out []campaign.Property
	for _, q := range j.Steps.Questions() {
		for i := range q.Answers {
			out = append(out, q.Answers[i].Property())
		}
	}
	return out
}

// answersObject describes answers. One that the member has not given reads as the zero
// value. Several questions may have an answer of one name; of one type, it is the same
// answer, with the values of all.
func (e *Env) answersObject(answers []campaign.Property) *object {
	o := newObject(varAnswers)
	for _, p := range answers {
		if have, twice := o.fields[p.Name]; twice {
			mergeAnswer(have, p)
			continue
		}
		slot := slices.Index(e.answers, propertySlot{p.Name, p.Type})
		if slot < 0 || celTypes[p.Type] == nil {
			continue
		}
		o.add(&field{
			name: p.Name, typ: celTypes[p.Type], oneOf: slices.Clone(p.OneOf),
			get: func(a *activation) (any, error) { return a.answer(slot).val, nil },
			has: func(a *activation) bool { return a.answer(slot).has },
		})
	}
	return o
}

func mergeAnswer(have *field, p campaign.Property) {
	if !have.typ.IsExactType(celTypes[p.Type]) {
		have.clash = "`answers." + p.Name + "` is " + typeWord(have.typ) + " in one question and " + string(p.Type) + " in another; it cannot be read"
		return
	}
	have.alsoOneOf(p.OneOf)
}

func (a *activation) answer(slot int) *slotValue {
	s := &a.answers[slot]
	if s.seen != a.generation {
		s.seen = a.generation
		p := a.env.answers[slot]
		raw, present := a.facts.Answers[p.name]
		s.setJSON(a.env, p.typ, raw, present)
	}
	return s
}
