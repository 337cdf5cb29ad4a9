//! Driver: sierradb-client-driver PORT default|resp3. See ../checks.ts.

use std::collections::HashMap;
use std::env::args;
use std::future::Future;
use std::time::{Duration, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError};
use sierradb_client::{
    AsyncTypedCommands, CmdExt, EAppendOptions, EMAppendEvent, ErrorCode, Event, EventSubscription,
    ExpectedVersion, SierraAsyncClientExt, SierraError, SierraMessage, SubscriptionManager,
    stream_partition_key,
};
use tokio::time::timeout;
use uuid::{Uuid, uuid};

const EVENT_ID: Uuid = uuid!("550e8400-e29b-41d4-a716-446655440000");
const KEY: Uuid = EVENT_ID;
const PAYLOAD: &str = "{\"name\":\"Zoë\"}\r\n$";
const TIMESTAMP_MS: u64 = 1_700_000_000_000;
const VERSION: &str = "0.3.1";

type Check = Result<Option<&'static str>, RedisError>;

fn passed() -> Check {
    Ok(None)
}

async fn connect(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    assert_eq!(connection.ping().await?, "PONG");
    let hello = connection.hello(3).await?;
    assert_eq!(
        (hello.server.as_str(), hello.num_partitions),
        ("sierradb", 32)
    );
    passed()
}

async fn append(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let key = stream_partition_key("user-123");
    let options = EAppendOptions::new()
        .event_id(EVENT_ID)
        .partition_key(key)
        .expected_version(ExpectedVersion::Empty)
        .timestamp(UNIX_EPOCH + Duration::from_millis(TIMESTAMP_MS))
        .payload(PAYLOAD.as_bytes())
        .metadata(b"by hand".as_slice());
    let appended = connection
        .eappend("user-123", "UserRegistered", options.clone())
        .await?;
    assert_eq!((appended.event_id, appended.partition_key), (EVENT_ID, key));
    assert_eq!(
        (appended.partition_id, appended.partition_sequence),
        (21, 0)
    );
    assert_eq!(appended.stream_version, 0);
    assert_eq!(
        appended.timestamp,
        UNIX_EPOCH + Duration::from_millis(TIMESTAMP_MS)
    );
    let retried = connection
        .eappend("user-123", "UserRegistered", options)
        .await?;
    assert_eq!(retried, appended);
    passed()
}

async fn transaction(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let events = [
        EMAppendEvent::new("a", "A").expected_version(ExpectedVersion::Empty),
        EMAppendEvent::new("b", "B").payload(b"two".as_slice()),
    ];
    let stored = connection.emappend(KEY, &events).await?;
    assert_eq!(stored.partition_id, 25);
    assert_eq!(
        (
            stored.first_partition_sequence,
            stored.last_partition_sequence
        ),
        (0, 1)
    );
    let places: Vec<_> = stored
        .events
        .iter()
        .map(|event| {
            (
                event.stream_id.as_str(),
                event.partition_sequence,
                event.stream_version,
            )
        })
        .collect();
    assert_eq!(places, [("a", 0, 0), ("b", 1, 0)]);
    passed()
}

fn check_event(event: &Event) {
    assert_eq!((event.event_id, event.partition_id), (EVENT_ID, 21));
    assert_eq!(event.partition_key, stream_partition_key("user-123"));
    assert_eq!((event.partition_sequence, event.stream_version), (0, 0));
    assert_eq!(
        event.timestamp,
        UNIX_EPOCH + Duration::from_millis(TIMESTAMP_MS)
    );
    assert_eq!(
        (event.stream_id.as_str(), event.event_name.as_str()),
        ("user-123", "UserRegistered")
    );
    assert_eq!(
        (event.metadata.as_slice(), event.payload.as_slice()),
        (b"by hand".as_slice(), PAYLOAD.as_bytes())
    );
}

