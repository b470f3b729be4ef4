package definitions

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// lexicons are the words of every mapping of the language but the steps, whose are in
// stepWords. A test names a shape or a key that has none.
func lexicons() []lexicon {
	return append(slices.Concat(testLexicons(), populationLexicons(), pointLexicons()), []lexicon{
		{shape: topShape, words: topWords},
		{shape: windowShape, words: windowWords},
		{shape: propertyShape, words: propertyWords},
		{shape: offerShape, words: offerWords},
		{shape: rewardShape, words: rewardWords},
		{shape: couponShape, words: couponWords},
		{shape: rewardStepShape, words: rewardStepWords},
		{shape: budgetShape, words: budgetWords},
		{shape: timesShape, words: timesWords},
		{shape: messageShape, words: messageWords()},
		{shape: mailShape, words: mailWords},
		{shape: limitsShape, words: limitsWords},
		{shape: quietShape, words: quietWords},
		{shape: referralShape, words: referralWords},
		{shape: codeShape, words: codeWords},
		{shape: qualifiesShape, words: qualifiesWords},
		{shape: earnsShape, words: earnsWords},
		{shape: successShape, words: successWords},
		{shape: fraudShape, words: fraudWords},
		{shape: heldShape, words: heldWords},
		{shape: suspectsShape, words: suspectsWords},
		{shape: journeyShape, words: journeyWords},
		{shape: startShape, words: startWords},
		{shape: entryShape, words: entryWords},
		{shape: goalShape, words: triggerWords},
		{shape: exitShape, words: triggerWords},
		{shape: caseShape, words: caseWords},
		{shape: reminderShape, words: reminderWords},
		{shape: roleShape, words: roleWords},
		{shape: waitUntilShape, words: waitUntilWords},
		{shape: splitBodyShape, words: splitBodyWords},
		{shape: armShape, words: armWords},
		{shape: repeatBodyShape, words: repeatBodyWords},
		{shape: questionShape, words: questionWords},
		{shape: answerShape, words: answerWords},
		{shape: askedShape, words: askedWords},
		{shape: teamShape, words: teamWords},
		{shape: offerTeamShape, words: offerTeamWords},
		{shape: offerTeamStepShape, words: offerTeamStepWords},
		{shape: requestShape, words: requestWords},
		{shape: returnShape, words: returnWords},
	}...)
}

