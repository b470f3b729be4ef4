package starter

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/optout"
)

// maxOpenBody bounds what somebody without a key may send: a form of one field.
const maxOpenBody = 4 << 10

// reasonOneClick is the reason of an opt-out by a link.
const reasonOneClick = "one_click"

// registerOptOut serves the links by which members opt out. A GET only shows a button:
// mail programs and virus scanners follow links by themselves. A POST opts out, as mail
// programs do with one click (RFC 8058) and the button too.
func (s *Server) registerOptOut() {
	s.mux.HandleFunc("GET "+optout.Path+"{token}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.cfg.OptOut.Read(r.PathValue("token")); !ok {
			s.showOptOut(w, r, http.StatusNotFound, "unknown")
			return
		}
		s.showOptOut(w, r, http.StatusOK, "ask")
	})
	s.mux.HandleFunc("POST "+optout.Path+"{token}", func(w http.ResponseWriter, r *http.Request) {
		identity, ok := s.cfg.OptOut.Read(r.PathValue("token"))
		found := false
		if ok {
			var err error
			if found, err = s.store.OptOut(r.Context(), identity, reasonOneClick); err != nil {
				s.logError(r.Context(), err)
				status := http.StatusInternalServerError
				if campaign.CodeOf(err) == campaign.CodeUnavailable {
					status = http.StatusServiceUnavailable
				}
				s.showOptOut(w, r, status, "later")
				return
			}
		}
		if !found { // erased, or never ours
			s.showOptOut(w, r, http.StatusNotFound, "unknown")
			return
		}
		s.showOptOut(w, r, http.StatusOK, "done")
	})
}

type optOutWords struct{ Lang, Title, Text, Button string }

var optOutPages = map[string][2]optOutWords{
	"ask": {
		{"zh-CN", "退订", "点击按钮后，我们不再向这个地址发送营销邮件。订单等服务通知不受影响。", "退订"},
		{"en", "Unsubscribe", "Press the button, and we send no more marketing to this address. What concerns your orders still comes.", "Unsubscribe"},
	},
	"done": {
		{"zh-CN", "已退订", "我们不再向这个地址发送营销邮件。", ""},
		{"en", "You are unsubscribed", "We send no more marketing to this address.", ""},
	},
	"unknown": {
		{"zh-CN", "链接无效", "这个链接不完整，或者地址已经删除。请回复邮件告诉我们。", ""},
		{"en", "This link is not valid", "It is not whole, or the address is gone. Please answer the mail and tell us.", ""},
	},
	"later": {
		{"zh-CN", "请稍后再试", "现在无法处理，请几分钟后再打开这个链接。", ""},
		{"en", "Please try again", "It cannot be done right now. Please open the link again in some minutes.", ""},
	},
}

func (s *Server) showOptOut(w http.ResponseWriter, r *http.Request, status int, page string) {
	words := optOutPages[page][1]
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "zh") {
		words = optOutPages[page][0]
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	if err := optOutPage.Execute(w, words); err != nil {
		s.logError(r.Context(), err)
	}
}

var optOutPage = template.Must(template.New("optout").Parse(`<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{{.Title}}</title>
<style>
:root { color-scheme: light dark }
body { font: 17px/1.6 system-ui, sans-serif; max-width: 28rem; margin: 20vh auto 0; padding: 0 1.5rem }
button { font: inherit; padding: .6rem 1.6rem; border: 1px solid #8886; border-radius: .4rem; cursor: pointer }
</style></head><body>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .Button}}<form method="post"><button name="List-Unsubscribe" value="One-Click">{{.}}</button></form>{{end}}
</body></html>
`))