async fn read(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let key = stream_partition_key("user-123");
    check_event(&connection.eget(EVENT_ID).await?.expect("an event"));
    assert_eq!(connection.eget(key).await?, None);
    assert_eq!(connection.esver("user-123").await?, Some(0));
    assert_eq!(
        connection.esver_with_partition_key("user-123", key).await?,
        Some(0)
    );
    assert_eq!(connection.esver("nobody").await?, None);
    assert_eq!(connection.epseq_by_id(25).await?, Some(1));
    assert_eq!(connection.epseq_by_key(KEY).await?, Some(1));
    assert_eq!(connection.epseq_by_id(0).await?, None);

    let stream = connection.escan("user-123", 0, None, None).await?;
    assert_eq!((stream.has_more, stream.events.len()), (false, 1));
    check_event(&stream.events[0]);
    let keyed = connection
        .escan_with_partition_key("user-123", key, 0, Some(7), Some(10))
        .await?;
    assert_eq!(keyed.events, stream.events);

    let partition = connection.epscan_by_id(25, 0, None, Some(1)).await?;
    assert_eq!((partition.has_more, partition.events.len()), (true, 1));
    let keyed = connection.epscan_by_key(KEY, 1, Some(1), None).await?;
    assert_eq!(
        (keyed.has_more, keyed.events[0].stream_id.as_str()),
        (false, "b")
    );
    passed()
}

/// The code of a refusal, as the library knows it.
fn code_of(error: RedisError) -> Option<ErrorCode> {
    SierraError::from_redis_error(error).error_code()
}

async fn errors(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let options = EAppendOptions::new().expected_version(ExpectedVersion::Empty);
    let conflict = connection
        .eappend("user-123", "E", options)
        .await
        .unwrap_err();
    assert!(
        conflict.to_string().contains("current stream version is 0"),
        "{conflict}"
    );
    assert_eq!(code_of(conflict), Some(ErrorCode::WrongVer));
    let unavailable = connection
        .epscan_by_id(99, 0, None, None)
        .await
        .unwrap_err();
    assert_eq!(code_of(unavailable), Some(ErrorCode::ClusterDown));
    let unknown = redis::cmd("NOSUCH")
        .query_async::<()>(&mut connection)
        .await
        .unwrap_err();
    assert_eq!(code_of(unknown), Some(ErrorCode::InvalidArg));
    assert_eq!(connection.ping().await?, "PONG");
    passed()
}

async fn round_trip(client: Client, stream: &str, payload: Vec<u8>) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let options = EAppendOptions::new().payload(&payload).metadata(&payload);
    connection.eappend(stream, "E", options).await?;
    let page = connection.escan(stream, 0, None, None).await?;
    assert!(page.events[0].payload == payload && page.events[0].metadata == payload);
    passed()
}

async fn binary(client: Client) -> Check {
    let payload = b"\r\n\0$5\r\n".iter().copied().chain(0..=255).collect();
    round_trip(client, "binary", payload).await
}

async fn large(client: Client) -> Check {
    round_trip(client, "large", b"sierra\r\n".repeat(128 * 1024)).await
}

async fn pipeline(client: Client) -> Check {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut pipe = redis::pipe();
    for _ in 0..200 {
        pipe.add_command(redis::Cmd::eappend("many", "E", EAppendOptions::new()));
    }
    let appended: Vec<sierradb_client::AppendInfo> = pipe.query_async(&mut connection).await?;
    let versions: Vec<_> = appended.iter().map(|info| info.stream_version).collect();
    assert_eq!(versions, (0..200).collect::<Vec<_>>());
    passed()
}

const NEEDS_RESP3: &str = "no, the library demands `?protocol=resp3` for it";

/// A manager, or nothing where the library itself refuses one.
async fn manager_of(client: &Client) -> Result<Option<SubscriptionManager>, RedisError> {
    match client.subscription_manager().await {
        Err(error) if error.kind() == redis::ErrorKind::InvalidClientConfig => Ok(None),
        other => other.map(Some),
    }
}

