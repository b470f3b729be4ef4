package fakeplatform

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"unicode/utf8"
)

// MiniProgram is a mini program of WeChat on a platform.
type MiniProgram struct {
	App, Secret string
	// Users are the openids of those who have used it. None has permitted a message: see
	// Platform.Accept.
	Users []string
	// Templates are its own templates for subscribe messages by id, with their text as the
	// vendor shows it: 课程名称：{{thing1.DATA}}.
	Templates map[string]string
}

type permit struct{ person, template string }

// Accept has a user tap to accept one message by a template. The callback that tells of it is
// the caller's to send: see CallbackAccount.
func (p *Platform) Accept(person, template string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.permits[permit{person, template}]++
}

// Permitted is how many messages by a template a user has permitted and not got.
func (p *Platform) Permitted(person, template string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.permits[permit{person, template}]
}

// Decline has a user refuse messages by a template in her settings.
func (p *Platform) Decline(person, template string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.permits, permit{person, template})
}

type subscribeMessage struct {
	ToUser   string `json:"touser"`
	Template string `json:"template_id"`
	Page     string `json:"page"`
	Data     map[string]struct {
		Value string `json:"value"`
	} `json:"data"`
}

func (p *Platform) subscribeSend(w http.ResponseWriter, r *http.Request) {
	var m subscribeMessage
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m) != nil {
		write(w, answer{Code: 47001, Message: "data format error"})
		return
	}
	a, fault := p.takeSubscribe(r.URL.Query().Get("access_token"), &m)
	if !p.misbehave(w, r, fault) {
		write(w, a)
	}
}

func (p *Platform) takeSubscribe(token string, m *subscribeMessage) (a answer, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.MiniCalls++
	a, fault, ok := p.admit(p.opts.Mini.App, token)
	if !ok {
		return a, fault
	}
	return p.handSubscribe(m), fault
}

var (
	places    = regexp.MustCompile(`\{\{([a-z_]+)([0-9]+)\.DATA\}\}`)
	mostRunes = map[string]int{"thing": 20, "number": 32, "letter": 32, "symbol": 5, "character_string": 32, "phone_number": 17, "car_number": 8, "name": 20, "phrase": 5}
)

// handSubscribe gives a message to its user, for one permit of hers.
func (p *Platform) handSubscribe(m *subscribeMessage) answer {
	text, known := p.opts.Mini.Templates[m.Template]
	switch {
	case !slices.Contains(p.opts.Mini.Users, m.ToUser):
		return answer{Code: 40003, Message: "invalid openid"}
	case !known:
		return answer{Code: 40037, Message: "invalid template_id"}
	}
	wrong := ""
	shown := places.ReplaceAllStringFunc(text, func(found string) string {
		part := places.FindStringSubmatch(found)
		v := m.Data[part[1]+part[2]].Value
		if most := mostRunes[part[1]]; v == "" || most > 0 && utf8.RuneCountInString(v) > most {
			wrong = part[1] + part[2]
		}
		return v
	})
	if wrong != "" || len(m.Data) != len(places.FindAllString(text, -1)) {
		return answer{Code: 47003, Message: "argument invalid! data." + wrong + ".value is empty or invalid"}
	}
	which := permit{m.ToUser, m.Template}
	if p.permits[which] == 0 {
		p.record.MiniNoPermit++
		return answer{Code: 43101, Message: "user refuse to accept the msg"}
	}
	p.permits[which]--
	p.received = append(p.received, Received{Person: m.ToUser, By: p.opts.Mini.App, Text: shown, At: p.clock.Now()})
	return answer{Message: "ok"}
}