var topWords = map[string]word{
	"language": {
		"Language", "语言版本", "The version of the campaign language. Without it, 1.", "活动语言的版本。不写就是 1。",
		1,
		schema{"enum": []any{1, "1"}},
		false,
	},
	"campaign": {
		"Campaign", "活动名", "The campaign's name: 2 to 63 lower-case letters, digits and hyphens.", "活动的名字：2 到 63 个小写字母、数字和连字符。",
		"fitness-trial", aName(campaignName), true,
	},
	"title": {
		"Title", "标题", "What people call the campaign, at most 200 characters.", "给人看的标题，最多 200 个字。",
		"9.9 元体验课 → 月卡", aTitle(), true,
	},
	"timezone": {
		"Timezone", "时区", "The IANA name of the timezone in which days, quiet hours and texts are meant. Asia/Shanghai unless told.",
		"时区的 IANA 名称，日期、免打扰时段和话术里的时间都按它算。不写就是 Asia/Shanghai。", "Asia/Shanghai",
		schema{"type": "string", "examples": zones},
		false,
	},
	"currency": {
		"Currency", "币种", "The currency of every amount. CNY unless told.", "所有金额的币种。不写就是 CNY。", "CNY", oneOfWords(currencies...), false,
	},
	"window": {
		"Window", "活动时间", "When members may enter: the first and the last day, both whole. Outside it nobody enters; who is inside goes on.",
		"会员可以进入的时间：从第一天到最后一天，首尾都算。之外不再有人进入，已进入的人继续走完。",
		schema{"from": "2026-12-01", "until": "2027-06-30"},
		of(windowShape), false,
	},
	"member": {
		"Member attributes", "会员属性", "What expressions may read of a member, with its type.", "表达式可以读到的会员资料，以及它们的类型。",
		schema{"name": "string", "spent": "money"},
		entriesOf(attributeName, aType()), false,
	},
	"events": {
		"Events", "事件", "What the campaign may hear, with the properties that come with it.", "活动会听到的事情，以及随它而来的属性。",
		schema{"order.paid": schema{"order": "string", "offer": "string", "amount": "money"}},
		entriesOf(eventName, schema{"type": []string{"object", "null"}, "additionalProperties": aType()}), false,
	},
	"segments": {
		"Segments", "人群", "Conditions over a member, by name. Expressions ask them as segment(\"NAME\").", "会员满足的条件，各有一个名字。表达式用 segment(\"名字\") 来问。",
		schema{"regular": `count("lesson.attended", duration("720h")) >= 4`},
		entriesOf(plainName, aCondition()), false,
	},
	"roles": {
		"Roles", "角色", "Who decides reviews, each with a backup for when it does not answer.", "谁来做人工审核，以及没空时由谁顶上。",
		schema{"coach": schema{"title": "教练", "backup": "owner"}, "owner": nil},
		entriesOf(plainName, anyOf(schema{"type": "null"}, of(roleShape))), false,
	},
	"offers": {
		"Offers", "商品", "What is sold, at which price, for how long locked.", "卖什么、什么价、锁价多久。",
		schema{"monthly-card": schema{"title": "月卡", "price": 199, "list_price": 299, "lock": "48h"}},
		entriesOf(plainName, of(offerShape)), false,
	},
	"rewards": {
		"Rewards", "奖励", "What a grant step gives, with its budget and limits.", "grant 步骤发放的奖励，以及预算和上限。",
		schema{"first-card": schema{"points": 100, "budget": 100000}},
		entriesOf(plainName, of(rewardShape)), false,
	},
	"points": pointsWord,
	"messages": {
		"Messages", "话术", "What is sent, with CEL expressions in {{ }}.", "发给会员的话，{{ }} 里是 CEL 表达式。",
		schema{"welcome": "{{ member.name }}，欢迎！"},
		entriesOf(plainName, anyOf(aWording(), of(messageShape))), false,
	},
	"limits": {
		"Limits", "打扰的底线", "What holds for every message: quiet hours, and how many a member gets.", "对所有消息都有效：免打扰时段、每人每天最多几条。",
		schema{"messages_per_member": schema{"times": 3, "every": "24h"}},
		of(limitsShape), false,
	},
	"referral": {
		"Referral", "老带新", "What members get who bring others: who may invite, what a friend must do, and what both get for it.", "老会员带新会员：谁可以邀请，朋友做到什么才算，双方各得什么。",
		schema{"qualifies": schema{"on": "order.paid", "within": "30d"}, "hold": "48h", "rewards": schema{"inviter": "bring-friend", "invitee": "first-card"}},
		of(referralShape), false,
	},
	"journeys": {
		"Journeys", "旅程", "What members go through, step by step. At least one.", "会员一步步经历什么。至少一条。",
		schema{"main": schema{"start": schema{"on": "order.paid"}, "goal": schema{"on": "order.paid"}, "steps": []any{schema{"send": "welcome"}}}},
		schema{"type": "object", "minProperties": 1, "propertyNames": schema{"pattern": plainName.pattern.String()}, "additionalProperties": of(journeyShape)},
		true,
	},
	"tests": testsWord(false),
}

var windowWords = map[string]word{
	"from":  {"From", "开始", "The first day, or moment, at which members may enter.", "会员可以进入的第一天，或某一时刻。", "2026-12-01", schema{"type": "string"}, false},
	"until": {"Until", "结束", "The last day on which members may enter, to its end.", "会员可以进入的最后一天，当天也算。", "2027-06-30", schema{"type": "string"}, false},
}

var propertyWords = map[string]word{
	"type":   {"Type", "类型", "string, int, number, bool, time or money.", "string、int、number、bool、time 或 money。", "string", oneOfWords(campaign.Types()...), true},
	"one_of": {"Values", "取值", "The values that a string may have.", "字符串可以取的值。", []any{"bronze", "silver", "gold"}, schema{"type": "array", "minItems": 1, "items": aText()}, false},
}

