package definitions_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

// full uses every sort of name once.
const full = `campaign: spring
title: Spring
timezone: Asia/Shanghai
currency: CNY
window: {from: 2027-03-01}
member: {city: string, level: {type: string, one_of: [bronze, gold]}}
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
segments:
  regular: count("lesson.attended", duration("720h")) >= 4 && member.level == "gold"
offers:
  monthly-card: {title: Card, price: 199, list_price: 299, lock: 48h, per_member: 1}
rewards:
  first-card: {points: 100, budget: 1000}
messages:
  welcome: {text: "{{ member.city }} {{ yuan(money('1')) }}", when_capped: drop, kind: service}
limits: {quiet_hours: {from: "22:00", until: "08:00"}}
journeys:
  main:
    start: {on: order.paid, when: 'event.offer == "x" && segment("regular")'}
    entry: after_exit
    goal: {on: lesson.attended}
    on_goal: continue
    holdout: 5%
    drive: members
    steps:
      - send: welcome
        via: webhook
        label: again
      - await: order.paid
        for: 7d
        otherwise: [{end: late}]
      - offer: monthly-card
        remind: {before: 24h, send: welcome}
        lapsed: [{goto: again}]
      - grant: first-card
      - set: {city: event.order}
      - choose: [{when: 'event.type != ""', steps: []}]
`

// TestSuggestions misspells one name after another: wherever there is a list of what may
// stand, the one that was meant is suggested.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	if def, found := definitions.Check("f.yaml", []byte(full)); def == nil {
		t.Fatal(found.Text(false))
	}
	for _, c := range []struct{ from, to, meant string }{
		{"campaign:", "campain:", "campaign"},
		{"title: Spring", "titel: Spring", "title"},
		{"timezone:", "timezon:", "timezone"},
		{"Asia/Shanghai", "Asia/Shanghia", "Asia/Shanghai"},
		{"currency: CNY", "currency: CYN", "CNY"},
		{"{from: 2027-03-01}", "{form: 2027-03-01}", "from"},
		{"city: string", "city: strnig", "string"},
		{"type: string, one_of", "type: string, one_off", "one_of"},
		{"amount: money", "amount: monney", "money"},
		{`count("lesson.attended"`, `count("lesson.atended"`, "lesson.attended"},
		{`count(`, `cuont(`, "count"},
		{`member.level ==`, `member.levle ==`, "level"},
		{`== "gold"`, `== "glod"`, "gold"},
		{"list_price:", "listprice:", "list_price"},
		{"per_member:", "per_membr:", "per_member"},
		{"points: 100", "point: 100", "points"},
		{"budget:", "bugdet:", "budget"},
		{"when_capped:", "when_caped:", "when_capped"},
		{"drop", "dropp", "drop"},
		{"kind: service", "kind: servcie", "service"},
		{"quiet_hours:", "quiet_hour:", "quiet_hours"},
		{"member.city }}", "member.ctiy }}", "city"},
		{"yuan(", "yaun(", "yuan"},
		{"start: {on: order.paid", "start: {on: order.payd", "order.paid"},
		{`event.offer`, `event.ofer`, "offer"},
		{`segment("regular")'`, `segment("regulra")'`, "regular"},
		{"after_exit", "after_exti", "after_exit"},
		{"goal: {on: lesson", "gaol: {on: lesson", "goal"},
		{"lesson.attended}\n", "lesson.atended}\n", "lesson.attended"},
		{"continue", "continu", "continue"},
		{"drive: members", "drive: member", "members"},
		{"holdout", "holdut", "holdout"},
		{"send: welcome\n", "send: welcom\n", "welcome"},
		{"- send", "- sned", "send"},
		{"via: webhook", "via: webhok", "webhook"},
		{"label: again", "lable: again", "label"},
		{"await: order.paid", "await: order.pai", "order.paid"},
		{"otherwise:", "otherwize:", "otherwise"},
		{"offer: monthly-card", "offer: montly-card", "monthly-card"},
		{"remind:", "remnid:", "remind"},
		{"before:", "befor:", "before"},
		{"send: welcome}", "send: welcomme}", "welcome"},
		{"goto: again", "goto: agian", "again"},
		{"grant: first-card", "grant: frist-card", "first-card"},
		{"set: {city", "set: {ctiy", "city"},
		{"{when: 'event.type", "{whn: 'event.type", "when"},
		{"event.type", "evnt.type", "event"},
		{"journeys:", "journey:", "journeys"},
	} {
		source := strings.Replace(full, c.from, c.to, 1)
		if source == full {
			t.Fatalf("%q is not there", c.from)
		}
		_, found := definitions.Check("f.yaml", []byte(source))
		text := found.Text(false)
		if !found.Refused() || !strings.Contains(text, `did you mean "`+c.meant+`"?`) && !strings.Contains(text, "did you mean `"+c.meant+"`?") {
			t.Errorf("%q for %q: no suggestion of %q:\n%s", c.to, c.from, c.meant, text)
		}
	}
}
