package definitions

import "github.com/banyanhq/banyan/campaign"

var labelWord = word{
	"Label", "标签名", "A name that a goto may jump to.", "给 goto 跳转用的名字。", "again", aName(plainName), false,
}

var viaWord = word{
	"Via", "渠道", "The channels in the order in which they are tried. Without it, the usual one.", "依次尝试的渠道。不写就用默认渠道。",
	[]any{"webhook", "console"},
	oneOrMore(oneOfWords(Channels()...)), false,
}

// stepWords explain the keys of each kind of step, the label left out. The word of the
// kind's own key explains the step as a whole.
var stepWords = map[campaign.StepKind]map[string]word{
	campaign.StepSend: {
		"send": {"Send", "发消息", "Sends a message once.", "发一条消息，只发一次。", "welcome", aText(), true},
		"via":  viaWord,
	},
	campaign.StepWait: {
		"wait": {"Wait", "等待", "Sleeps for a duration, or until a moment.", "等一段时间，或等到某一时刻。", "24h", anyOf(aDuration(), of(waitUntilShape)), true},
	},
	campaign.StepAwait: {
		"await":     {"Await", "等事件", "Waits for an event, or for whichever of several comes first.", "等一个事件，或几个事件中先到的那个。", "lesson.attended", oneOrMore(aText()), true},
		"when":      {"When", "条件", "Which such event counts: a CEL condition over event and member.", "什么样的事件才算：关于 event 和 member 的 CEL 条件。", `event.offer == "gear"`, aCondition(), false},
		"for":       {"For", "最多等多久", "How long it waits.", "最多等多久。", "7d", aDuration(), true},
		"grace":     {"Grace", "宽限", "How long after that an event that happened in time is still heard.", "到时之后多久之内，按时发生但晚到的事件仍然算数。", "10m", aDuration(), false},
		"otherwise": {"Otherwise", "没等到", "The steps that run when the time is over.", "时间到了还没等到，执行这些步骤。", []any{schema{"end": "no-show"}}, someSteps(), false},
	},
	campaign.StepOffer: {
		"offer":    {"Offer", "打开优惠", "Opens an offer for the member. With a lock it waits until the offer is taken or ends.", "为会员打开一个优惠。有锁价时，等到买下或结束才往下走。", "monthly-card", aText(), true},
		"announce": {"Announce", "告知", "The message that is sent when it opens.", "打开时发的话术。", "card-offer", aText(), false},
		"remind":   {"Remind", "提醒", "Messages before the offer's end.", "优惠结束前的提醒。", []any{schema{"before": "24h", "send": "lock-24h"}}, anyOf(of(reminderShape), schema{"type": "array", "items": of(reminderShape)}), false},
		"via":      viaWord,
		"team": {
			"Team", "成团", "Of an offer with a team: which team an order joins, and what is said of it.", "优惠要成团时：订单加入哪个团，发哪些话术。",
			schema{"join": "event.team", "announce": "team-open", "remind": []any{schema{"before": "2h", "send": "team-missing"}}},
			of(offerTeamStepShape), false,
		},
		"failed": {"Failed", "没成团", "Of an offer with a team: the steps that run when the team was not complete in time, and the order is paid back.", "优惠要成团时：到时未成团、订单退款之后执行的步骤。", []any{schema{"send": "team-failed"}}, someSteps(), false},
		"taken":  {"Taken", "买下之后", "The steps that run when it is taken.", "买下之后执行的步骤。", []any{schema{"grant": "first-card"}}, someSteps(), false},
		"lapsed": {"Lapsed", "过期之后", "The steps that run when it ends untaken.", "没买、过期之后执行的步骤。", []any{schema{"end": "lapsed"}}, someSteps(), false},
	},
	campaign.StepChoose: {
		"choose": {
			"Choose", "分情况", "Runs the first case whose condition holds.", "执行第一个条件成立的分支。",
			[]any{schema{"when": `segment("regular")`, "steps": []any{schema{"tag": "regular"}}}},
			schema{"type": "array", "minItems": 1, "items": of(caseShape)},
			true,
		},
		"otherwise": {"Otherwise", "其他情况", "The steps that run when no case holds.", "都不成立时执行的步骤。", []any{schema{"end": "quiet"}}, someSteps(), false},
	},
	campaign.StepSplit: {
		"split": {
			"Split", "分流", "Leads each member to one of several arms by chance, the same one each time, and records it.", "把会员随机分到几个分支之一，同一个人每次都一样，并记录下来。",
			schema{"name": "greeting", "arms": schema{"A": schema{"share": "50%", "steps": []any{schema{"send": "welcome"}}}, "B": schema{"share": "50%"}}},
			of(splitBodyShape), true,
		},
	},
	campaign.StepRepeat: {
		"repeat": {
			"Repeat", "重复", "Runs its steps in rounds, so many times at most.", "把里面的步骤重复执行，最多若干轮。",
			schema{"times": 3, "every": "7d", "steps": []any{schema{"send": "welcome"}}},
			of(repeatBodyShape), true,
		},
	},
	campaign.StepTag: {
		"tag": {"Tag", "打标签", "Adds a tag to the member, or a list of them.", "给会员打上一个或几个标签。", "price-sensitive", oneOrMore(aTagText()), true},
	},
	campaign.StepUntag: {
		"untag": {"Untag", "去标签", "Takes a tag, or a list of them, from the member.", "去掉会员的一个或几个标签。", "price-sensitive", oneOrMore(aTagText()), true},
	},
	campaign.StepSet: {
		"set": {
			"Set", "改属性", "Sets declared attributes of the member to what CEL expressions give.", "把会员属性设为 CEL 表达式的结果。",
			schema{"visits": "member.visits + 1"},
			schema{"type": "object", "minProperties": 1, "propertyNames": schema{"pattern": attributeName.pattern.String()}, "additionalProperties": aCondition()},
			true,
		},
	},
	campaign.StepGrant: {
		"grant": {"Grant", "发奖励", "Gives a reward once, within its budget and limits.", "发一次奖励，不超出预算和上限。", "first-card", aText(), true},
		"to":    {"To", "发给谁", "Who gets it: the member, or the inviter who brought her.", "发给谁：会员本人，或带她来的邀请人。", "member", oneOfWords("member", campaign.ToInviter), false},
	},
	campaign.StepAsk: {
		"ask": {
			"Ask", "提问", "Puts a question to the member and waits for the reply. Expressions read the answers as answers.NAME.", "向会员提问并等待回复。表达式用 answers.名字 读到答案。",
			schema{"message": "what-for", "answers": schema{"times": schema{"type": "int", "min": 0}}, "for": "24h"},
			of(questionShape), true,
		},
		"otherwise": {"Otherwise", "没有回答", "The steps that run when no fitting reply came in time.", "到时还没有合适的回复，执行这些步骤。", []any{schema{"end": "silent"}}, someSteps(), false},
	},
	campaign.StepReview: {
		"review": {
			"Review", "人工审核", "Asks a person for a decision and goes on by it.", "请一个人做决定，再按决定往下走。",
			schema{"by": "coach", "about": "Is the diary good enough?", "for": "24h", "otherwise": "reject"},
			of(askedShape), true,
		},
		"approved": {"Approved", "通过之后", "The steps that run when it is approved.", "通过之后执行的步骤。", []any{schema{"send": "welcome"}}, someSteps(), false},
		"rejected": {"Rejected", "驳回之后", "The steps that run when it is rejected.", "驳回之后执行的步骤。", []any{schema{"end": "rejected"}}, someSteps(), false},
	},
	campaign.StepTeam: {
		"team": {
			"Team", "组队", "Members come together: whoever brings the code of an open team joins it, everybody else opens one.", "会员组队：带着队伍码来的加入那一队，其他人各开一队。",
			schema{"size": 3, "within": "24h", "join": "start.team"},
			of(teamShape), true,
		},
		"announce": {"Announce", "告知", "The message that is sent to whoever comes into a team that lacks others.", "进入还没满员的队伍时发的话术。", "team-open", aText(), false},
		"remind":   {"Remind", "提醒", "Messages before the end of the team's time, with the numbers of that moment.", "到时间之前的提醒，人数按当时的算。", []any{schema{"before": "2h", "send": "team-missing"}}, anyOf(of(reminderShape), schema{"type": "array", "items": of(reminderShape)}), false},
		"via":      viaWord,
		"formed":   {"Formed", "成队之后", "The steps that run when the team has all its members.", "满员之后执行的步骤。", []any{schema{"grant": "together"}}, someSteps(), false},
		"failed":   {"Failed", "没成队", "The steps that run when its time is over before that.", "到时还没满员，执行这些步骤。", []any{schema{"end": "alone"}}, someSteps(), false},
	},
	campaign.StepCall: {
		"call": {
			"Call", "调用服务", "Calls an outside service and waits for its answer. Expressions read it as calls.NAME.FIELD.", "调用外部服务并等待应答。表达式用 calls.名字.字段 读到应答。",
			schema{"url": "https://crm.example.com/levels", "body": `{"member": member.id}`, "returns": schema{"level": "string"}, "save_as": "crm", "for": "1h"},
			of(requestShape), true,
		},
		"otherwise": {"Otherwise", "没有应答", "The steps that run when the service refuses, answers something else, or does not answer in time.", "对方拒绝、应答不符合声明或没有按时应答时，执行这些步骤。", []any{schema{"end": "no-crm"}}, someSteps(), false},
	},
	campaign.StepGoto: {
		"goto": {"Goto", "跳转", "Goes on at the step that has this label: forward, or back over a step that waits.", "跳到带这个标签名的步骤：向前，或跨过一个等待向后。", "again", aText(), true},
	},
	campaign.StepEnd: {
		"end": {"End", "结束", "Ends the journey with an outcome of your own, for the report.", "以你起名的结果结束旅程，报表里会看到。", "no-show", aName(plainName), true},
	},
}