var offerWords = map[string]word{
	"title":      {"Title", "名称", "What people call it. Its name, unless told.", "给人看的名称。不写就用它的名字。", "月卡", aTitle(), false},
	"price":      {"Price", "活动价", "What it costs in the offer, with at most two decimal places.", "活动价，最多两位小数。", 199, anAmount(), true},
	"list_price": {"List price", "原价", "What it costs otherwise, at least the price.", "平时的价格，不低于活动价。", 299, anAmount(), false},
	"lock":       {"Lock", "锁价时长", "How long the price is held for a member once the offer was opened for her. Without it the offer never ends.", "优惠打开后为会员锁价多久。不写就一直有效。", "48h", aDuration(), false},
	"grace":      {"Grace", "宽限", "How long after the end orders that were paid in time are still heard. 10m unless told.", "结束后多久之内，按时付款但晚到的订单仍然算数。不写就是 10m。", "24h", aDuration(), false},
	"per_member": {"Per member", "每人限购", "How often a member may take it.", "每位会员最多买几次。", 1, aCount(maxCount), false},
	"stock":      {"Stock", "库存", "How many there are in all.", "一共有多少份。", 500, aCount(maxCount), false},
	"on_refund": {
		"On refund", "退款时", "What becomes of it when the order that took it is refunded as a whole: keep, it stays taken; restock, its piece is there again. keep unless told.",
		"领取它的订单全额退款时：keep 仍算已领取；restock 退回库存。不写就是 keep。", "restock", oneOfWords(campaign.OnRefundKeep, campaign.OnRefundRestock), false,
	},
	"team": {"Team", "成团", "Members buy it together: an order counts when so many have paid in time.", "拼团：规定时间内够人数付款，订单才算数。", schema{"size": 3, "within": "24h"}, of(offerTeamShape), false},
}

var offerTeamWords = map[string]word{
	"size":   {"Size", "人数", "How many members make a team.", "几个人成一团。", 3, schema{"type": []string{"integer", "string"}, "minimum": campaign.MinTeam, "maximum": campaign.MaxTeam, "pattern": `^[+-]?[0-9]+$`}, true},
	"within": {"Within", "多久之内", "How long a team has, from the order on that opens it.", "一个团有多久时间，从开团的订单算起。", "24h", aDuration(), true},
}

var rewardWords = map[string]word{
	"points":     {"Points", "积分", "How many points one grant gives. A reward gives points, a coupon or a benefit.", "发一次给多少积分。一个奖励给积分、券或权益其中一种。", 100, aCount(maxPoints), false},
	"coupon":     {"Coupon", "券", "That one grant gives a coupon: generated, pool, or a mapping.", "发一次给一张券：generated（现场生成）、pool（导入的券池），或一组设置。", schema{"codes": "generated", "value": 20, "expires": "30d"}, anyOf(oneOfWords(campaign.CodesGenerated, campaign.CodesPool), of(couponShape)), false},
	"benefit":    {"Benefit", "权益", "That one grant entitles the member to a benefit of this name.", "发一次让会员享有这个权益。", "vip", aName(plainName), false},
	"for":        {"For", "权益时长", "How long the benefit lasts. One that lasts already goes on for as long. For ever, unless told.", "权益持续多久；已有时顺延。不写就是永久。", "30d", aDuration(), false},
	"steps":      {"Steps", "阶梯", "Points that rise: whoever reaches a higher step is paid the difference.", "阶梯奖励：达到更高一级时补发差额。", []any{schema{"at": 1, "points": 100}, schema{"at": 3, "points": 400}}, schema{"type": "array", "minItems": 1, "maxItems": maxRewardSteps, "items": of(rewardStepShape)}, false},
	"count":      {"Count", "按次数", "What the steps are measured by: a CEL expression that gives a whole number. How often the reward was granted, unless told.", "阶梯按什么数：一个得到整数的 CEL 表达式。不写就按发放次数。", `count("friend.joined")`, aText(), false},
	"amount":     {"Amount", "按金额", "What the steps are measured by: a CEL expression that gives money.", "阶梯按什么金额：一个得到金额的 CEL 表达式。", `sum("order.paid", "amount")`, aText(), false},
	"budget":     {"Budget", "总预算", "How many points, or pieces, all grants together may give: a number, or with what a day and a member may get.", "最多发多少积分：一个数字表示总数，也可以写明每天和每人的上限。", 100000, anyOf(aCount(maxPoints), of(budgetShape)), false},
	"per_member": {"Per member", "每人上限", "How often a member may get it: a number for ever, or so many times in a span.", "每位会员最多领几次：一个数字表示一共，或写明多久几次。", schema{"times": 10, "every": "30d"}, someTimes(), false},
	"expires":    {"Expires", "有效期", "How long the points are good. Without it, for ever.", "积分多久有效。不写就一直有效。", "365d", aDuration(), false},
	"on_refund": {
		"On refund", "退款时", "What becomes of it when the order that led to it is refunded: claw_back takes what the member has of it and records the rest as owed, claw_back_in_full takes all, below zero if need be, keep leaves it. claw_back unless told.",
		"带来它的订单退款时：claw_back 收回会员现有的部分，不足的记为欠；claw_back_in_full 全部收回，余额可为负；keep 不收回。不写就是 claw_back。", "keep",
		oneOfWords(campaign.OnRefundClawBack, campaign.OnRefundInFull, campaign.OnRefundKeep), false,
	},
}

