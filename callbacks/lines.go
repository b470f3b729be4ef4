package callbacks

import (
	"fmt"
	"strings"
)

const (
	ofPerson   = "the customer"
	ofFollower = "the follower"
	ofUser     = "the user"
	ofGroup    = "the group"
	ofDesk     = "the account of customer service"
)

var (
	contact = []take{{from: "ChangeType", as: "change"}, {from: "UserID", as: "staff"}, {from: "State", as: "state"}, {from: "WelcomeCode", as: "welcome_code"}, {from: "Source", as: "source"}}
	group   = []take{
		{from: "ChatId", as: "chat"},
		{from: "ChangeType", as: "change"},
		{from: "UpdateDetail", as: "detail"},
		{from: "JoinScene", as: "join_scene"},
		{from: "QuitScene", as: "quit_scene"},
		{from: "MemChangeCnt", as: "count"},
		{from: "LastMemVer", as: "last_version"},
		{from: "CurMemVer", as: "version"},
	}
	written = []take{{from: "Content", as: "text"}, {from: "MediaId", as: "media"}, {from: "MsgId", as: "message"}}
	tapped  = []take{{from: "EventKey", as: "key"}}
	permit  = []take{{from: "TemplateId", as: "template"}, {from: "SubscribeStatusString", as: "answer"}, {from: "PopupScene", as: "scene"}}
	outcome = []take{{from: "TemplateId", as: "template"}, {from: "MsgID", as: "message"}, {from: "ErrorCode", as: "code"}, {from: "ErrorStatus", as: "status"}}
)

// lines are the whole mapping, but for WeChat Pay's. The first that matches counts.
var lines = []line{
	{of(Wecom), "change_external_contact/add_external_contact", "wecom.contact.added", ofPerson, contact, In, tellPerson},
	{of(Wecom), "change_external_contact/add_half_external_contact", "wecom.contact.added", ofPerson, contact, In, tellPerson},
	{of(Wecom), "change_external_contact/edit_external_contact", "wecom.contact.edited", ofPerson, contact, Unsaid, tellPerson},
	{of(Wecom), "change_external_contact/msg_audit_approved", "wecom.contact.audit_approved", ofPerson, contact, Unsaid, tellPerson},
	{of(Wecom), "change_external_contact/transfer_fail", "wecom.contact.transfer_failed", ofPerson, append([]take{{from: "FailReason", as: "reason"}}, contact...), Unsaid, tellPerson},
	{of(Wecom), "change_external_contact/del_external_contact", "wecom.contact.deleted", ofPerson, contact, Unsaid, tellPerson},
	{of(Wecom), "change_external_contact/del_follow_user", "wecom.contact.deleted", ofPerson, contact, Out, tellPerson},
	{of(Wecom), "change_external_chat/create", "wecom.group.created", ofGroup, group, Unsaid, tellGroup},
	{of(Wecom), "change_external_chat/update*", "wecom.group.changed", ofGroup, group, Unsaid, tellGroup},
	{of(Wecom), "change_external_chat/dismiss", "wecom.group.dismissed", ofGroup, group, Unsaid, tellGroup},
	{of(Wecom), "kf_msg_or_event", "wecom.kf.message", ofDesk, []take{{from: "OpenKfId", as: "open_kfid"}, {from: "Token", as: "token"}}, Unsaid, tellDesk},

	{of(OfficialAccount), "subscribe", "officialaccount.subscribed", ofFollower, []take{{from: "EventKey", as: "scene", cut: "qrscene_"}, {from: "Ticket", as: "ticket"}}, In, tellPerson},
	{of(OfficialAccount), "unsubscribe", "officialaccount.unsubscribed", ofFollower, tapped, Out, tellPerson},
	{of(OfficialAccount), "scan", "officialaccount.scanned", ofFollower, []take{{from: "EventKey", as: "scene"}, {from: "Ticket", as: "ticket"}}, Unsaid, tellPerson},
	{of(OfficialAccount), "click", "officialaccount.clicked", ofFollower, tapped, Unsaid, tellPerson},
	{of(OfficialAccount), "view", "officialaccount.clicked", ofFollower, []take{{from: "EventKey", as: "url"}, {from: "MenuId", as: "menu"}}, Unsaid, tellPerson},
	{of(OfficialAccount), "view_miniprogram", "officialaccount.clicked", ofFollower, []take{{from: "EventKey", as: "page"}, {from: "MenuId", as: "menu"}}, Unsaid, tellPerson},
	{of(OfficialAccount), "message/*", "officialaccount.messaged", ofFollower, written, Unsaid, tellMessage},

	{of(OfficialAccount, MiniProgram), "subscribe_msg_popup_event", "subscription.answered", ofUser, permit, Unsaid, tellAnswers},
	{of(OfficialAccount, MiniProgram), "subscribe_msg_change_event", "subscription.answered", ofUser, permit, Unsaid, tellAnswers},
	{of(OfficialAccount, MiniProgram), "subscribe_msg_sent_event", "subscription.sent", ofUser, outcome, Unsaid, tellAnswers},

	{of(MiniProgram), "user_enter_tempsession", "miniprogram.entered", ofUser, []take{{from: "SessionFrom", as: "from"}}, Unsaid, tellPerson},
	{of(MiniProgram), "message/*", "miniprogram.messaged", ofUser, written, Unsaid, tellMessage},
}

// Table is the mapping as the page of callbacks shows it.
func Table() string {
	var b strings.Builder
	b.WriteString("| channel | the platform says | event | of | properties | the channel's opt-out |\n| --- | --- | --- | --- | --- | --- |\n")
	row := func(channel, on, event, whom string, takes []take, standing Standing) {
		names := make([]string, len(takes))
		for i, t := range takes {
			names[i] = fmt.Sprintf("`%s` (%s)", t.as, t.from)
		}
		said := map[Standing]string{Unsaid: "", In: "ends", Out: "begins"}[standing]
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s | %s | %s |\n", channel, on, event, whom, strings.Join(names, ", "), said)
	}
	for _, l := range lines {
		for _, c := range []Channel{Wecom, OfficialAccount, MiniProgram} {
			if l.channels[c] {
				row(string(c), l.on, l.event, l.whom, l.takes, l.standing)
			}
		}
	}
	row(string(Pay), "TRANSACTION.SUCCESS", eventPaid, "the payer", paid, Unsaid)
	row(string(Pay), "REFUND.SUCCESS", eventRefunded, "the payer", refunded, Unsaid)
	row(string(Pay), "REFUND.ABNORMAL", eventNotRefunded, "the payer", refunded, Unsaid)
	row(string(Pay), "REFUND.CLOSED", eventNotRefunded, "the payer", refunded, Unsaid)
	return b.String()
}