func aTagText() schema {
	return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxTag}
}

var waitUntilWords = map[string]word{
	"until": {
		"Until", "直到", "The moment: of the calendar, a cron line, or a CEL expression that gives a time. One that is past holds up nobody.",
		"等到什么时刻：日历上的时刻、cron 表达式，或给出时间的 CEL 表达式。已经过去的时刻不用等。", "next day 09:00",
		schema{"type": "string", "minLength": 1},
		true,
	},
}

var splitBodyWords = map[string]word{
	"name": {"Name", "实验名", "The name of the experiment. Two splits of one name lead a member to the same arm.", "实验的名字。同名的分流把同一位会员带到同一个分支。", "greeting", aName(plainName), true},
	"arms": {
		"Arms", "分支", "The arms by name, whose shares add up to 100%.", "各个分支，占比合计 100%。",
		schema{"A": schema{"share": "50%", "steps": []any{schema{"send": "welcome"}}}, "B": schema{"share": "50%"}},
		schema{"type": "object", "minProperties": 2, "maxProperties": maxArms, "propertyNames": schema{"pattern": armName.pattern.String()}, "additionalProperties": of(armShape)},
		true,
	},
}

var armWords = map[string]word{
	"share": {"Share", "占比", "The share of the members who come to this arm.", "多少比例的会员走这个分支。", "50%", schema{"type": "string", "pattern": "%$"}, true},
	"steps": {"Steps", "步骤", "What happens in this arm. Without it, nothing.", "走这个分支做什么。不写就什么也不做。", []any{schema{"send": "welcome"}}, someSteps(), false},
}

