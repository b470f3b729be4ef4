package definitions

import "github.com/banyanhq/banyan/campaign"

// pointLexicons are the words of the section points.
func pointLexicons() []lexicon {
	return []lexicon{
		{shape: pointsShape, words: pointsWords},
		{shape: pointRuleShape, words: pointRuleWords},
		{shape: reversalShape, words: reversalWords},
		{shape: levelShape, words: levelWords},
		{shape: leaderboardShape, words: leaderboardWords},
	}
}

var pointsWord = word{
	"Points", "积分规则", "What members get points for, by rules over events; levels, and rankings.", "会员做什么事得积分，以及等级和排行榜。",
	schema{"rules": schema{"purchase": schema{"on": "order.paid", "amount": `event.amount / money("10.00")`}}},
	of(pointsShape), false,
}

var pointsWords = map[string]word{
	"rules": {
		"Rules", "规则", "What gives points, by name.", "什么事给多少积分，各有一个名字。",
		schema{"speak": schema{"on": "group.message", "amount": 2, "per_day": 10}},
		schema{"type": "object", "minProperties": 1, "propertyNames": schema{"pattern": plainName.pattern.String()}, "additionalProperties": of(pointRuleShape)},
		true,
	},
	"expires":     {"Expires", "有效期", "How long points of the rules are good. Without it, for ever.", "规则给的积分多久有效。不写就一直有效。", "365d", aDuration(), false},
	"levels":      {"Levels", "等级", "Standings by name, each from a number of points on.", "等级，各从多少积分起。", schema{"silver": schema{"at": 500}, "gold": schema{"at": 2000}}, entriesOf(plainName, of(levelShape)), false},
	"within":      {"Within", "计算周期", "How far back points count for levels, in whole days. Without it, for ever.", "等级看最近多少天的积分，整天计。不写就是一直累计。", "365d", aDuration(), false},
	"grace":       {"Grace", "宽限", "How long a member with too few points keeps her level. Without it, not at all.", "积分不够之后，等级还保留多久。不写就立刻降级。", "30d", aDuration(), false},
	"leaderboard": {"Leaderboard", "排行榜", "Which rankings are kept.", "记录哪些排行榜。", schema{"periods": []any{"week", "all"}}, of(leaderboardShape), false},
}

var pointRuleWords = map[string]word{
	"on":         {"On", "事件", "The event that gives points.", "给积分的事件。", "order.paid", aText(), true},
	"when":       {"When", "条件", "A CEL condition over event and member. Without it every such event counts.", "关于 event 和 member 的 CEL 条件。不写就每次都算。", `event.offer == "monthly-card"`, aCondition(), false},
	"amount":     {"Amount", "数量", "How many points an event gives: a number, or a CEL expression of a whole number.", "一次给多少积分：一个数字，或结果为整数的 CEL 表达式。", `event.amount / money("10.00")`, anyOf(aCount(maxPoints), aText()), true},
	"per_day":    {"Per day", "每日上限", "How many points one member may get by this rule on one day of the campaign's timezone.", "每位会员每天（按活动时区）按这条规则最多得多少积分。", 10, aCount(maxPoints), false},
	"per_member": {"Per member", "每人上限", "How often a member may get them: a number for ever, or so many times in a span.", "每位会员最多得几次：一个数字表示一共，或写明多久几次。", schema{"times": 10, "every": "30d"}, someTimes(), false},
	"reverse_on": {"Reverse on", "撤回", "The event that takes the points back.", "什么事把积分收回。", schema{"on": "order.refunded", "when": "event.order == start.order"}, of(reversalShape), false},
}

var reversalWords = map[string]word{
	"on":         {"On", "事件", "The event that takes points back.", "收回积分的事件。", "order.refunded", aText(), true},
	"when":       {"When", "条件", "A CEL condition over event and start, the event that gave. Without it, all that the rule gave her.", "关于 event 和 start（当初给积分的事件）的 CEL 条件。不写就收回这条规则给她的全部积分。", "event.order == start.order", aCondition(), false},
	"below_zero": {"Below zero", "可以为负", "true: what she has spent already, she owes. Otherwise only what is there is taken.", "true：已经花掉的记为欠账。否则只收回还在的部分。", true, schema{"enum": []any{true, false, "true", "false"}}, false},
}

var levelWords = map[string]word{
	"at": {"At", "起点", "From how many points on a member has it.", "从多少积分起是这个等级。", 500, aCount(maxPoints), true},
}

var leaderboardWords = map[string]word{
	"periods": {"Periods", "周期", "Over which spans points are ranked; all of them unless told.", "按哪些周期排名，不写就是全部。", []any{"week", "all"}, oneOrMore(oneOfWords(campaign.Periods()...)), false},
	"groups":  {"Groups", "分组", "What members are ranked within, by name: each a CEL expression of a text.", "在什么范围内排名，各有一个名字：结果为文本的 CEL 表达式。", schema{"city": "member.city"}, entriesOf(plainName, aText()), false},
}
