package e2e
import "testing"
func TestLagProbe(t *testing.T) {
	f := newFleet(t); f.runRouter(); f.runWorker()
	f.playDemo()
	for name, q := range map[string]string{
	 "reminder lag ms": `select (extract(epoch from max(m.at - (o.expires_at - interval '24h')))/7.2)::int from messages m join offers o on o.journey=m.journey and o.offer='monthly-card' where m.name='lock-24h' and extract(hour from m.at at time zone 'Asia/Shanghai') between 8 and 21 and m.at - (o.expires_at - interval '24h') < interval '6h'`,
	 "reminder avg": `select (extract(epoch from avg(m.at - (o.expires_at - interval '24h')))/7.2)::int from messages m join offers o on o.journey=m.journey and o.offer='monthly-card' where m.name='lock-24h' and m.at - (o.expires_at - interval '24h') < interval '6h'`,
	 "welcome lag ms": `select (extract(epoch from max(m.at - j.entered_at))/7.2)::int from messages m join journeys j on j.id=m.journey where m.name='welcome' and m.at-j.entered_at < interval '6h'`,
	 "sent after decided ms": `select max(extract(epoch from (m.sent_at - t.at))*1000)::int from messages m join effects e on e.key=m.key join turns t on t.journey=e.journey and t.turn=e.turn`,
	 "sent after decided avg": `select avg(extract(epoch from (m.sent_at - t.at))*1000)::int from messages m join effects e on e.key=m.key join turns t on t.journey=e.journey and t.turn=e.turn`,
	 "turns": `select count(*) from turns`,
	} { t.Log(name, f.count(q)) }
}
