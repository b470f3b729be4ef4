// Package rules reads, checks and evaluates the expressions of a campaign: every
// condition, every {{ … }} in a message and every value that a set step assigns is CEL,
// typed against what the campaign declares.
//
// An expression reads these variables:
//
//	member    declared attributes, and id, joined_at, tags, points, level, source, inviter
//	event     the declared properties of the event, and id, type, time
//	start     the same of the event that started the journey
//	offer     id, name, title, price, list_price, expires_at
//	campaign  name, title
//	now       the journey's own time
//
// Which of them are readable depends on where the expression stands; Scope says so. What
// a member or an event does not have, or has in a form that does not fit the declared
// type, reads as the type's zero value: "", 0, false, the zero time, no money. has(x.y)
// tells the difference. An offer has no zero value: reading one that was not made is an
// error, because a message with the price ¥0.00 is worse than no message.
//
// And these functions, besides CEL's own:
//
//	budget("gift").left                              what is left of a reward's budget
//	segment("regular")                               whether the member is in a segment
//	count("lesson.attended", duration("30d"))        how often an event happened; without a span: ever
//	sum("order.paid", "amount", duration("30d"))     the sum of a property: money where it is money, else a number
//	last("lesson.attended")                          when it happened last; the zero time if never
//	money("9.90")                                    an amount in the campaign's currency
//	yuan(event.amount)                               ¥199.00
//	percent(0.155)                                   15.5%
//	local(now)                                       12-03 20:15, in the campaign's timezone
//	format(now, "YYYY-MM-DD HH:mm")                  a time by a pattern of YYYY YY MM M DD D HH H mm m ss s
//	mask(member.phone)                               138****5678; 王*; the middle is hidden
//
// Money is a type of its own. It is compared with money, added to and subtracted from
// money, multiplied by a whole number, and divided by money; too large a result is an error and never
// wraps. A span in a literal is written as in CEL ("168h") or as elsewhere in a campaign
// ("7d"). Times know the campaign's timezone, so now.getHours() is the hour there.
//
// What a campaign was accepted with does not fail later: dyn(), mixed lists and patterns
// that are put together at run time are refused, literals are checked, and the cost of
// an expression is bounded before it ever runs (see MaxCost).
package rules