var repeatBodyWords = map[string]word{
	"times": {"Times", "轮数", "How many rounds there are at most.", "最多几轮。", 3, aCount(maxRounds), true},
	"every": {"Every", "间隔", "How long from the begin of one round to that of the next. Without it, one follows the other.", "从一轮开始到下一轮开始多久。不写就一轮接一轮。", "7d", aDuration(), false},
	"until": {"Until", "直到", "A CEL condition: as soon as it holds before or after a round, there is no other.", "CEL 条件：一轮之前或之后成立，就不再重复。", `"vip" in member.tags`, aCondition(), false},
	"steps": {"Steps", "步骤", "What happens in a round.", "每一轮做什么。", []any{schema{"send": "welcome"}}, schema{"type": "array", "minItems": 1, "items": reference("step")}, true},
}

var questionWords = map[string]word{
	"message": {"Message", "话术", "The message that asks.", "提问的话术。", "what-for", aText(), true},
	"again":   {"Again", "再问的话术", "The message that asks again when a reply fits no answer. The same, unless told.", "回复不合要求时再问用的话术。不写就用同一条。", "what-for-again", aText(), false},
	"via":     viaWord,
	"answers": {
		"Answers", "答案", "What a reply may be. It is the first answer that it fits.", "回复可以是什么。按顺序，取第一个合适的。",
		schema{"goal": schema{"one_of": schema{"lose": []any{"减肥", "1"}, "muscle": []any{"增肌", "2"}}}, "times": "int"},
		schema{"type": "object", "minProperties": 1, "propertyNames": schema{"pattern": attributeName.pattern.String()}, "additionalProperties": anyOf(oneOfWords(answerTypes...), of(answerShape))},
		true,
	},
	"for":    {"For", "最多等多久", "How long it waits for the reply.", "最多等多久回复。", "24h", aDuration(), true},
	"grace":  {"Grace", "宽限", "How long after that a reply that was written in time is still heard.", "到时之后多久之内，按时写下但晚到的回复仍然算数。", "10m", aDuration(), false},
	"repeat": {"Repeat", "再问几次", "How often it asks again when a reply fits no answer. Once, unless told.", "回复不合要求时再问几次。不写就是 1 次。", 2, schema{"type": []string{"integer", "string"}, "minimum": 0, "maximum": maxRepeat, "pattern": `^[+-]?[0-9]+$`}, false},
}

