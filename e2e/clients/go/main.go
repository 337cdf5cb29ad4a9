// Driver: driver PORT 2|3. See ../checks.ts.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/push"
)

const (
	userKey = "7e124fe8-fe28-5398-bb95-53973100148f"
	eventID = "550e8400-e29b-41d4-a716-446655440000"
	key     = eventID
	payload = "{\"name\":\"Zoë\"}\r\n$"
)

var (
	ctx      = context.Background()
	uuid     = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	client   *redis.Client
	protocol int
)

// absent says that the library has no door for this, and that what is there was found harmless.
type absent struct{ reason string }

func (a absent) Error() string { return a.reason }

type fields = map[string]any

func equal(actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		panic(fmt.Errorf("%#v is not %#v", actual, expected))
	}
}

func do(command ...any) any {
	reply, err := client.Do(ctx, command...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		panic(err)
	}
	return reply
}

// fieldsOf reads a map: of RESP3, or a flat list of RESP2.
func fieldsOf(reply any) fields {
	result := fields{}
	switch reply := reply.(type) {
	case map[any]any:
		equal(protocol, 3)
		for name, value := range reply {
			result[name.(string)] = value
		}
	case []any:
		equal(protocol, 2)
		for i := 0; i < len(reply); i += 2 {
			result[reply[i].(string)] = reply[i+1]
		}
	default:
		panic(fmt.Errorf("no map: %#v", reply))
	}
	return result
}

func streamsOf(replies any) []string {
	var streams []string
	for _, reply := range replies.([]any) {
		streams = append(streams, fieldsOf(reply)["stream_id"].(string))
	}
	return streams
}

func boolean(value bool) any {
	if protocol == 3 {
		return value
	}
	if value {
		return int64(1)
	}
	return int64(0)
}

func refused(start string, command ...any) {
	err := client.Do(ctx, command...).Err()
	var refusal redis.Error
	if !errors.As(err, &refusal) || !strings.HasPrefix(err.Error(), start) {
		panic(fmt.Errorf("%v is not refused with %s: %v", command[0], start, err))
	}
}

func connect() {
	equal(client.Ping(ctx).Val(), "PONG")
	if info := client.Info(ctx).Val(); !strings.Contains(info, "redis_version:") {
		panic(fmt.Errorf("INFO: %s", info))
	}
	equal(fieldsOf(do("INFO", "CACHE"))["block_size_bytes"], int64(65536))
}

func appendOne() {
	command := []any{
		"EAPPEND", "user-123", "UserRegistered", "EVENT_ID", eventID, "PARTITION_KEY", userKey,
		"EXPECTED_VERSION", "empty", "TIMESTAMP", 1700000000000, "PAYLOAD", payload, "METADATA", "by hand",
	}
	appended := fieldsOf(do(command...))
	equal(appended, fields{
		"event_id": eventID, "partition_key": userKey, "partition_id": int64(21), "partition_sequence": int64(0),
		"stream_version": int64(0), "timestamp": int64(1700000000000),
	})
	equal(fieldsOf(do(command...)), appended)
}

func transaction() {
	stored := fieldsOf(do("EMAPPEND", key, "a", "A", "EXPECTED_VERSION", "empty", "b", "B"))
	equal(stored["first_partition_sequence"], int64(0))
	equal(stored["last_partition_sequence"], int64(1))
	equal(streamsOf(stored["events"]), []string{"a", "b"})
}

func checkEvent(reply any) {
	event := fieldsOf(reply)
	if !uuid.MatchString(event["transaction_id"].(string)) {
		panic(fmt.Errorf("%v", event))
	}
	equal(event, fields{
		"event_id": eventID, "partition_key": userKey, "partition_id": int64(21),
		"transaction_id": event["transaction_id"], "partition_sequence": int64(0), "stream_version": int64(0),
		"timestamp": int64(1700000000000), "stream_id": "user-123", "event_name": "UserRegistered",
		"metadata": "by hand", "payload": payload,
	})
}

func read() {
	checkEvent(do("EGET", eventID))
	equal(client.Do(ctx, "EGET", userKey).Err(), redis.Nil)
	equal(do("ESVER", "user-123"), int64(0))
	equal(client.Do(ctx, "ESVER", "nobody").Err(), redis.Nil)
	equal(do("EPSEQ", 25), int64(1))
	equal(client.Do(ctx, "EPSEQ", 0).Err(), redis.Nil)

	stream := fieldsOf(do("ESCAN", "user-123", "-", "+"))
	equal(stream["has_more"], boolean(false))
	equal(len(stream["events"].([]any)), 1)
	checkEvent(stream["events"].([]any)[0])

	partition := fieldsOf(do("EPSCAN", key, 0, "+", "COUNT", 1))
	equal(partition["has_more"], boolean(true))
	equal(streamsOf(partition["events"]), []string{"a"})
}

func refusals() {
	refused("WRONGVER current stream version is 0 but expected empty",
		"EAPPEND", "user-123", "E", "EXPECTED_VERSION", "empty")
	refused("CLUSTERDOWN partition unavailable", "EPSCAN", 99, "-", "+")
	refused("INVALIDARG unknown command 'NOSUCH'", "NOSUCH")
	equal(client.Ping(ctx).Val(), "PONG")
}