var rewardStepWords = map[string]word{
	"at":     {"At", "达到", "From which count, or amount, on the step counts.", "达到多少次（或多少金额）算这一级。", 3, anAmount(), true},
	"points": {"Points", "积分", "How many points she has of the reward then, in all; what was paid before is taken off.", "到这一级累计给多少积分，已发的会扣除，只补差额。", 400, aCount(maxPoints), true},
}

var couponWords = map[string]word{
	"codes":        {"Codes", "券码来源", "generated: made when it is granted; pool: imported before.", "generated：发放时生成；pool：事先导入。", "generated", oneOfWords(campaign.CodesGenerated, campaign.CodesPool), true},
	"length":       {"Length", "码长", "How many characters a generated code has, its check character included. 16 unless told.", "生成的券码有几个字符，含校验位。不写就是 16。", 16, aCount(campaign.MaxCodeLength), false},
	"value":        {"Value", "面值", "What it is worth, for messages and for the shop that asks.", "券的面值，供话术和收银查询使用。", 20, anAmount(), false},
	"expires":      {"Expires", "有效期", "How long after the grant it can be used. For ever, unless told.", "发放后多久之内可用。不写就一直有效。", "30d", aDuration(), false},
	"when_expired": {"When expired", "过期后", "What becomes of an expired code of a pool: return, to be given to somebody else, or keep. keep unless told.", "券池里的码过期后：return 放回券池再发给别人，keep 作废。不写就是 keep。", "return", oneOfWords(expiredKeep, expiredReturn), false},
	"holds":        {"Holds", "同时持有", "How many a member may have at a time that are neither used nor expired. 1 unless told.", "会员同时最多持有几张未用的券。不写就是 1。", 1, aCount(maxHolds), false},
	"low_water":    {"Low water", "低水位", "How many codes are left when the pool is said to run low. A tenth of it unless told.", "券池剩多少时提示不足。不写就是一成。", 500, aCount(maxPoints), false},
}

var budgetWords = map[string]word{
	"total":      {"Total", "总预算", "How many points, or pieces, all grants together may give.", "全部发放加起来最多多少积分，或多少张。", 100000, aCount(maxPoints), false},
	"per_day":    {"Per day", "每日预算", "How many points, or pieces, all grants of one day, in the campaign's timezone, may give.", "每天（按活动时区）最多发多少积分，或多少张。", 5000, aCount(maxPoints), false},
	"per_member": {"Per member", "每人预算", "How many points, or pieces, one member may get of this reward.", "每位会员从这个奖励里最多得多少积分，或多少张。", 1000, aCount(maxPoints), false},
	"pause_at":   {"Pause at", "低水位暂停", "How much of total is kept back: when so little is left, the reward pauses until somebody resumes it.", "总预算中保留多少：剩到这个数就暂停发放，等人恢复后再发。", 10000, aCount(maxPoints), false},
}

var timesWords = map[string]word{
	"times": {"Times", "次数", "How many times.", "最多几次。", 3, aCount(maxCount), true},
	"every": {"Every", "周期", "In how long a span. Without it, for ever.", "在多长时间内。不写就是一共。", "24h", aDuration(), false},
}