var answerWords = map[string]word{
	"type": {"Type", "类型", "string, int or number. A string, where one_of has the values.", "string、int 或 number。写了 one_of 就是 string。", "int", oneOfWords(answerTypes...), false},
	"one_of": {
		"Values", "选项", "The values that are accepted: a list, or each value with other words that mean it.", "可以接受的值：列表，或写出每个值还有哪些说法。",
		schema{"lose": []any{"减肥", "1"}, "muscle": []any{"增肌", "2"}},
		anyOf(
			schema{"type": "array", "minItems": 1, "items": aText()},
			schema{"type": "object", "minProperties": 1, "additionalProperties": anyOf(schema{"type": "null"}, aText(), schema{"type": "array", "items": aText()})},
		), false,
	},
	"min":        {"Minimum", "最小值", "The smallest number that is accepted.", "可以接受的最小的数。", 0, schema{"type": []string{"number", "string"}}, false},
	"max":        {"Maximum", "最大值", "The largest number that is accepted.", "可以接受的最大的数。", 14, schema{"type": []string{"number", "string"}}, false},
	"max_length": {"Length", "最大长度", "How many characters a text may have. 200 unless told.", "文字最多几个字。不写就是 200。", 100, aCount(campaign.MaxAnswerLength), false},
}

var askedWords = map[string]word{
	"by":        {"By", "由谁", "The role that decides.", "由哪个角色决定。", "coach", aText(), true},
	"about":     {"About", "关于什么", "What is to be decided, in plain words, the same for every member.", "要决定什么，用大白话写，对每位会员都一样。", "Is the diary good enough?", schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxAbout}, false},
	"for":       {"For", "最多等多久", "How long a person has to decide. Then its backup is asked, as long again.", "多久之内要决定。到时再问后备的人，同样这么久。", "24h", aDuration(), true},
	"otherwise": {"Otherwise", "没人决定", "What holds when nobody decides in time: approve or reject.", "没人按时决定时算什么：approve 通过，reject 驳回。", "reject", oneOfWords(campaign.Approve, campaign.Reject), true},
}