func roundTrip(stream string, payload []byte) {
	do("EAPPEND", stream, "E", "PAYLOAD", payload, "METADATA", payload)
	event := fieldsOf(fieldsOf(do("ESCAN", stream, "-", "+"))["events"].([]any)[0])
	if event["payload"] != string(payload) || event["metadata"] != string(payload) {
		panic(errors.New("other bytes"))
	}
}

func binary() {
	payload := []byte("\r\n\x00$5\r\n")
	for i := range 256 {
		payload = append(payload, byte(i))
	}
	roundTrip("binary", payload)
}

func large() { roundTrip("large", bytes.Repeat([]byte("sierra\r\n"), 128*1024)) }

func pipeline() {
	pipe := client.Pipeline()
	for range 200 {
		pipe.Do(ctx, "EAPPEND", "many", "E")
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		panic(err)
	}
	for version, reply := range replies {
		equal(fieldsOf(reply.(*redis.Cmd).Val())["stream_version"], int64(version))
	}
}

// event is what the push `event` says: to go-redis the node sends no `message`, which it would keep to its own pub/sub.
type event struct {
	subscription string
	cursor       int64
	fields       fields
}

// events are filled by the handler that main registers, while a command runs on the subscribed connection.
var events []event

type handler struct{}

func (handler) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, notification []any) error {
	events = append(events, event{notification[1].(string), notification[2].(int64), fieldsOf(notification[3])})
	return nil
}

// subscription is one on a connection of its own, kept out of the pool.
type subscription struct {
	connection *redis.Conn
	id         string
}

func open(command ...any) *subscription {
	connection := client.Conn()
	id := connection.Do(ctx, command...).Val().(string)
	if !uuid.MatchString(id) {
		panic(fmt.Errorf("no id: %s", id))
	}
	return &subscription{connection, id}
}

func (s *subscription) do(command ...any) {
	reply, err := s.connection.Do(ctx, command...).Result()
	equal(err, nil)
	equal(reply, "OK")
}

// next waits for that many events of the subscription; each PING makes the library read what has come.
func (s *subscription) next(count int) []event {
	for len(events) < count {
		equal(s.connection.Ping(ctx).Val(), "PONG")
	}
	taken := events[:count]
	events = events[count:]
	for _, event := range taken {
		equal(event.subscription, s.id)
	}
	return taken
}

func (s *subscription) close() {
	events = nil
	s.connection.Close()
}

func (s *subscription) expect(cursor, version int64) {
	next := s.next(1)[0]
	equal(next.cursor, cursor)
	equal(next.fields["stream_version"], version)
}

func refuseOnResp2() {
	if protocol == 3 {
		return
	}
	refused("INVALIDARG subscriptions require RESP3", "ESUB", "user-123", "FROM", 0)
	equal(client.Ping(ctx).Val(), "PONG")
	panic(absent{"refused, RESP2 has no pushes"})
}

func subscribe() {
	refuseOnResp2()
	for range 3 {
		do("EAPPEND", "live", "E")
	}
	live := open("ESUB", "live", "FROM", 0)
	defer live.close()
	for i := range int64(3) {
		live.expect(i, i)
	}
	do("EAPPEND", "live", "E")
	do("EAPPEND", "live", "E", "PAYLOAD", "five\r\n")
	live.expect(3, 3)
	last := live.next(1)[0]
	equal(last.cursor, int64(4))
	equal(last.fields["stream_id"], "live")
	equal(last.fields["payload"], "five\r\n")
	live.do("EUNSUB", live.id)

	partition := open("EPSUB", key, "FROM", 0)
	defer partition.close()
	for _, event := range partition.next(2) {
		equal(event.fields["stream_id"], []string{"a", "b"}[event.cursor])
	}
}

func window() {
	refuseOnResp2()
	many := open("ESUB", "many", "FROM", 10, "WINDOW", 2)
	defer many.close()
	for cursor := int64(0); cursor < 10; cursor += 2 {
		many.expect(cursor, 10+cursor)
		many.expect(cursor+1, 11+cursor)
		equal(many.connection.Ping(ctx).Val(), "PONG")
		equal(len(events), 0)
		many.do("EACK", many.id, cursor+1)
	}
}

func outcomeOf(check func()) (outcome map[string]string) {
	defer func() {
		switch trouble := recover().(type) {
		case nil:
			outcome = map[string]string{"outcome": "passed"}
		case absent:
			outcome = map[string]string{"outcome": "absent", "reason": trouble.reason}
		default:
			outcome = map[string]string{"outcome": "failed", "message": fmt.Sprint(trouble)}
		}
	}()
	check()
	return
}

func write(line any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

func main() {
	protocol, _ = strconv.Atoi(os.Args[2])
	options := &redis.Options{Addr: "127.0.0.1:" + os.Args[1]}
	if protocol == 2 {
		options.Protocol = 2
	}
	client = redis.NewClient(options)
	defer client.Close()
	if err := client.RegisterPushNotificationHandler("event", handler{}, false); protocol == 3 && err != nil {
		panic(err)
	}
	write(map[string]any{"version": redis.Version(), "protocol": protocol})
	for _, check := range []struct {
		name string
		run  func()
	}{
		{"connect", connect}, {"append", appendOne}, {"transaction", transaction}, {"read", read},
		{"errors", refusals}, {"binary", binary}, {"large", large}, {"pipeline", pipeline},
		{"subscribe", subscribe}, {"window", window},
	} {
		line := outcomeOf(check.run)
		line["check"] = check.name
		write(line)
	}
}
