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

func subscribe() {
	if protocol == 2 {
		refused("INVALIDARG subscriptions require RESP3", "ESUB", "user-123", "FROM", 0)
		equal(client.Ping(ctx).Val(), "PONG")
		panic(absent{"refused, RESP2 has no pushes"})
	}
	panic(absent{"no, the library leaves `message` pushes to its own pub/sub"})
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
	write(map[string]any{"version": redis.Version(), "protocol": protocol})
	for _, check := range []struct {
		name string
		run  func()
	}{
		{"connect", connect}, {"append", appendOne}, {"transaction", transaction}, {"read", read},
		{"errors", refusals}, {"binary", binary}, {"large", large}, {"pipeline", pipeline},
		{"subscribe", subscribe}, {"window", subscribe},
	} {
		line := outcomeOf(check.run)
		line["check"] = check.name
		write(line)
	}
}