// channelNames are what people call the channels.
var channelNames = map[string][2]string{
	"console": {"the console", "控制台"}, "webhook": {"the webhook", "Webhook"}, "wecom": {"WeCom", "企业微信"}, "sms": {"SMS", "短信"},
	"mail": {"mail", "邮件"}, "officialaccount": {"the WeChat official account", "微信公众号"}, "miniprogram": {"the WeChat mini program", "微信小程序"},
}

func messageWords() map[string]word {
	words := map[string]word{
		"text":        {"Text", "正文", "The text for every channel that has none of its own.", "没有单独写话术的渠道都用它。", "{{ member.name }}，欢迎！", aWording(), false},
		"kind":        {"Kind", "性质", "marketing, or service: a service message passes caps, never quiet hours or consent.", "marketing 是营销，service 是服务通知：服务通知不占次数，但仍守免打扰和授权。", "service", oneOfWords(campaign.KindMarketing, campaign.KindService), false},
		"when_capped": {"When capped", "超出次数时", "What becomes of it when a cap refuses it: delay or drop.", "超出次数时怎么办：delay 推迟，drop 不发。", "drop", oneOfWords(campaign.CappedDelay, campaign.CappedDrop), false},
	}
	for _, channel := range wordings {
		name := channelNames[channel]
		words[channel] = word{"Text for " + name[0], name[1] + "话术", "The text when it is sent by " + name[0] + ".", "通过" + name[1] + "发送时的话术。", "{{ member.name }}，欢迎！", aWording(), false}
	}
	mail := words[channelMail]
	mail.title, mail.titleZH = "Mail", "邮件"
	mail.text, mail.textZH = "The mail, with its subject. Without a text here, the message's own is sent.", "邮件的主题和正文。这里不写正文，就用消息本身的正文。"
	mail.example = schema{"subject": "{{ member.name }}，月卡为你锁价"}
	mail.value = anyOf(aWording(), of(mailShape))
	words[channelMail] = mail
	return words
}

var mailWords = map[string]word{
	"subject": {"Subject", "主题", "One line that says what the mail is about.", "一行，说明这封邮件讲什么。", "{{ member.name }}，月卡为你锁价", aSubject(), true},
	"text":    {"Text", "正文", "What stands in the mail. Without it, the message's own text.", "邮件正文。不写就用消息本身的正文。", "{{ member.name }}，欢迎！", aWording(), false},
}

var limitsWords = map[string]word{
	"quiet_hours":         {"Quiet hours", "免打扰时段", "A message that falls into them waits for their end. They may run over midnight.", "落在这个时段的消息等到结束再发，可以跨过午夜。", schema{"from": "22:00", "until": "08:00"}, of(quietShape), false},
	"messages_per_member": {"Messages per member", "每人消息上限", "How many marketing messages a member gets.", "每位会员最多收到几条营销消息。", schema{"times": 3, "every": "24h"}, someTimes(), false},
}

var quietWords = map[string]word{
	"from":  {"From", "开始", "When the quiet hours begin, in the campaign's timezone.", "免打扰从几点开始，按活动时区。", "22:00", aTimeOfDay(), true},
	"until": {"Until", "结束", "When the quiet hours end.", "免打扰到几点结束。", "08:00", aTimeOfDay(), true},
}