/// Cursor and event of the next push; the confirmation of the subscription is passed over.
async fn next_event(subscription: &mut EventSubscription) -> (u64, Event) {
    loop {
        match subscription
            .next_message()
            .await
            .expect("an open subscription")
        {
            SierraMessage::Event { event, cursor } => return (cursor, event),
            SierraMessage::SubscriptionConfirmed { .. } => {}
        }
    }
}

/// Cursor and version of the next `count` events.
async fn versions(subscription: &mut EventSubscription, count: usize) -> Vec<(u64, u64)> {
    let mut versions = Vec::new();
    for _ in 0..count {
        let (cursor, event) = next_event(subscription).await;
        versions.push((cursor, event.stream_version));
    }
    versions
}

async fn append_to(
    connection: &mut MultiplexedConnection,
    stream: &str,
    count: usize,
) -> Result<(), RedisError> {
    for _ in 0..count {
        connection
            .eappend(
                stream,
                "E",
                EAppendOptions::new().payload(b"five\r\n".as_slice()),
            )
            .await?;
    }
    Ok(())
}

async fn subscribe(client: Client) -> Check {
    let Some(mut manager) = manager_of(&client).await? else {
        return Ok(Some(NEEDS_RESP3));
    };
    let mut connection = client.get_multiplexed_async_connection().await?;
    append_to(&mut connection, "live", 3).await?;

    let mut history = manager.subscribe_to_stream_from_version("live", 0).await?;
    assert_eq!(versions(&mut history, 3).await, [(0, 0), (1, 1), (2, 2)]);
    let mut latest = manager.subscribe_to_stream_from_latest("live").await?;
    let mut plain = manager
        .subscribe_to_stream_with_partition_key("live", stream_partition_key("live"))
        .await?;
    append_to(&mut connection, "live", 2).await?;
    assert_eq!(versions(&mut history, 2).await, [(3, 3), (4, 4)]);
    assert_eq!(versions(&mut latest, 1).await, [(0, 3)]);
    let (cursor, event) = next_event(&mut latest).await;
    assert_eq!((cursor, event.stream_version), (1, 4));
    assert_eq!(
        (event.stream_id.as_str(), event.payload.as_slice()),
        ("live", b"five\r\n".as_slice())
    );
    assert_eq!(versions(&mut plain, 2).await, [(0, 3), (1, 4)]);
    history.unsubscribe().await?;
    partitions(&mut manager).await?;
    all_partitions(&mut manager, &mut connection).await
}

/// Partition 25 holds two events: of `a`, then of `b`.
async fn partitions(manager: &mut SubscriptionManager) -> Result<(), RedisError> {
    let subscriptions = [
        manager.subscribe_to_partition_from_sequence(25, 0).await?,
        manager
            .subscribe_to_partition_key_from_sequence(KEY, 0)
            .await?,
        manager
            .subscribe_to_partition_range(25, 26, 0, None)
            .await?,
        manager.subscribe_to_partitions("25", 0, Some(10)).await?,
        manager
            .subscribe_to_partitions_with_sequences(HashMap::from([(25, 0), (26, 0)]), None)
            .await?,
    ];
    for mut subscription in subscriptions {
        for (cursor, stream) in [(0, "a"), (1, "b")] {
            let (delivered, event) = next_event(&mut subscription).await;
            assert_eq!((delivered, event.stream_id.as_str()), (cursor, stream));
            assert_eq!(event.partition_sequence, cursor);
        }
    }
    Ok(())
}

