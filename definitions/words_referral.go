package definitions

import (
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
)

var referralWords = map[string]word{
	"inviters":    {"Inviters", "谁可以邀请", "A CEL condition over member: who may have a code. Everybody, unless told. It may not ask for a payment.", "关于 member 的 CEL 条件：谁可以有邀请码。不写就是所有人。不能以付款为条件。", `segment("regular")`, aCondition(), false},
	"invitees":    {"Invitees", "谁可以被邀请", "A CEL condition over member: who may be bound. Everybody, unless told.", "关于 member 的 CEL 条件：谁可以被绑定。不写就是所有人。", `now - member.joined_at < duration("168h")`, aCondition(), false},
	"code":        {"Code", "邀请码", "How a code is made.", "邀请码的样子。", schema{"length": 10}, of(codeShape), false},
	"link":        {"Link", "落地页", "Where the short link of a code leads. Its host must be allowed in the server's settings.", "短链接跳到哪里。主机名要在服务器设置里允许。", "https://shop.example/join", schema{"type": "string", "pattern": "^https://", "maxLength": maxURL}, false},
	"attribution": {"Attribution", "归因窗口", "For how long after a click a binding may name it. 7d unless told.", "点击之后多久之内的绑定仍算这次点击。不写就是 7d。", "7d", aDuration(), false},
	"qualifies":   {"Qualifies", "怎样算成功", "What a friend must do to count, and within which time.", "朋友做到什么才算成功，以及多久之内。", schema{"on": "order.paid", "when": `event.offer == "trial"`, "within": "30d"}, of(qualifiesShape), true},
	"hold":        {"Hold", "冻结期", "How long the rewards are held after that. A refund meanwhile rejects the referral. Not at all, unless told.", "达标之后奖励冻结多久，其间退款就作废。不写就不冻结。", "48h", aDuration(), false},
	"claw_back":   {"Claw back", "追回期", "For how long after that a refund takes the rewards back. 30d unless told.", "发放之后多久之内退款仍会追回奖励。不写就是 30d。", "30d", aDuration(), false},
	"rewards":     {"Rewards", "双方奖励", "Who gets which reward: inviter, invitee, or both.", "谁得哪个奖励：邀请人、被邀请人，或两者。", schema{"inviter": "bring-friend", "invitee": "first-card"}, of(earnsShape), true},
	"limit":       {"Limit", "邀请人上限", "How many referrals of an inviter are rewarded: a number for ever, or so many times in a span.", "一位邀请人最多奖几次：一个数字表示一共，或写明多久几次。", schema{"times": 10, "every": "30d"}, someTimes(), false},
	"fraud":       {"Fraud", "反作弊", "What is suspicious, and what happens then.", "什么算可疑，以及怎么办。", schema{"review": schema{"by": "keeper", "for": "48h", "otherwise": "reject"}, "rules": schema{"same-device": 40}}, of(fraudShape), false},
}

var codeWords = map[string]word{
	"length": {"Length", "长度", "How many characters a code has, the check character included: 8 to 16, 10 unless told.", "邀请码的位数，含校验位：8 到 16 位，不写就是 10。", 10, schema{"type": []string{"integer", "string"}, "minimum": minCode, "maximum": maxCode, "pattern": `^[0-9]+$`}, false},
}

var qualifiesWords = map[string]word{
	"on":     {"On", "事件", "The event: a verified join or a purchase, never a share.", "哪个事件：核实过的加入或购买，从来不是分享。", "order.paid", aText(), true},
	"when":   {"When", "条件", "A CEL condition over event, start and member. Without it every such event counts.", "关于 event、start 和 member 的 CEL 条件。不写就每次都算。", `event.offer == "trial"`, aCondition(), false},
	"within": {"Within", "多久之内", "How long a friend has, from the binding on.", "从绑定算起，朋友有多久时间。", "30d", aDuration(), true},
	"grace":  {"Grace", "宽限", "How long after that an event that happened in time is still heard. 10m unless told.", "到时之后多久之内，按时发生但晚到的事件仍然算数。不写就是 10m。", "24h", aDuration(), false},
}

var earnsWords = map[string]word{
	"inviter": {
		"Inviter", "邀请人", "The inviter's reward, or several by how many of her friends have counted. A reward in steps rises with that number.", "邀请人的奖励，或按成功人数给不同的奖励。阶梯奖励按成功人数升档。",
		[]any{schema{"from": 1, "reward": "bring-friend"}, schema{"from": 5, "reward": "bring-five"}},
		anyOf(aText(), schema{"type": "array", "minItems": 1, "maxItems": maxReferralSteps, "items": of(successShape)}), false,
	},
	"invitee": {"Invitee", "被邀请人", "The reward of the one who was invited.", "被邀请人的奖励。", "first-card", aText(), false},
}