var teamWords = map[string]word{
	"size":   {"Size", "人数", "How many members make a team.", "几个人成一队。", 3, schema{"type": []string{"integer", "string"}, "minimum": campaign.MinTeam, "maximum": campaign.MaxTeam, "pattern": `^[+-]?[0-9]+$`}, true},
	"within": {"Within", "多久之内", "How long a team has, from its opening on. Whoever joins waits until the same moment.", "一队有多久时间，从开队算起。后加入的人等到同一时刻。", "24h", aDuration(), true},
	"join":   {"Join", "加入哪一队", "A CEL expression that gives the code of the team that she wants to join. Without a code she opens one.", "CEL 表达式，给出她想加入的队伍的码。没有码就自己开一队。", "start.team", aCondition(), false},
}

var offerTeamStepWords = map[string]word{
	"join":     {"Join", "加入哪个团", "A CEL expression that gives the code of the team which the order joins; event is the order. Without it event.team, where order.paid has that property.", "CEL 表达式，给出订单要加入的团的码，event 就是订单。不写时，order.paid 有 team 属性就用 event.team。", "start.team", aCondition(), false},
	"announce": {"Announce", "告知", "The message that is sent to whoever has paid and comes into a team that lacks others.", "付款后进入还没满员的团时发的话术。", "team-open", aText(), false},
	"remind":   {"Remind", "提醒", "Messages before the end of the team's time, with the numbers of that moment.", "到时间之前的提醒，人数按当时的算。", []any{schema{"before": "2h", "send": "team-missing"}}, anyOf(of(reminderShape), schema{"type": "array", "items": of(reminderShape)}), false},
}

var requestWords = map[string]word{
	"url":  {"URL", "地址", "Where the service is, the same for every member. https, unless the worker's settings allow the host by http.", "服务的地址，对每位会员都一样。要用 https，除非设置里允许该主机用 http。", "https://crm.example.com/levels", schema{"type": "string", "pattern": "^https?://", "maxLength": maxURL}, true},
	"body": {"Body", "内容", "What is sent: a CEL expression, mostly a map. An empty object, unless told.", "发送的内容：CEL 表达式，多为映射。不写就是空对象。", `{"member": member.id, "points": member.points}`, aCondition(), false},
	"returns": {
		"Returns", "应答字段", "The fields that are read of the answer, with their types. Others are left out.", "从应答里读取的字段和类型，其余的忽略。",
		schema{"level": schema{"type": "string", "one_of": []any{"bronze", "silver", "gold"}}, "score": "int"},
		schema{
			"type": "object", "minProperties": 1, "maxProperties": campaign.MaxCallFields, "propertyNames": schema{"pattern": attributeName.pattern.String()},
			"additionalProperties": anyOf(oneOfWords(campaign.Types()...), of(returnShape)),
		},
		false,
	},
	"save_as": {"Save as", "存为", "The name under which expressions read the answer: calls.NAME.FIELD.", "表达式读取应答用的名字：calls.名字.字段。", "crm", aName(attributeName), false},
	"for":     {"For", "一共多久", "How long the service is tried and waited for in all.", "一共尝试和等待多久。", "1h", aDuration(), true},
	"timeout": {"Timeout", "单次时限", "How long one try may take, at most 30s. 10s unless told.", "一次尝试最多多久，不超过 30s。不写就是 10s。", "5s", aDuration(), false},
}

var returnWords = map[string]word{
	"type":     {"Type", "类型", "string, int, number, bool, time or money.", "string、int、number、bool、time 或 money。", "string", oneOfWords(campaign.Types()...), true},
	"one_of":   {"Values", "取值", "The values that a string may have.", "字符串可以取的值。", []any{"bronze", "silver", "gold"}, schema{"type": "array", "minItems": 1, "items": aText()}, false},
	"optional": {"Optional", "可缺", "Whether the field may be missing from the answer, or null. It may not, unless told.", "应答里可不可以没有这个字段，或为 null。不写就必须有。", true, aTruth(), false},
}