async fn all_partitions(
    manager: &mut SubscriptionManager,
    connection: &mut MultiplexedConnection,
) -> Check {
    let past = HashMap::from([(25, 1)]);
    let mut latest = manager
        .subscribe_to_all_partitions_flexible(HashMap::new(), None, Some(10))
        .await?;
    let mut mapped = manager
        .subscribe_to_all_partitions_flexible(past.clone(), None, None)
        .await?;
    let mut defaulted = manager
        .subscribe_to_all_partitions_flexible(past, Some(1_000_000), None)
        .await?;
    let mut everything = manager.subscribe_to_all_partitions(0, Some(1000)).await?;
    for subscription in [&mut mapped, &mut defaulted] {
        let (_, event) = next_event(subscription).await;
        assert_eq!(
            (event.stream_id.as_str(), event.partition_sequence),
            ("b", 1)
        );
    }
    append_to(connection, "elsewhere", 1).await?;
    for subscription in [&mut latest, &mut mapped] {
        assert_eq!(next_event(subscription).await.1.stream_id, "elsewhere");
    }
    while next_event(&mut everything).await.1.stream_id != "elsewhere" {}
    passed()
}

async fn window(client: Client) -> Check {
    let Some(mut manager) = manager_of(&client).await? else {
        return Ok(Some(NEEDS_RESP3));
    };
    let mut subscription = manager
        .subscribe_to_stream_from_version_with_window("many", 10, 2)
        .await?;
    for cursor in (0..10).step_by(2) {
        let expected = [(cursor, 10 + cursor), (cursor + 1, 11 + cursor)];
        assert_eq!(versions(&mut subscription, 2).await, expected);
        subscription.acknowledge_up_to_cursor(cursor + 1).await?;
    }
    let mut live = manager
        .subscribe_to_all_partitions_flexible(HashMap::new(), None, Some(2))
        .await?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    append_to(&mut connection, "windowed", 4).await?;
    assert_eq!(versions(&mut live, 2).await, [(0, 0), (1, 1)]);
    manager
        .acknowledge_up_to_cursor(live.subscription_id(), 1)
        .await?;
    assert_eq!(versions(&mut live, 2).await, [(2, 2), (3, 3)]);
    passed()
}

/// Runs a check as a task of its own, so that a failed assertion ends only that.
async fn run(name: &str, check: impl Future<Output = Check> + Send + 'static) {
    let limited = timeout(Duration::from_secs(20), check);
    let (outcome, detail) = match tokio::spawn(limited).await {
        Ok(Ok(Ok(None))) => ("passed", String::new()),
        Ok(Ok(Ok(Some(reason)))) => ("absent", field("reason", reason)),
        Ok(Ok(Err(error))) => ("failed", field("message", &error.to_string())),
        Ok(Err(_)) => ("failed", field("message", "no answer within 20 seconds")),
        Err(panic) => ("failed", field("message", &message_of(panic))),
    };
    println!("{{\"check\":\"{name}\",\"outcome\":\"{outcome}\"{detail}}}");
}

fn message_of(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| {
        panic
            .downcast_ref::<&str>()
            .unwrap_or(&"a panic")
            .to_string()
    })
}

/// One more field of a JSON object.
fn field(name: &str, text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|character| match character {
            '"' | '\\' => format!("\\{character}"),
            control if control.is_control() => " ".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!(",\"{name}\":\"{escaped}\"")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RedisError> {
    let arguments: Vec<String> = args().collect();
    let query = if arguments[2] == "resp3" {
        "?protocol=resp3"
    } else {
        ""
    };
    let client = Client::open(format!("redis://127.0.0.1:{}{query}", arguments[1]))?;
    println!("{{\"version\":\"{VERSION}\",\"protocol\":3}}");
    run("connect", connect(client.clone())).await;
    run("append", append(client.clone())).await;
    run("transaction", transaction(client.clone())).await;
    run("read", read(client.clone())).await;
    run("errors", errors(client.clone())).await;
    run("binary", binary(client.clone())).await;
    run("large", large(client.clone())).await;
    run("pipeline", pipeline(client.clone())).await;
    run("subscribe", subscribe(client.clone())).await;
    run("window", window(client)).await;
    Ok(())
}