var journeyWords = map[string]word{
	"start":   {"Start", "入口", "How members get in: by an event, a segment, a segment at moments of the calendar, or the API. Several ways are a list.", "会员怎么进来：某个事件、某个人群、到点时的某个人群，或 API。多个入口写成列表。", schema{"on": "order.paid", "when": `event.offer == "trial"`}, oneOrMore(of(startShape)), true},
	"entry":   {"Entry", "重复进入", "Whether and when a member may come again. once unless told.", "会员能不能再来、何时能再来。不写就是 once。", schema{"again_after": "30d"}, anyOf(oneOfWords(campaign.EntryOnce, campaign.EntryAfterExit, campaign.EntryEveryTime), of(entryShape)), false},
	"goal":    {"Goal", "目标", "The conversion: reached from any step, recorded once.", "转化目标：在任何一步都可能达成，只记一次。", schema{"on": "order.paid", "when": `event.offer == "monthly-card"`}, of(goalShape), false},
	"on_goal": {"On goal", "达成之后", "What the goal does: end the journey, or continue.", "达成目标之后：end 结束旅程，continue 继续走。", "continue", oneOfWords(campaign.GoalEnds, campaign.GoalContinues), false},
	"exit":    {"Exit", "退出", "Leaves the journey from any step; open offers are withdrawn.", "在任何一步离开旅程，打开的优惠同时收回。", schema{"on": "order.refunded"}, of(exitShape), false},
	"holdout": {"Holdout", "对照组", "The share of entrants who get nothing and are measured like the rest, 0% to 50%.", "留出多少比例的人什么都不做、只做对照，0% 到 50%。", "5%", schema{"type": "string", "pattern": "%$"}, false},
	"drive":   {"Drive", "驱动方式", "Who turns the members: members for tens of thousands, slices for more. It changes nothing of what happens.", "由谁推动会员前进：几万人用 members，更多用 slices。结果没有任何不同。", "slices", oneOfWords(campaign.DriveMembers, campaign.DriveSlices), false},
	"steps":   {"Steps", "步骤", "What happens, in order.", "依次发生什么。", []any{schema{"send": "welcome"}}, schema{"type": "array", "minItems": 1, "items": reference("step")}, true},
}

var startWords = map[string]word{
	"on":       {"On", "事件", "The event that lets a member in.", "让会员进入的事件。", "order.paid", aText(), false},
	"when":     {"When", "条件", "A CEL condition over event and member. Goes with on.", "关于 event 和 member 的 CEL 条件，与 on 搭配。", `event.offer == "trial"`, aCondition(), false},
	"segment":  {"Segment", "人群", "Whoever is in the segment, and whoever joins it later. With schedule, whoever is in it at those moments.", "在这个人群里的人，以及以后加入的人。写了 schedule，就是到点时在人群里的人。", "regular", aText(), false},
	"schedule": {"Schedule", "日程", "The moments at which whoever is in the segment enters: a cron line, or a moment of the calendar. Goes with segment.", "到什么时刻让人群里的人进入：cron 表达式，或日历上的时刻。与 segment 搭配。", "0 9 * * mon", schema{"type": "string"}, false},
	"referral": {"Referral", "邀请", "bound: whoever is bound to an inviter by her code.", "bound：凭邀请码绑定到邀请人的人。", "bound", schema{"enum": []any{"bound"}}, false},
	"api":      {"API", "API", "Whoever the API enters.", "由 API 送进来的人。", true, schema{"enum": []any{true, "true"}}, false},
}

var entryWords = map[string]word{
	"again_after": {"Again after", "间隔", "How long after the last entry a member may come again.", "距上次进入多久之后可以再来。", "30d", aDuration(), true},
}

var triggerWords = map[string]word{
	"on":   {"On", "事件", "The event.", "哪个事件。", "order.paid", aText(), true},
	"when": {"When", "条件", "A CEL condition over event, start and member. Without it every such event counts.", "关于 event、start 和 member 的 CEL 条件。不写就每次都算。", `event.offer == "monthly-card"`, aCondition(), false},
}

var caseWords = map[string]word{
	"when":  {"When", "条件", "The case runs when this is the first condition that holds.", "第一个成立的条件，它的步骤才会执行。", `segment("regular")`, aCondition(), true},
	"steps": {"Steps", "步骤", "What happens then. An empty list does nothing.", "成立时做什么。空列表就什么也不做。", []any{schema{"tag": "regular"}}, someSteps(), true},
}

var reminderWords = map[string]word{
	"before": {"Before", "提前多久", "How long before the offer's end. Shorter than the lock.", "在优惠结束前多久。要比锁价时长短。", "24h", aDuration(), true},
	"send":   {"Send", "话术", "The message.", "发哪条话术。", "lock-24h", aText(), true},
}

var roleWords = map[string]word{
	"title":  {"Title", "名称", "What people call it. Its name, unless told.", "给人看的名称。不写就用它的名字。", "教练", aTitle(), false},
	"backup": {"Backup", "后备", "The role that is asked when this one does not decide in time.", "没按时决定时，由哪个角色顶上。", "owner", aText(), false},
}
