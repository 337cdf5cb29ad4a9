import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Histogram, Registry } from 'prom-client';
import { findCommand } from '../resp/commands/index.ts';
import { CheapHistogram } from './cheap-histogram.ts';
import { NodeMetrics } from './metrics.ts';

async function linesOf(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n');
}

describe('the cheap histogram', () => {
  it('prints what prom-client’s own prints', async () => {
    const [cheap, usual] = [new Registry(), new Registry()];
    const common = { name: 'x_seconds', help: 'How long.' };
    const bounds = [0.1, 1, 10];
    const a = new CheapHistogram({ ...common, bounds, label: 'command', registry: cheap });
    const b = new Histogram({
      ...common,
      buckets: bounds,
      labelNames: ['command'],
      registers: [usual],
    });
    for (const value of [0, 0.05, 0.1, 0.5, 10, 11, 1e9]) {
      a.child('GET').observe(value);
      b.observe({ command: 'GET' }, value);
    }
    a.child('SET').observe(2);
    b.observe({ command: 'SET' }, 2);
    // prom-client prints the labels of a bucket in the other order; they are a set.
    const sets = (lines: string[]): string[] =>
      lines.map((line) =>
        line.replace(/\{(.*)\}/, (_, labels: string) => labels.split(',').sort().join()),
      );
    assert.deepEqual(sets(await linesOf(cheap)), sets(await linesOf(usual)));
  });
});

describe('commands', () => {
  it('are counted by name and error code, and timed by kind', async () => {
    const metrics = new NodeMetrics('0.0.0');
    const { commands } = metrics;
    const eappend = findCommand(Buffer.from('EAPPEND'));
    const escan = findCommand(Buffer.from('ESCAN'));
    assert.ok(eappend !== undefined && escan !== undefined);
    commands.commandAnswered(eappend, null, 2);
    commands.commandAnswered(eappend, 'WRONGVER', 2);
    commands.commandAnswered(eappend, null, 0.04);
    commands.commandAnswered(escan, null, 1);
    commands.commandAnswered(undefined, 'ERR', 0);
    const lines = await linesOf(metrics.registry);
    for (const line of [
      'sierradb_commands_total{command="EAPPEND",code="OK"} 2',
      'sierradb_commands_total{command="EAPPEND",code="WRONGVER"} 1',
      'sierradb_commands_total{command="ESCAN",code="OK"} 1',
      'sierradb_commands_total{command="unknown",code="ERR"} 1',
      'sierradb_append_seconds_bucket{command="EAPPEND",le="0.00005"} 1',
      'sierradb_append_seconds_count{command="EAPPEND"} 3',
      'sierradb_read_seconds_bucket{command="ESCAN",le="0.001"} 1',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.ok(!lines.some((line) => line.includes('append_seconds') && line.includes('ESCAN')));
  });

  it('connections are counted up and down', async () => {
    const metrics = new NodeMetrics('0.0.0');
    metrics.commands.connectionOpened();
    metrics.commands.connectionOpened();
    metrics.commands.connectionClosed();
    metrics.commands.connectionRefused();
    const lines = await linesOf(metrics.registry);
    assert.ok(lines.includes('sierradb_connections 1'));
    assert.ok(lines.includes('sierradb_connections_total 2'));
    assert.ok(lines.includes('sierradb_connections_refused_total 1'));
  });
});

describe('requests to other members', () => {
  it('are counted by member, once there are some', async () => {
    const metrics = new NodeMetrics('0.0.0');
    const isOfPeers = (line: string): boolean => /^sierradb_peer_/.test(line);
    assert.deepEqual((await linesOf(metrics.registry)).filter(isOfPeers), []);
    const counts = { requests: 3, messages: 40, bytes: 5000, failures: 1, dropped: 2 };
    metrics.peers.watch(
      () => new Map([['m2', counts]]),
      () => ({ open: 8, refused: 2 }),
    );
    await linesOf(metrics.registry);
    assert.deepEqual((await linesOf(metrics.registry)).filter(isOfPeers), [
      'sierradb_peer_requests_total{member="m2"} 3',
      'sierradb_peer_messages_total{member="m2"} 40',
      'sierradb_peer_bytes_total{member="m2"} 5000',
      'sierradb_peer_failures_total{member="m2"} 1',
      'sierradb_peer_dropped_total{member="m2"} 2',
      'sierradb_peer_streams 8',
      'sierradb_peer_streams_refused_total 2',
    ]);
  });
});
