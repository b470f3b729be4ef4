package fakeplatform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// answer is what WeCom says to every call.
type answer struct {
	Code        int    `json:"errcode"`
	Message     string `json:"errmsg"`
	AccessToken string `json:"access_token,omitempty"`
	ExpiresIn   int    `json:"expires_in,omitempty"`
	InvalidUser string `json:"invaliduser,omitempty"`
	MsgID       string `json:"msgid,omitempty"`
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(a) // the caller has gone, if not
}

func (p *Platform) getToken(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.TokensAsked++
	q := r.URL.Query()
	switch {
	case q.Get("corpid") != p.opts.Corp:
		p.record.TokensWrong++
		write(w, answer{Code: 40013, Message: "invalid corpid"})
		return
	case q.Get("corpsecret") != p.opts.Secret:
		p.record.TokensWrong++
		write(w, answer{Code: 40001, Message: "invalid credential"})
		return
	}
	// While a token is valid everybody who asks gets the same one.
	now := p.clock.Now()
	if p.token == "" || !now.Before(p.expires) {
		p.tokens++
		p.token, p.expires = fmt.Sprintf("accesstoken%06d", p.tokens), now.Add(tokenLifetime)
	}
	write(w, answer{Message: "ok", AccessToken: p.token, ExpiresIn: int(p.expires.Sub(now).Round(time.Second) / time.Second)})
}

// textMessage is the body of message/send with a text. Unknown fields are let through, as
// the platform does.
type textMessage struct {
	ToUser  string `json:"touser"`
	MsgType string `json:"msgtype"`
	AgentID int    `json:"agentid"`
	Text    struct {
		Content string `json:"content"`
	} `json:"text"`
	CheckDuplicates  int `json:"enable_duplicate_check"`
	DuplicateSeconds int `json:"duplicate_check_interval"`
}

func (p *Platform) sendMessage(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.record.Calls++
	p.open++
	p.record.MostParallel = max(p.record.MostParallel, p.open)
	tooMany := p.open > p.opts.Parallel
	if tooMany {
		p.record.RefusedAtOnce++
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
	}()
	if tooMany {
		write(w, answer{Code: 45033, Message: "interface is in too high concurrency"})
		return
	}
	var m textMessage
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m); err != nil {
		write(w, answer{Code: 47001, Message: "data format error"})
		return
	}
	a, fault := p.take(r.URL.Query().Get("access_token"), &m)
	if !p.misbehave(w, r, fault) {
		write(w, a)
	}
}

// take judges a message and hands it to whom it is for.
func (p *Platform) take(token string, m *textMessage) (a answer, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	switch {
	case token == "":
		return answer{Code: 41001, Message: "access_token missing"}, ""
	case token != p.token:
		return answer{Code: 40014, Message: "invalid access_token"}, ""
	case !now.Before(p.expires):
		return answer{Code: 42001, Message: "access_token expired"}, ""
	case now.Before(p.blocked):
		p.record.WhileBlocked++
		return answer{Code: 45009, Message: "api freq out of limit"}, ""
	}
	fault = p.fault()
	switch fault {
	case Busy:
		return answer{Code: -1, Message: "system busy"}, fault
	case ServerError:
		return answer{}, fault
	case Blocked:
		p.blocked = now.Add(blockFor)
		return answer{Code: 45009, Message: "api freq out of limit"}, fault
	case NoIP:
		return answer{Code: 60020, Message: "not allow to access from your ip"}, fault
	default: // it is done, whatever becomes of the answer
	}
	return p.deliver(now, m), fault
}

func (p *Platform) deliver(now time.Time, m *textMessage) answer {
	users := strings.Split(m.ToUser, "|")
	switch {
	case m.AgentID != p.opts.Agent:
		return answer{Code: 301002, Message: "not allow operate another agent with this accesstoken"}
	case m.MsgType != "text":
		return answer{Code: 40008, Message: "invalid message type"}
	case m.ToUser == "" || len(users) > maxReceivers:
		return answer{Code: 40003, Message: "invalid userid"}
	case strings.TrimSpace(m.Text.Content) == "":
		return answer{Code: 44004, Message: "text content is empty"}
	}
	invalid := slices.DeleteFunc(slices.Clone(users), func(u string) bool {
		return slices.ContainsFunc(p.opts.Staff, func(s string) bool { return strings.EqualFold(s, u) })
	})
	if len(invalid) == len(users) {
		return answer{Code: 81013, Message: "user & party & tag all invalid"}
	}
	day := now.UTC().Format(time.DateOnly)
	if p.day[day]+len(users) > perSeatDay*len(p.opts.Staff) {
		return answer{Code: 45009, Message: "api freq out of limit"}
	}
	p.day[day] += len(users)
	p.messages++
	text := m.Text.Content
	if len(text) > maxTextBytes { // it is cut, and nobody is told
		for text = text[:maxTextBytes]; !utf8.ValidString(text); text = text[:len(text)-1] {
		}
	}
	for _, u := range users {
		if slices.Contains(invalid, u) {
			continue
		}
		key := fmt.Sprintf("%d\x00%s\x00%s", m.AgentID, strings.ToLower(u), m.Text.Content)
		if m.CheckDuplicates == 1 && now.Before(p.seen[key]) {
			p.record.Repeated++
			continue
		}
		if p.overLimit(u, now) {
			p.record.Dropped++
			continue
		}
		if m.CheckDuplicates == 1 {
			interval := m.DuplicateSeconds
			if interval <= 0 {
				interval = 1800
			}
			p.seen[key] = now.Add(time.Duration(interval) * time.Second)
		}
		p.received = append(p.received, Received{Person: u, App: m.AgentID, Text: text, At: now})
	}
	return answer{Message: "ok", InvalidUser: strings.Join(invalid, "|"), MsgID: fmt.Sprintf("msg%06d", p.messages)}
}

// overLimit reports whether a member got as much as she gets in a minute or an hour: what
// comes above is dropped without a word.
func (p *Platform) overLimit(person string, now time.Time) bool {
	minute, hour := 0, 0
	for _, r := range p.received {
		if !strings.EqualFold(r.Person, person) {
			continue
		}
		if r.At.After(now.Add(-time.Minute)) {
			minute++
		}
		if r.At.After(now.Add(-time.Hour)) {
			hour++
		}
	}
	return minute >= perMemberMinute || hour >= perMemberHour
}