var successWords = map[string]word{
	"from":   {"From", "从第几位起", "From which success of hers on. The first step begins with 1.", "从她的第几位成功的朋友起。第一档从 1 开始。", 5, aCount(maxCount), true},
	"reward": {"Reward", "奖励", "What she gets for each from then on.", "从那时起每一位得什么。", "bring-five", aText(), true},
}

var fraudWords = map[string]word{
	"hold":           {"Hold", "人工审核线", "From this sum of scores on a person decides before anything is given. 60 unless told.", "得分合计到这里，先由人审核再发。不写就是 60。", 50, aScore(), false},
	"reject":         {"Reject", "拒绝线", "From this sum of scores on nobody is bound. 100 unless told.", "得分合计到这里，不予绑定。不写就是 100。", 100, aScore(), false},
	"review":         {"Review", "谁来审核", "Who decides about what is held. Without it that is not bound.", "由谁审核被扣住的邀请。不写就直接不予绑定。", schema{"by": "keeper", "for": "48h", "otherwise": "reject"}, of(heldShape), false},
	"left":           {"Left", "离开", "Events by which an invitee leaves: left the group, deleted the friend. That she opted out or was refunded counts anyway.", "表示被邀请人离开的事件：退群、删好友。退订和退款本来就算。", []any{"group.left"}, oneOrMore(aText()), false},
	"mail_domains":   {"Mail domains", "一次性邮箱", "Domains of throw-away mailboxes, instead of the usual ones.", "一次性邮箱的域名，替换自带的列表。", []any{"mailinator.com"}, oneOrMore(aText()), false},
	"phone_prefixes": {"Phone prefixes", "虚拟号段", "First digits of numbers that can be had in bulk, instead of the usual ones.", "可批量获取的号段开头，替换自带的列表。", []any{"170"}, oneOrMore(aText()), false},
	"rules": {
		"Rules", "规则", "Rules by name, each with a score, a mapping, or off. Those that are not named are as usual.", "按名字列出的规则：写得分、写详细设置，或 off 关掉。没写的照旧。",
		schema{"same-device": 60, "inviter-velocity": schema{"score": 40, "most": 20, "within": "24h"}},
		schema{"type": "object", "propertyNames": schema{"enum": fraud.Names()}, "additionalProperties": anyOf(aScore(), schema{"enum": []any{"off"}}, of(suspectsShape))},
		false,
	},
}

var heldWords = map[string]word{
	"by":        {"By", "由谁", "The role that decides.", "由哪个角色决定。", "keeper", aText(), true},
	"for":       {"For", "最多等多久", "How long a person has to decide. Then its backup is asked, as long again.", "多久之内要决定。到时再问后备的人，同样这么久。", "48h", aDuration(), true},
	"otherwise": {"Otherwise", "没人决定", "What holds when nobody decides in time: approve or reject.", "没人按时决定时算什么：approve 通过，reject 驳回。", "reject", oneOfWords(campaign.Approve, campaign.Reject), true},
}

var suspectsWords = map[string]word{
	"score":  {"Score", "得分", "What it adds to the sum.", "计入合计的得分。", 40, schema{"type": []string{"integer", "string"}, "minimum": 0, "maximum": maxScore, "pattern": `^[0-9]+$`}, false},
	"effect": {"Effect", "效果", "What it does by itself, whatever the sum: allow (it is only noted), hold or reject.", "单凭这一条就怎样：allow 只记下，hold 审核，reject 拒绝。", "hold", oneOfWords(fraud.Allow, fraud.Hold, fraud.Reject), false},
	"most":   {"Most", "正常上限", "Of a rule that counts: how many are usual.", "计数类规则：多少以内算正常。", 20, schema{"type": []string{"integer", "string"}, "minimum": 0, "maximum": maxSuspects, "pattern": `^[0-9]+$`}, false},
	"within": {"Within", "时间范围", "In which span it counts.", "在多长时间内计数。", "24h", aDuration(), false},
}

func aScore() schema {
	return schema{"type": []string{"integer", "string"}, "minimum": 1, "maximum": maxScore, "pattern": `^[0-9]+$`}
}
